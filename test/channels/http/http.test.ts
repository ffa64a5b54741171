/** The HTTP channel over a real socket: forms, mapping, idempotency, waiting, refusals. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { UnavailableError } from '#contract'
import type { Channel, JsonObject, MessageId, Principal } from '#contract'
import { http } from '../../../channels/http/http.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { RouteServer } from '../../support/route-server.ts'

let host: MemoryHost
let channel: Channel
let server: RouteServer

beforeEach(async () => {
  host = new MemoryHost('http')
  channel = http.create('http', {})
  server = await RouteServer.open(channel)
  await channel.start(host, new AbortController().signal)
})
afterEach(async () => {
  await server.close()
  await channel.stop()
  assert.equal(host.feed.listeners, 0)
  assert.equal(host.clock.pending, 0)
})

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: JsonObject
}

interface Call {
  readonly path?: string
  readonly headers?: { readonly [name: string]: string }
  readonly token?: string
  readonly signal?: AbortSignal
}

async function post(body: unknown, { path = '/v1/messages', headers = {}, token = 'secret', signal }: Call = {}): Promise<Answer> {
  const response = await fetch(`http://${server.origin}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as JsonObject }
}

const principal = (id: string, ...scopes: readonly string[]): Principal => ({
  id,
  credential: `key-${id}`,
  tenant: 'default',
  scopes: new Set(scopes),
})
const last = (): (typeof host.handed)[number] => {
  const message = host.handed.at(-1)
  assert.ok(message !== undefined)
  return message
}
/** Ends the message that is handed in as number `count`, once its acceptance is over and somebody waits for it. */
async function finishWhenWaitedFor(count: number, text: string): Promise<void> {
  await host.handedIn(count)
  while (host.feed.listeners === 0) await new Promise((resolve) => setImmediate(resolve))
  const id = [...host.documents.keys()].at(-1)
  assert.ok(id !== undefined)
  host.finish(id, text)
}

void test('answers 202 with the id once the message is durable, on both paths', async () => {
  for (const path of ['/v1/messages', '/messages']) {
    const { status, body } = await post({ payload: 'hi' }, { path })
    assert.equal(status, 202)
    assert.deepEqual(Object.keys(body), ['message_id', 'status'])
    assert.equal(body['status'], 'queued')
    assert.ok(host.documents.has(body['message_id'] as MessageId))
  }
  assert.equal(host.reads, 0)
})

void test('does not answer before the message is durable', async () => {
  host.hold()
  let answered = false
  const answer = post({ payload: 'hi' }).then((value) => {
    answered = true
    return value
  })
  await host.handedIn(1)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(answered, false)
  host.release()
  assert.equal((await answer).status, 202)
})

void test('maps a message to account, conversation, sender and lane', async () => {
  await post({ channel_id: 'whatsapp', payload: 'Hello agent', metadata: { user_id: '123', session_id: 'abc', free: [1] } })
  assert.deepEqual(
    { ...last(), metadata: { ...last().metadata } },
    {
      key: null,
      fingerprint: null,
      lane: 'admin/abc',
      account: 'admin',
      tenant: 'default',
      peer: { kind: 'direct', id: 'abc', thread: null },
      sender: '123',
      at: host.clock.now(),
      payload: { text: 'Hello agent' },
      metadata: { user_id: '123', session_id: 'abc', free: [1], channel_id: 'whatsapp' },
      agent: null,
      reply: { chat: 'abc' },
    },
  )
  const conversations: readonly (readonly [JsonObject, string, string])[] = [
    [{ payload: 'x' }, 'main', 'admin'],
    [{ payload: 'x', topic: 'events' }, 'topic:events', 'admin'],
    [{ payload: 'x', topic: 'events', metadata: { user_id: 'u' } }, 'u', 'u'],
    [{ payload: 'x', sender_id: 's', metadata: { user_id: 'u' } }, 'u', 's'],
  ]
  for (const [body, conversation, sender] of conversations) {
    await post(body)
    assert.deepEqual([last().peer.id, last().lane, last().sender], [conversation, `admin/${conversation}`, sender])
  }
})

void test('keeps principals apart, whatever letters their names have', async () => {
  server.allow('t1', principal('a', 'messages:write'))
  server.allow('t2', principal('a/b', 'messages:write'))
  await post({ payload: 'x', metadata: { session_id: 'b/c' } }, { token: 't1', headers: { 'idempotency-key': 'k' } })
  await post({ payload: 'x', metadata: { session_id: 'c' } }, { token: 't2', headers: { 'idempotency-key': 'k' } })
  assert.deepEqual(
    host.handed.map(({ lane, key }) => [lane, key]),
    [
      ['a/b/c', 'a:k'],
      ['a%2Fb/c', 'a%2Fb:k'],
    ],
  )
})

void test('merges the headers under the body', async () => {
  await post(
    { payload: 'x', metadata: { user_id: 'body' } },
    {
      headers: {
        'x-channel-id': 'slack',
        'x-openclaw-metadata': Buffer.from('{"user_id":"header","session_id":"s","name":"Zoë","channel_id":"no"}').toString('latin1'),
        'x-team': 'red',
        'x-api-key': 'hidden',
        'x-forwarded-for': '1.2.3.4',
        'x-real-ip': '1.2.3.4',
        'x-auth-token': 'hidden',
        'x-huge': 'y'.repeat(2_000),
        cookie: 'a=b',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      },
    },
  )
  assert.deepEqual(last().metadata, {
    user_id: 'body',
    session_id: 's',
    name: 'Zoë',
    channel_id: 'slack',
    headers: { 'x-channel-id': 'slack', 'x-team': 'red' },
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  })
  await post({ payload: 'x', channel_id: 'mine' }, { headers: { 'x-channel-id': 'slack', traceparent: '00-0-0-00' } })
  assert.equal(last().metadata.channel_id, 'mine')
  assert.equal(last().metadata.traceparent, undefined)
})

void test('asks for an agent only if the principal may', async () => {
  server.allow('writer', principal('writer', 'messages:write'))
  await post({ payload: 'x', agent_id: 'ops' })
  assert.equal(last().agent, 'ops')
  await post({ payload: 'x', metadata: { agent_id: 'ops' } }, { token: 'writer' })
  assert.deepEqual([last().agent, last().metadata.agent_id], [null, 'ops'])
})

void test('answers a repeated key with the first message, from header or body', async () => {
  const first = await post({ payload: 'x' }, { headers: { 'idempotency-key': '"k\\"1"' } })
  const second = await post(
    { payload: 'x', idempotency_key: 'k"1' },
    { headers: { 'x-request-id': 'other', 'idempotency-key': '"k\\"1"' } },
  )
  assert.equal(last().key, 'admin:k"1')
  assert.deepEqual([first.status, second.status], [202, 202])
  assert.equal(second.body['message_id'], first.body['message_id'])
  assert.equal(first.headers.get('idempotency-replayed'), null)
  assert.equal(second.headers.get('idempotency-replayed'), 'true')
})

void test('refuses the same key with other words', async () => {
  await post({ payload: 'x', idempotency_key: 'k' })
  for (const other of [{ payload: 'y' }, { payload: 'x', topic: 't' }, { payload: 'x', agent_id: 'a' }]) {
    const { status, body } = await post({ ...other, idempotency_key: 'k' })
    assert.deepEqual([status, body['code']], [422, 'IDEMPOTENCY_KEY_REUSED'])
  }
})

void test('refuses malformed and contradicting keys', async () => {
  for (const header of ['""', '"open', 'a"b"'.padEnd(256, 'x'), 'a b', '"caf\u00e9"', '"a", "b"']) {
    const { status, body } = await post({ payload: 'x' }, { headers: { 'idempotency-key': header } })
    assert.deepEqual([status, body['code']], [400, 'INVALID_IDEMPOTENCY_KEY'], header)
  }
  const { status, body } = await post({ payload: 'x', idempotency_key: 'a' }, { headers: { 'idempotency-key': 'b' } })
  assert.deepEqual([status, body['code']], [400, 'IDEMPOTENCY_KEY_MISMATCH'])
  assert.equal(host.handed.length, 0)
})

void test('refuses malformed bodies and headers with pointers', async () => {
  const refused = async (body: JsonObject, headers: { [name: string]: string } = {}): Promise<unknown> => {
    const answer = await post(body, { headers })
    assert.equal(answer.status, 400)
    assert.equal(answer.body['code'], 'SCHEMA_VIOLATION')
    return (answer.body['errors'] as readonly { pointer: string }[]).map(({ pointer }) => pointer)
  }
  assert.deepEqual(await refused({ payloads: 'x' }), ['#/payloads', '#/payload'])
  assert.deepEqual(await refused({ payload: 'x' }, { 'x-openclaw-metadata': '{' }), ['#/headers/x-openclaw-metadata'])
  assert.deepEqual(await refused({ payload: 'x' }, { 'x-openclaw-metadata': '[]' }), ['#/headers/x-openclaw-metadata'])
  assert.deepEqual(await refused({ payload: 'x' }, { 'x-openclaw-metadata': '{"user_id":1}' }), ['#/headers/x-openclaw-metadata/user_id'])
  assert.deepEqual(await refused({ payload: 'x' }, { 'x-channel-id': '\u00ff' }), ['#/headers/x-channel-id'])
  assert.equal(host.handed.length, 0)
})

void test('says 503 and when to come back if nothing was stored', async () => {
  host.failure = new UnavailableError('The store is locked.', { code: 'STORE_LOCKED', retryAfterMs: 2_000 })
  const { status, headers, body } = await post({ payload: 'x' })
  assert.deepEqual([status, headers.get('retry-after'), body['code']], [503, '2', 'STORE_LOCKED'])
})

void test('takes in nothing while paused or stopped', async () => {
  channel.pause()
  assert.deepEqual((await post({ payload: 'x' })).body['code'], 'CHANNEL_CLOSED')
  channel.resume()
  assert.equal((await post({ payload: 'x' })).status, 202)
  await channel.stop()
  assert.deepEqual((await post({ payload: 'x' })).body['code'], 'CHANNEL_CLOSED')
  assert.equal(host.handed.length, 1)
})

void test('waits for the end and answers with the document, at the cost of one read', async () => {
  const answer = post({ payload: 'x' }, { path: '/v1/messages?wait=30' })
  await finishWhenWaitedFor(1, 'hello')
  const { status, body } = await answer
  assert.deepEqual([status, body['status']], [200, 'done'])
  assert.equal((body['replies'] as readonly { text: string }[])[0]?.text, 'hello')
  assert.equal(host.reads, 1)
})

void test('answers 202 with the status of now when the time is up', async () => {
  const answer = post({ payload: 'x' }, { path: '/v1/messages?wait=5' })
  await host.handedIn(1)
  // Two waits: a second look after one second, then the rest.
  for (const ms of [1_000, 4_000]) {
    while (host.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
    host.clock.advance(ms)
  }
  const { status, body } = await answer
  assert.equal(status, 202)
  assert.equal(body['status'], 'queued')
})

void test('finds the end by a second look when the feed lost it', async () => {
  const answer = post({ payload: 'x' }, { path: '/v1/messages?wait=30' })
  while (host.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
  const [[id, document] = []] = host.documents
  assert.ok(id !== undefined)
  host.documents.set(id, { ...document, status: 'done' })
  host.clock.advance(1_000)
  assert.equal((await answer).status, 200)
})

void test('answers at once for a message that ended before: a repeated one, and one that no route takes', async () => {
  const first = await post({ payload: 'x', idempotency_key: 'k' })
  host.finish(first.body['message_id'] as MessageId, 'hello')
  const again = await post({ payload: 'x', idempotency_key: 'k' }, { path: '/v1/messages?wait=30' })
  assert.deepEqual([again.status, again.body['status'], again.headers.get('idempotency-replayed')], [200, 'done', 'true'])
  host.routes = false
  const dead = await post({ payload: 'x' }, { path: '/v1/messages?wait=30' })
  assert.deepEqual([dead.status, dead.body['status']], [200, 'dead'])
})

void test('stops waiting when the client is gone', async () => {
  const gone = new AbortController()
  const answer = post({ payload: 'x' }, { path: '/v1/messages?wait=30', signal: gone.signal })
  while (host.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(host.gauges.get('openclaw_http_waiting')?.(), 1)
  gone.abort()
  await assert.rejects(answer)
  while (host.feed.listeners > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(host.gauges.get('openclaw_http_waiting')?.(), 0)
  assert.equal(host.reads, 0)
})

void test('lets those who wait go when it stops, and stops only after they went', async () => {
  const answer = post({ payload: 'x' }, { path: '/v1/messages?wait=30' })
  while (host.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
  await channel.stop()
  assert.equal((await answer).status, 202)
})

void test('invokes an agent and answers with its words', async () => {
  const answer = post(
    { input: { query: 'status' }, context: { channel: 'telegram', session_id: 's' } },
    { path: '/v1/agents/ops%2F1/invoke' },
  )
  await finishWhenWaitedFor(1, 'all well')
  const { status, body } = await answer
  assert.equal(status, 200)
  assert.deepEqual([body['status'], body['output'], (body['replies'] as readonly unknown[]).length], ['done', 'all well', 1])
  const { agent, payload, metadata, lane } = last()
  assert.deepEqual({ agent, payload, lane }, { agent: 'ops/1', payload: { json: { query: 'status' } }, lane: 'admin/s' })
  assert.equal(metadata.channel_id, 'telegram')
})

void test('answers an invocation 202 after a minute, and refuses a malformed one', async () => {
  const answer = post({ input: 'status' }, { path: '/v1/agents/ops/invoke' })
  for (const ms of [1_000, 59_000]) {
    while (host.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
    host.clock.advance(ms)
  }
  assert.deepEqual([(await answer).status, (await answer).body['status']], [202, 'queued'])
  const { status, body } = await post({ imput: 'x' }, { path: '/v1/agents/ops/invoke' })
  assert.equal(status, 400)
  assert.deepEqual(
    (body['errors'] as readonly { pointer: string }[]).map(({ pointer }) => pointer),
    ['#/imput', '#/input'],
  )
  server.allow('writer', principal('writer', 'messages:write'))
  assert.equal((await post({ input: 'x' }, { path: '/v1/agents/ops/invoke', token: 'writer' })).status, 403)
})
