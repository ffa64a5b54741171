/**
 * Clients that ask for everything and read nothing: each is cut when a mebibyte waits for it, so the gateway's memory stays what it was, and
 * those who read get all of it meanwhile.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { readEvents } from '../gateway/http/events.ts'
import { metric } from '../support/conversation.ts'
import { eventually } from '../support/eventually.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { SocketClient } from '../support/socket-client.ts'

/** Of each sort. */
const DEAF = 10
const MESSAGES = 60
const TEXT_BYTES = 200_000
const MB = 1024 * 1024
/** What all of them would have had to keep, less what the kernel takes: it is far more than this. */
const MAX_GROWTH_BYTES = 150 * MB

/** Asks for all events and never reads an answer. */
async function deafListener({ url, key }: GatewayProcess): Promise<Socket> {
  const { hostname, port, host } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.pause()
  socket.write(`GET /v1/events/stream HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${key}\r\n\r\n`)
  return socket
}

async function deafSocket({ url, key }: GatewayProcess): Promise<SocketClient> {
  const client = await SocketClient.open(new URL(url).host, key)
  client.send({ type: 'subscribe', conversation: 'loud' })
  await client.next('subscribed')
  client.socket.pause()
  return client
}

async function becomes(gateway: GatewayProcess, name: string, value: number): Promise<void> {
  let now = Number.NaN
  const isSo = async (): Promise<boolean> => (now = await metric(gateway, name)) === value
  await eventually(isSo, () => `${name} of ${value} (it is ${now})`)
}

test('who never reads is cut, and costs neither memory nor anybody else a word', { timeout: 60_000 }, async (context) => {
  const gateway = await startGateway(context)
  const { host } = new URL(gateway.url)
  const speaker = await SocketClient.open(host, gateway.key)
  const text = 'x'.repeat(TEXT_BYTES)
  const say = async (at: number): Promise<void> => {
    speaker.send({ type: 'message', id: `m-${at}`, conversation: 'loud', payload: text })
    assert.equal((await speaker.next('reply'))['text'], `You said: ${text}`)
  }
  for (let at = 0; at < 5; at++) await say(-1 - at)
  const reading = readEvents(await gateway.fetch('/v1/events/stream', { signal: AbortSignal.timeout(50_000) }))
  const listener = (async (): Promise<number> => {
    let replies = 0
    for await (const { event } of reading) if (event === 'reply' && ++replies === MESSAGES) break
    return replies
  })()
  const deaf = await Promise.all(Array.from({ length: DEAF }, () => deafSocket(gateway)))
  const listeners = await Promise.all(Array.from({ length: DEAF }, () => deafListener(gateway)))
  context.after(() => {
    for (const { socket } of [speaker, ...deaf]) socket.terminate()
    for (const socket of listeners) socket.destroy()
  })
  await becomes(gateway, 'openclaw_http_streams_active', DEAF + 1)
  await becomes(gateway, 'websocket_connections_active', DEAF + 1)

  const before = await metric(gateway, 'process_resident_memory_bytes')
  let most = before
  for (let at = 0; at < MESSAGES; at++) {
    await say(at)
    if (at % 5 === 0) most = Math.max(most, await metric(gateway, 'process_resident_memory_bytes'))
  }
  const growth = most - before
  context.diagnostic(`memory grew by ${Math.round(growth / MB)} MB from ${Math.round(before / MB)} MB`)
  assert.ok(growth < MAX_GROWTH_BYTES, `memory grew by ${growth} bytes`)
  assert.equal(await listener, MESSAGES, 'who reads gets everything')
  await becomes(gateway, 'openclaw_http_streams_active', 0)
  await becomes(gateway, 'websocket_connections_active', 1)

  const [first] = deaf
  first?.socket.resume()
  assert.ok([1006, 1013].includes((await first?.closed) ?? 0), 'and learns of it when it reads at last')
})
