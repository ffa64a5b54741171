/** Runs on a disk of its own: accepts until it is full, frees some, and prints what it saw. Argument: the folder. */
import { UnavailableError } from '#contract'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { message } from '../../contract/store/given.ts'
import { eventually } from '../../support/eventually.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { clock } from './given.ts'

const [folder = ''] = process.argv.slice(2)
const ballast = join(folder, 'ballast')
await writeFile(ballast, Buffer.alloc(2 * 1024 * 1024))
const store = new SqliteStore({ file: join(folder, 'sessions.db'), log: quietLog, clock, writeTimeoutMs: 200 })
await store.start()
let acknowledged = 0
const refusals = new Set<string>()
while (refusals.size === 0) {
  const results = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => store.inbox.accept(message(`p${i}`, 'x'.repeat(5_000)))))
  for (const result of results) {
    if (result.status === 'fulfilled') acknowledged++
    else refusals.add(result.reason instanceof UnavailableError ? result.reason.code : String(result.reason))
  }
}
const health = store.health()
await rm(ballast)
await eventually(() => store.health().ok, 'its recovery')
const { accepted: kept } = await store.inbox.ledger()
const afterwards = (await store.inbox.accept(message('p', 'afterwards'))).status
await store.stop()
process.stdout.write(JSON.stringify({ acknowledged, refusals: [...refusals], health, kept, afterwards }))
