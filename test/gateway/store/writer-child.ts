/**
 * A gateway's life reduced to accepting, for tests that kill it: prints each id once it is acknowledged, one a line.
 * Arguments: file, how many at once.
 */
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { message } from '../../contract/store/given.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { clock } from './given.ts'

const [file = '', width = '1'] = process.argv.slice(2)
const store = new SqliteStore({ file, log: quietLog, clock })
await store.start()
process.stdout.write('ready\n')

async function acceptForever(peer: string): Promise<never> {
  for (;;) {
    const given = message(peer, 'x'.repeat(200))
    await store.inbox.accept(given)
    process.stdout.write(`${given.envelope.id}\n`)
  }
}

await Promise.all(Array.from({ length: Number(width) }, (_, i) => acceptForever(`p${i}`)))
