/**
 * Clients that send their request byte by byte to hold a connection: they are cut by the time a request may take, and nobody else notices.
 * The bounds are the server's own (10 s for the header fields, 30 s for the whole), so this takes as long.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setInterval as every } from 'node:timers/promises'
import { answerTo } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const SLOW_CLIENTS = 50
const BYTE_EVERY_MS = 250
const ASK_EVERY_MS = 100

const endings: (() => Promise<void>)[] = []
let gateway: GatewayProcess
before(async () => {
  gateway = await startGateway({ after: (run) => void endings.push(run) })
})
after(async () => {
  for (const end of endings) await end()
})

interface Cut {
  readonly afterMs: number
  readonly received: string
}

/** Sends `begin` at once and then a byte at a time, until the server ends it. */
async function trickle(begin: string): Promise<Cut> {
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  let received = ''
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const openedAt = performance.now()
  socket.write(begin)
  const timer = setInterval(() => socket.write('x'), BYTE_EVERY_MS)
  await once(socket, 'close')
  clearInterval(timer)
  return { afterMs: performance.now() - openedAt, received }
}

/** While it lasts others are answered; the longest that one had to wait. */
async function othersDuring(slow: Promise<unknown>): Promise<number> {
  const slowEnd = new AbortController()
  void slow.finally(() => slowEnd.abort())
  let longestMs = 0
  let at = 0
  for await (const _ of every(ASK_EVERY_MS)) {
    if (slowEnd.signal.aborted) break
    const askedAt = performance.now()
    await answerTo(gateway, `message ${++at}`, `other-${at}`)
    longestMs = Math.max(longestMs, performance.now() - askedAt)
  }
  return longestMs
}

async function cut(context: TestContext, begin: string, bounds: { readonly fromMs: number; readonly toMs: number }): Promise<void> {
  const clients = Promise.all(Array.from({ length: SLOW_CLIENTS }, () => trickle(begin)))
  const longestMs = await othersDuring(clients)
  const cuts = await clients
  const times = cuts.map(({ afterMs }) => Math.round(afterMs)).toSorted((a, b) => a - b)
  context.diagnostic(`cut after ${times[0]} to ${times.at(-1)} ms; others answered within ${Math.round(longestMs)} ms`)
  for (const { afterMs, received } of cuts) {
    assert.ok(afterMs >= bounds.fromMs && afterMs < bounds.toMs, `cut after ${afterMs} ms`)
    assert.match(received, /^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/)
  }
  // Whoever had to wait for them would have waited until they were cut.
  assert.ok(longestMs < bounds.fromMs / 2, `somebody else waited ${longestMs} ms`)
}

const START = 'POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n'

describe('whoever sends byte by byte is told so and cut, and nobody else waits', { concurrency: true, timeout: 90_000 }, () => {
  test('the header fields', (context) => cut(context, `${START}X-Slow: `, { fromMs: 9_000, toMs: 25_000 }))
  test('the body', async (context) => {
    const { host } = new URL(gateway.url)
    const fields = `Host: ${host}\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`
    await cut(context, `POST /v1/messages HTTP/1.1\r\n${fields}{"payload":"`, { fromMs: 29_000, toMs: 60_000 })
  })
})
