/** Tries to open a store that its user may not write, and prints the code with which it is refused. Argument: file. */
import { OpenClawError } from '#contract'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { clock } from './given.ts'

const [file = ''] = process.argv.slice(2)
const store = new SqliteStore({ file, log: quietLog, clock })
try {
  await store.start()
  process.stdout.write('it started')
} catch (error) {
  process.stdout.write(error instanceof OpenClawError ? error.code : String(error))
}
await store.stop()
