/** Runs a gateway on a disk of its own: sends until it is full, frees some, and prints what it saw. Argument: the folder. */
import { rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { answerTo, ended, everyMessage, post, problemOf } from '../support/conversation.ts'
import { eventually } from '../support/eventually.ts'
import { startGateway } from '../support/gateway-process.ts'

const [folder = ''] = process.argv.slice(2)
const ROOM_BYTES = 1024 * 1024
const endings: (() => Promise<void>)[] = []
try {
  const gateway = await startGateway({ after: (run) => void endings.push(run) }, { dir: folder })
  const ballast = join(folder, 'ballast')
  const { bavail, bsize } = await statfs(folder)
  await writeFile(ballast, Buffer.alloc(bavail * bsize - ROOM_BYTES))

  const acknowledged: string[] = []
  const refusals = new Map<string, readonly [number, string]>()
  let retryAfter = 0
  for (let at = 0; refusals.size === 0; at++) {
    const wave = Array.from({ length: 8 }, (_, number) =>
      post(gateway, '/v1/messages', { payload: `${at} ${'x'.repeat(10_000)}`, metadata: { user_id: `user-${number}` } }),
    )
    for (const answer of await Promise.all(wave)) {
      if (answer.status === 202) acknowledged.push(((await answer.json()) as { message_id: string }).message_id)
      else {
        const { status, code } = await problemOf(answer)
        retryAfter = Number(answer.headers.get('retry-after'))
        refusals.set(code, [status, code])
      }
    }
  }
  const full = await gateway.fetch('/readyz')
  const { parts } = (await full.json()) as { parts: readonly { name: string; detail: string | null }[] }
  const health = await gateway.fetch('/healthz')
  await rm(ballast)
  await eventually(async () => (await gateway.fetch('/readyz')).status === 200, 'its recovery')
  const documents = await Promise.all(acknowledged.map((id) => ended(gateway, id)))
  const kept = await everyMessage(gateway)
  const seen = {
    acknowledged: acknowledged.length,
    refusals: [...refusals.values()],
    retryAfter,
    readyWhileFull: full.status,
    detail: parts.find(({ name }) => name === 'store')?.detail,
    healthWhileFull: health.status,
    kept: kept.length,
    answeredOnce: documents.filter(({ status, replies }) => status === 'done' && replies.length === 1).length,
    afterwards: await answerTo(gateway, 'afterwards'),
    exit: (await gateway.stop()).code,
  }
  process.stdout.write(JSON.stringify(seen))
} finally {
  for (const end of endings) await end()
}
