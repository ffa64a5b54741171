import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { DEFAULT_TENANT } from '#contract'
import type { FlowEvent } from '#contract'
import { Hub, messageView, problem, startServer } from './double.ts'
import { readEvents } from './events.ts'
import { lines, open } from './raw.ts'
import { eventually } from '../../support/eventually.ts'

const tick = (n: number): FlowEvent => ({ type: 'event', tenant: DEFAULT_TENANT, name: 'tick', data: { n } })
const until = (claim: () => boolean): Promise<void> => eventually(claim, 'what is waited for')

test('all events come with their running number, in one form', async (t) => {
  const { hub, call } = await startServer(t)
  const events = readEvents(await call('/v1/events/stream'))
  await until(() => hub.feed.listeners === 1)
  assert.equal(hub.metrics.value('openclaw_http_streams_active'), 1)
  const view = messageView(1)
  const of = { tenant: DEFAULT_TENANT, messageId: view.id, channel: 'http', lane: 'a', session: null, agent: null }
  hub.feed.publish(tick(1))
  hub.feed.publish({ ...of, type: 'message', status: 'dead', reason: 'NO_ROUTE' })
  hub.feed.publish({ ...of, type: 'delta', text: 'x' })
  const wire = { message_id: 'msg-1', channel: 'http', lane: 'a', session: null, agent: null }
  assert.deepEqual((await events.next()).value, { event: 'event', id: '1', data: { name: 'tick', data: { n: 1 } } })
  assert.deepEqual((await events.next()).value, { event: 'message', id: '2', data: { ...wire, status: 'dead', reason: 'NO_ROUTE' } })
  assert.deepEqual((await events.next()).value, { event: 'delta', id: '3', data: { ...wire, text: 'x' } })
  await events.return()
  await until(() => hub.feed.listeners === 0)
})

test('who comes back is told what they missed, or that something is lost', async (t) => {
  const hub = new Hub()
  const { call } = await startServer(t, { hub })
  hub.feed.memory = 2
  for (let n = 1; n <= 4; n++) hub.feed.publish(tick(n))
  const read = async (last: string, count: number) => {
    const events = readEvents(await call('/v1/events/stream', { headers: { 'last-event-id': last } }))
    const found = []
    while (found.length < count) found.push((await events.next()).value)
    await events.return()
    return found.map((event) => (event ? `${event.event} ${event.id}` : 'end'))
  }
  assert.deepEqual(await read('2', 2), ['event 3', 'event 4'])
  assert.deepEqual(await read('1', 3), ['gap undefined', 'event 3', 'event 4'])
  assert.deepEqual(await read('900', 1), ['gap undefined'])
  assert.equal(
    (await problem(await call('/v1/events/stream', { headers: { 'last-event-id': 'x' } }), 400))['code'],
    'INVALID_LAST_EVENT_ID',
  )
})

test('a quiet stream shows signs of life', async (t) => {
  const { hub, url, key } = await startServer(t)
  const socket = await open(url)
  let received = ''
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
  socket.write(lines('GET /v1/events/stream HTTP/1.1', `Host: ${new URL(url).host}`, `Authorization: Bearer ${key}`, ''))
  await until(() => hub.feed.listeners === 1)
  hub.clock.advance(15_000)
  await until(() => received.includes('\n:\n\n'))
  hub.clock.advance(15_000)
  await until(() => received.split('\n:\n\n').length === 3)
  socket.destroy()
  await until(() => hub.feed.listeners === 0)
})

test('a client that does not read is dropped at 1 MiB instead of filling the memory', async (t) => {
  const { hub, url, key } = await startServer(t)
  const socket = await open(url)
  socket.pause()
  socket.write(lines('GET /v1/events/stream HTTP/1.1', `Host: ${new URL(url).host}`, `Authorization: Bearer ${key}`, ''))
  await until(() => hub.feed.listeners === 1)
  const text = 'x'.repeat(65_536)
  let published = 0
  for (; published < 2_000 && hub.feed.listeners === 1; published++) {
    hub.feed.publish({ type: 'event', tenant: DEFAULT_TENANT, name: 'big', data: { text } })
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(published < 2_000, 'it was never dropped')
  socket.resume()
  socket.on('error', () => undefined)
  await once(socket, 'close')
})

test('revoking a key ends its streams', async (t) => {
  const { hub, call, keyFor } = await startServer(t)
  const { id, secret } = await keyFor(['events:read'])
  const response = await call('/v1/events/stream', { headers: { authorization: `Bearer ${secret}` } })
  await until(() => hub.feed.listeners === 1)
  await call(`/v1/keys/${id}`, { method: 'DELETE' })
  assert.match(await response.text(), /^retry: 3000\n\n$/)
  await until(() => hub.feed.listeners === 0)
})

test('a key that expires ends its streams', async (t) => {
  const { hub, call } = await startServer(t)
  const { secret } = await hub.keys.create({ tenant: DEFAULT_TENANT, name: 'brief', scopes: ['*'], expiresAt: hub.clock.now() + 5_000_000 })
  const response = await call('/v1/events/stream', { headers: { authorization: `Bearer ${secret}` } })
  await until(() => hub.feed.listeners === 1)
  hub.clock.advance(4_999_999)
  assert.equal(hub.feed.listeners, 1)
  hub.clock.advance(1)
  await response.text()
  await until(() => hub.feed.listeners === 0)
})

test('only so many streams are open at once', async (t) => {
  const { hub, call } = await startServer(t, { limits: { streams: 1 } })
  const first = await call('/v1/events/stream')
  await until(() => hub.feed.listeners === 1)
  assert.equal((await problem(await call('/v1/events/stream'), 503))['code'], 'TOO_MANY_STREAMS')
  await first.body?.cancel()
  await until(() => hub.feed.listeners === 0)
})

test('stopping ends the streams', async (t) => {
  const { hub, call, server } = await startServer(t)
  const response = await call('/v1/events/stream')
  await until(() => hub.feed.listeners === 1)
  const stopped = server.stop()
  await response.text()
  await stopped
  assert.equal(hub.feed.listeners, 0)
})
