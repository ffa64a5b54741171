/** The WebSocket channel over real sockets: who may in, what is said and answered, and how it ends. */
import assert from 'node:assert/strict'
import { connect as connectTo } from 'node:net'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { UnavailableError } from '#contract'
import type { Channel, JsonObject, MessageId, Principal } from '#contract'
import { channelKinds } from '../../../channels/registry.ts'
import { websocket } from '../../../channels/websocket/websocket.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { RouteServer } from '../../support/route-server.ts'
import { SocketClient } from '../../support/socket-client.ts'

let host: MemoryHost
let channel: Channel
let server: RouteServer

beforeEach(async () => {
  host = new MemoryHost('ws')
  await open({})
})
afterEach(async () => {
  await close()
  assert.equal(host.feed.listeners, 0)
  assert.equal(host.clock.pending, 0)
  assert.equal(server.watchers, 0)
})

async function open(settings: JsonObject): Promise<void> {
  channel = websocket.create('ws', settings)
  server = await RouteServer.open(channel)
  await channel.start(host, new AbortController().signal)
}
async function close(): Promise<void> {
  await channel.stop()
  await server.close()
}

const connect = (token?: string): Promise<SocketClient> => SocketClient.open(server.origin, token)
const guest = async (): Promise<SocketClient> => {
  const client = new SocketClient(server.origin)
  await client.opened()
  return client
}
const principal = (id: string, ...scopes: readonly string[]): Principal => ({
  id,
  credential: `key-${id}`,
  tenant: 'default',
  scopes: new Set(scopes),
})
const HANDSHAKE = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const base64url = (text: string): string => Buffer.from(text).toString('base64url')
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

void test('is in the registry', async () => {
  assert.ok('websocket' in channelKinds)
  assert.equal(await channelKinds['websocket']?.(), websocket)
})

void test('lets in by header, sub-protocol, cookie and first frame', async () => {
  const byHeader = new SocketClient(server.origin, ['openclaw.v1'], { headers: { authorization: 'Bearer secret' } })
  const byProtocol = new SocketClient(server.origin, ['openclaw.v1', `base64url.bearer.authorization.openclaw.${base64url('secret')}`])
  const byCookie = new SocketClient(server.origin, ['openclaw.v1'], { headers: { cookie: 'a=b; oc=secret' } })
  const byFrame = await guest()
  byFrame.send({ type: 'auth', token: 'secret' })
  for (const client of [byHeader, byProtocol, byCookie, byFrame]) {
    assert.deepEqual(await client.next(), { type: 'ready', principal: 'admin', ping_ms: 30_000 })
    assert.equal(client.socket.protocol, 'openclaw.v1')
  }
  assert.equal(host.gauges.get('websocket_connections_active')?.(), 4)
})

void test('handles what was sent right after the auth frame, in order', async () => {
  const client = await guest()
  client.send({ type: 'auth', token: 'secret' })
  for (let index = 0; index < 5; index++) client.send({ type: 'message', id: `m${index}`, payload: 'x' })
  for (let index = 0; index < 5; index++) assert.equal((await client.next('ack'))['id'], `m${index}`)
})

void test('refuses a message that is one too many, and takes it when it comes again', async () => {
  const client = await guest()
  client.send({ type: 'auth', token: 'secret' })
  await client.next('ready')
  server.waitSeconds = 7
  client.send({ type: 'message', id: 'm', payload: 'x' })
  const refused = await client.next('error')
  assert.deepEqual([refused['id'], refused['code'], refused['retry_after_ms']], ['m', 'RATE_LIMITED', 7_000])
  client.send({ type: 'ping' })
  await client.next('pong')
  server.waitSeconds = null
  client.send({ type: 'message', id: 'm', payload: 'x' })
  assert.equal((await client.next('ack'))['id'], 'm')
})

void test('closes 4401 on a wrong token, wherever it was shown, and on another first frame', async () => {
  const wrong = new SocketClient(server.origin, ['openclaw.v1', `base64url.bearer.authorization.openclaw.${base64url('wrong')}`])
  assert.equal(await wrong.closed, 4401)
  const header = new SocketClient(server.origin, ['openclaw.v1'], { headers: { authorization: 'Bearer wrong' } })
  assert.equal(await header.closed, 4401)
  for (const frame of [{ type: 'auth', token: 'wrong' }, { type: 'message', id: 'm', payload: 'x' }, { type: 'auth' }]) {
    const client = await guest()
    client.send(frame)
    assert.equal(await client.closed, 4401)
  }
  assert.equal(host.handed.length, 0)
})

void test('closes 4403 without the permission to write', async () => {
  server.allow('reader', principal('reader', 'messages:read'))
  const byHeader = new SocketClient(server.origin, ['openclaw.v1'], { headers: { authorization: 'Bearer reader' } })
  assert.equal(await byHeader.closed, 4403)
  const byFrame = await guest()
  byFrame.send({ type: 'auth', token: 'reader' })
  assert.equal(await byFrame.closed, 4403)
})

void test('closes 4408 on guests who say nothing for five seconds, and on nobody else', async () => {
  const friend = await connect()
  const silent = await guest()
  host.clock.advance(4_000)
  friend.send({ type: 'ping' })
  await friend.next('pong')
  assert.equal(silent.socket.readyState, silent.socket.OPEN)
  host.clock.advance(2_000)
  assert.equal(await silent.closed, 4408)
  friend.send({ type: 'ping' })
  await friend.next('pong')
})

void test('closes 4401 when the credential is revoked', async () => {
  const client = await connect()
  server.revoke('secret')
  assert.equal(await client.closed, 4401)
})

void test('lets no more than 32 guests in from one address', async () => {
  const guests = await Promise.all(Array.from({ length: 32 }, () => guest()))
  const refused = await guest()
  assert.equal(await refused.closed, 4429)
  server.ip = '127.0.0.2'
  const other = await guest()
  server.ip = '127.0.0.1'
  guests[0]?.send({ type: 'auth', token: 'secret' })
  await guests[0]?.next('ready')
  const late = await guest()
  late.send({ type: 'auth', token: 'secret' })
  await late.next('ready')
  assert.equal(other.socket.readyState, other.socket.OPEN)
})

void test('lets no more than 256 guests in altogether, wherever they come from', async () => {
  for (let n = 1; n <= 8; n++) {
    server.ip = `10.0.0.${n}`
    await Promise.all(Array.from({ length: 32 }, () => guest()))
  }
  server.ip = '10.0.0.9'
  assert.equal(await (await guest()).closed, 4429)
  await (await connect('secret')).close()
})

void test('tells no more than 256 at once why they are refused; others are cut off without a word', async () => {
  await close()
  await open({ max_connections: 1 })
  await connect('secret')
  const { hostname, port } = new URL(`http://${server.origin}`)
  const sockets: Socket[] = []
  /** Never answers the close frame, and so stays open. */
  const refused = async (): Promise<boolean> => {
    const socket = connectTo(Number(port), hostname)
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.write(`GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${HANDSHAKE}\r\n`)
    return new Promise((resolve) => {
      socket.once('data', () => resolve(true))
      socket.once('close', () => resolve(false))
    })
  }
  const told = (await Promise.all(Array.from({ length: 600 }, refused))).filter(Boolean).length
  for (const socket of sockets) socket.destroy()
  assert.ok(told >= 256 && told < 600, `${told} were told`)
})

void test('lets in no more connections than configured', async () => {
  await close()
  await open({ max_connections: 1 })
  const first = await connect()
  const second = new SocketClient(server.origin, ['openclaw.v1'], { headers: { authorization: 'Bearer secret' } })
  assert.equal(await second.closed, 4429)
  await first.close()
  while (host.gauges.get('websocket_connections_active')?.() !== 0) await tick()
  await connect()
})

void test('maps a message to account, conversation, sender and lane', async () => {
  const client = await connect()
  client.send({ type: 'message', id: 'm1', conversation: 'a/b c', payload: 'hi', metadata: { user_id: 'u', free: 1 }, agent: 'ops' })
  await client.next('ack')
  const { fingerprint, ...message } = host.handed[0] ?? { fingerprint: null }
  assert.match(fingerprint ?? '', /^[0-9a-f]{64}$/)
  assert.deepEqual(message, {
    key: 'admin:a%2Fb%20c:m1',
    lane: 'admin/a/b c',
    account: 'admin',
    tenant: 'default',
    peer: { kind: 'direct', id: 'a/b c', thread: null },
    sender: 'u',
    at: host.clock.now(),
    payload: { text: 'hi' },
    metadata: { user_id: 'u', free: 1, agent_id: 'ops' },
    agent: 'ops',
    reply: { chat: 'a/b c' },
  })
  server.allow('writer', principal('writer', 'messages:write'))
  const writer = await connect('writer')
  writer.send({ type: 'message', id: 'm1', payload: { a: [1] }, agent: 'ops' })
  await writer.next('ack')
  assert.deepEqual([host.handed[1]?.agent, host.handed[1]?.metadata.agent_id, host.handed[1]?.lane], [null, 'ops', 'writer/main'])
  assert.deepEqual(host.handed[1]?.payload, { json: { a: [1] } })
})

void test('acknowledges only what is durable', async () => {
  const client = await connect()
  host.hold()
  client.send({ type: 'message', id: 'm1', payload: 'x' })
  await host.handedIn(1)
  client.send({ type: 'ping' })
  await client.next('pong')
  assert.deepEqual(client.of('ack'), [])
  host.release()
  assert.deepEqual(await client.next('ack'), {
    type: 'ack',
    id: 'm1',
    message_id: [...host.documents.keys()][0],
    conversation: 'main',
    status: 'queued',
    duplicate: false,
  })
})

void test('answers an error that may be tried again if nothing was stored', async () => {
  const client = await connect()
  host.failure = new UnavailableError('The store is locked.', { code: 'STORE_LOCKED', retryAfterMs: 2_000 })
  client.send({ type: 'message', id: 'm1', payload: 'x' })
  assert.deepEqual(await client.next(), {
    type: 'error',
    id: 'm1',
    code: 'STORE_LOCKED',
    detail: 'The store is locked.',
    retryable: true,
    retry_after_ms: 2_000,
  })
  host.failure = new Error('secret inner detail')
  client.send({ type: 'message', id: 'm2', payload: 'x' })
  const { code, detail, retryable } = await client.next()
  assert.deepEqual([code, retryable], ['INTERNAL', true])
  assert.ok(typeof detail === 'string')
  assert.doesNotMatch(detail, /secret/)
  assert.deepEqual(client.of('ack'), [])
})

void test('answers a repeated id with the first message, also on another connection, and refuses other words', async () => {
  const client = await connect()
  client.send({ type: 'message', id: 'm1', payload: 'x' })
  const first = await client.next('ack')
  await client.close()
  const again = await connect()
  again.send({ type: 'message', id: 'm1', payload: { text: 'x' } })
  assert.deepEqual(await again.next('ack'), { ...first, duplicate: true })
  again.send({ type: 'message', id: 'm1', payload: 'y' })
  const { code, id, retryable } = await again.next('error')
  assert.deepEqual([code, id, retryable], ['IDEMPOTENCY_KEY_REUSED', 'm1', false])
  again.send({ type: 'message', id: 'm1', payload: 'y', conversation: 'other' })
  assert.equal((await again.next('ack'))['duplicate'], false)
})

void test('tells status, text as it comes, and the reply, and nothing of other conversations', async () => {
  const client = await connect()
  const other = await connect()
  other.send({ type: 'message', id: 'm1', conversation: 'other', payload: 'x' })
  await other.next('ack')
  client.send({ type: 'message', id: 'm1', payload: 'x' })
  const { message_id } = await client.next('ack')
  host.say(message_id as MessageId, 'hel')
  host.say(message_id as MessageId, null)
  const { seq } = host.finish(message_id as MessageId, 'hello \ud800')
  const about = { message_id, conversation: 'main' }
  assert.deepEqual(await client.next(), { type: 'delta', ...about, text: 'hel' })
  assert.deepEqual(await client.next(), { type: 'delta', ...about, text: null })
  assert.deepEqual(await client.next(), { type: 'reply', seq, ...about, index: 0, of: 1, text: 'hello \ud800' })
  assert.deepEqual(await client.next(), { type: 'status', ...about, status: 'done', reason: null })
  other.send({ type: 'ping' })
  await other.next('pong')
  assert.deepEqual(other.of('reply'), [])
})

void test('accepts 500 pipelined messages in their order, no more than 256 at once', async () => {
  const client = await connect()
  host.hold()
  for (let index = 0; index < 500; index++) client.send({ type: 'message', id: `m${index}`, payload: `x${index}` })
  await host.handedIn(256)
  for (let turn = 0; turn < 20; turn++) await tick()
  assert.equal(host.handed.length, 256)
  host.release()
  for (let index = 0; index < 500; index++) assert.equal((await client.next('ack'))['id'], `m${index}`)
  assert.deepEqual(
    host.handed.map(({ payload }) => payload),
    Array.from({ length: 500 }, (_, index) => ({ text: `x${index}` })),
  )
})

void test('keeps text exactly', async () => {
  const client = await connect()
  const texts = ['a\u0000b', '\u202Eabc', '👩‍👩‍👧', '\ud83d', 'x\udc00y']
  for (const [index, text] of texts.entries()) {
    client.send({ type: 'message', id: `m${index}`, payload: text })
    await client.next('ack')
    assert.deepEqual(host.handed[index]?.payload, { text })
  }
})

void test('answers a faulty frame with its faults and stays open', async () => {
  const client = await connect()
  const cases: readonly (readonly [JsonObject | string, string | null, RegExp])[] = [
    [{ type: 'mesage', id: 'm' }, 'm', /Did you mean "message"\?/],
    [{ id: 'm' }, 'm', /#\/type/],
    [{ type: 'constructor' }, null, /#\/type/],
    [{ type: 'message', payload: 'x' }, null, /#\/id/],
    [{ type: 'message', id: 'm'.repeat(129), payload: 'x' }, null, /#\/id/],
    [{ type: 'message', id: 'm', converstion: 'x', payload: 'x' }, 'm', /#\/converstion.*Did you mean .*"conversation/],
    [{ type: 'message', id: 'm', conversation: 'x'.repeat(129), payload: 'x' }, 'm', /#\/conversation/],
    [{ type: 'message', id: 'm', payload: '', agent: 5, metadata: { user_id: 1 } }, 'm', /#\/payload.*#\/metadata\/user_id.*#\/agent/],
    [`{"type":"message","id":"m","payload":${'['.repeat(40_000)}${']'.repeat(40_000)}}`, 'm', /32 deep/],
    [{ type: 'subscribe', since: -1 }, null, /#\/since/],
    [{ type: 'ping', extra: 1 }, null, /#\/extra/],
  ]
  for (const [frame, id, detail] of cases) {
    client.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
    const answer = await client.next('error')
    assert.deepEqual([answer['id'], answer['code'], answer['retryable']], [id, 'SCHEMA_VIOLATION', false])
    assert.ok(typeof answer['detail'] === 'string')
    assert.match(answer['detail'], detail)
  }
  client.send({ type: 'auth', token: 'secret' })
  assert.equal((await client.next('error'))['code'], 'ALREADY_AUTHENTICATED')
  client.send({ type: 'ping' })
  await client.next('pong')
  assert.equal(host.handed.length, 0)
})

void test('closes on what is no frame: 4400, 1007 and 1009', async () => {
  for (const garbage of ['{', '5', '[]', 'null', '']) {
    const client = await connect()
    client.send(garbage)
    assert.equal(await client.closed, 4400, garbage)
  }
  const binary = await connect()
  binary.socket.send(Buffer.from('{"type":"ping"}'))
  assert.equal(await binary.closed, 4400)
  const crooked = await connect()
  crooked.socket.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false })
  assert.equal(await crooked.closed, 1007)
  const huge = await connect()
  huge.send({ type: 'message', id: 'm', payload: 'x'.repeat(1_048_576) })
  assert.equal(await huge.closed, 1009)
  const large = await connect()
  large.send({ type: 'message', id: 'm', payload: 'x'.repeat(1_000_000) })
  await large.next('ack')
})

void test('closes 1009 on a guest whose frame is larger than 64 KiB, without reading all of it', async () => {
  for (const chars of [70_000, 900_000]) {
    const client = await guest()
    client.send({ type: 'auth', token: 'x'.repeat(chars) })
    assert.equal(await client.closed, 1009)
  }
  const endless = await guest()
  endless.socket.send('x'.repeat(80_000), { fin: false })
  assert.equal(await endless.closed, 1009)
})

void test('lets one connection listen to 100 conversations and no more', async () => {
  const client = await connect()
  for (let index = 0; index < 100; index++) client.send({ type: 'subscribe', conversation: `c${index}` })
  client.send({ type: 'message', id: 'm', conversation: 'c100', payload: 'x' })
  client.send({ type: 'message', id: 'n', conversation: 'c99', payload: 'x' })
  const { id, code } = await client.next('error')
  assert.deepEqual([id, code], ['m', 'TOO_MANY_CONVERSATIONS'])
  assert.equal((await client.next('ack'))['id'], 'n')
  assert.equal(client.of('subscribed').length, 100)
})

void test('closes 1013 on a reader who is too slow', async () => {
  const client = await connect()
  client.send({ type: 'subscribe' })
  await client.next('subscribed')
  client.socket.pause()
  const text = 'x'.repeat(100_000)
  for (let index = 0; index < 200 && host.feed.listeners > 0; index++) {
    host.announce('admin/main', host.store('admin/main', text))
    await tick()
  }
  assert.equal(host.feed.listeners, 0)
  client.socket.resume()
  assert.equal(await client.closed, 1013)
})

void test('pings, and drops who does not answer twice', async () => {
  const client = await connect()
  const mute = new SocketClient(server.origin, ['openclaw.v1'], { headers: { authorization: 'Bearer secret' }, autoPong: false })
  await mute.next('ready')
  let pings = 0
  client.socket.on('ping', () => pings++)
  for (let round = 0; round < 4; round++) {
    for (let second = 0; second < 30; second++) {
      host.clock.advance(1_000)
      await tick()
    }
    client.send({ type: 'ping' })
    await client.next('pong')
  }
  assert.equal(await mute.closed, 1006)
  assert.ok(pings >= 3, String(pings))
  assert.equal(client.socket.readyState, client.socket.OPEN)
  assert.equal(host.clock.pending, 1)
})

void test('reads nothing while paused, and goes on after', async () => {
  const client = await connect()
  channel.pause()
  client.send({ type: 'message', id: 'm', payload: 'x' })
  host.announce('admin/main', host.store('admin/main', 'nobody listens'))
  for (let turn = 0; turn < 20; turn++) await tick()
  assert.equal(host.handed.length, 0)
  channel.resume()
  assert.equal((await client.next('ack'))['id'], 'm')
})

void test('stops with 1001 after what was handed in is answered', async () => {
  const client = await connect()
  host.hold()
  client.send({ type: 'message', id: 'm', payload: 'x' })
  await host.handedIn(1)
  const stopped = channel.stop()
  client.send({ type: 'message', id: 'late', payload: 'x' })
  await tick()
  host.release()
  assert.equal((await client.next('ack'))['id'], 'm')
  assert.equal(await client.closed, 1001)
  await stopped
  assert.equal(host.handed.length, 1)
  const late = new SocketClient(server.origin)
  assert.equal(await late.closed, 1006)
})
