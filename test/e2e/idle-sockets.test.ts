/**
 * Ten thousand people who are connected and say nothing: what each costs, and that everybody else is served as if they were not there. They live
 * in another process, so that only the gateway's side is measured.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { setInterval } from 'node:timers/promises'
import { startChild } from '../support/child.ts'
import { answerTo, metric } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const SOCKETS = 10_000
const ASK_EVERY_MS = 25
/** Beside the sockets a process has some files and the odd other connection. */
const FILES_NEEDED = SOCKETS + 200
const CLIENTS = new URL('../support/idle-sockets.ts', import.meta.url).pathname
/** Node raises its own limit to the hard one. */
const limit = spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout.trim()
const isRoom = limit === 'unlimited' || Number(limit) >= FILES_NEEDED

async function bytes(gateway: GatewayProcess): Promise<{ readonly rss: number; readonly heap: number }> {
  return { rss: await metric(gateway, 'process_resident_memory_bytes'), heap: await metric(gateway, 'nodejs_heap_size_used_bytes') }
}

/** Asks while `during` is not over, and a hundred times at least. */
async function medianMsOf(gateway: GatewayProcess, during: Promise<unknown>): Promise<number> {
  const state = { isOver: false }
  during.then(
    () => (state.isOver = true),
    () => (state.isOver = true),
  )
  const took: number[] = []
  for await (const _ of setInterval(ASK_EVERY_MS)) {
    const askedAt = performance.now()
    assert.equal((await gateway.fetch('/healthz')).status, 200)
    took.push(performance.now() - askedAt)
    if (state.isOver && took.length >= 100) break
  }
  return took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0
}

test(
  `${SOCKETS} silent sockets are pinged, cost little each, and delay nobody`,
  { skip: isRoom ? false : `needs ${FILES_NEEDED} open files, ${limit} are allowed (ulimit -Hn)`, timeout: 120_000 },
  async (context) => {
    const gateway = await startGateway(context)
    await answerTo(gateway, 'warming up')
    const before = await bytes(gateway)
    const startedAt = Date.now()
    const clients = startChild([CLIENTS, new URL(gateway.url).host, String(SOCKETS), gateway.key], { isHeldOpen: true })
    context.after(async () => void (await clients.kill9()))
    await clients.said(/open/, 60_000)
    const openedMs = Date.now() - startedAt
    assert.equal(await metric(gateway, 'websocket_connections_active'), SOCKETS)

    const pinged = clients.said(/pinged/, 45_000)
    const medianMs = await medianMsOf(gateway, pinged)
    await pinged
    const after = await bytes(gateway)
    const each = (name: 'rss' | 'heap'): string => `${((after[name] - before[name]) / SOCKETS / 1024).toFixed(1)} KiB`
    context.diagnostic(`opened in ${openedMs} ms; each costs ${each('rss')} of memory, ${each('heap')} of it heap`)
    context.diagnostic(`/healthz answers in ${medianMs.toFixed(1)} ms (median) meanwhile`)
    assert.ok(medianMs < 100, `${medianMs} ms`)
    assert.equal(await answerTo(gateway, 'among ten thousand'), 'You said: among ten thousand')

    const stoppedAt = Date.now()
    const stopped = gateway.stop()
    await clients.said(/closed 1001\n/, 20_000)
    assert.deepEqual(await stopped, { code: 0, signal: null })
    context.diagnostic(`all told goodbye and closed in ${Date.now() - stoppedAt} ms`)
  },
)
