/** gRPC against the whole gateway: what is published is a message like any other, asked once however often it is sent, with the errors of the HTTP API. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type * as grpc from '@grpc/grpc-js'
import { GrpcReflection } from './reflection.ts'
import { run } from '../../../gateway/run.ts'
import type { Running } from '../../../gateway/run.ts'
import { clientOf, endOf, readAll, refused, struct, value } from './client.ts'
import type { Client, Message } from './client.ts'

describe('gRPC', { timeout: 60_000 }, () => {
  let dir: string
  let gateway: Running
  let client: Client
  let address: string
  let key: string

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'openclaw-grpc-'))
    const config = {
      server: { port: 0, metrics_port: 0 },
      grpc: { enabled: true, port: 0 },
      log: { level: 'silent' },
      agents: { main: { model: 'builtin/echo' }, other: { model: 'builtin/echo' } },
      fallback: 'main',
      skills: { sandbox: 'none' },
    }
    await writeFile(join(dir, 'openclaw.yaml'), JSON.stringify(config))
    const lines: string[] = []
    gateway = await run({ env: { OPENCLAW_DIR: dir }, print: (line) => lines.push(line) })
    address = /grpc +(127\.0\.0\.1:\d+)/.exec(lines.join('\n'))?.[1] ?? ''
    key = (await readFile(join(dir, '.openclaw', 'admin.key'), 'utf8')).trim()
    client = clientOf(address, key)
  })
  after(async () => {
    client.service.close()
    await gateway.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const http = async (path: string, init: { method?: string; json?: unknown } = {}): Promise<Message> => {
    const response = await fetch(new URL(path, gateway.url), {
      method: init.method ?? 'GET',
      headers: { authorization: `Bearer ${key}`, ...(init.json !== undefined && { 'content-type': 'application/json' }) },
      ...(init.json !== undefined && { body: JSON.stringify(init.json) }),
    })
    return (await response.json()) as Message
  }
  const keyWith = async (...scopes: readonly string[]): Promise<{ readonly id: string; readonly secret: string }> => {
    const made = await http('/v1/keys', { method: 'POST', json: { name: 'narrow', scopes } })
    return { id: String(made['id']), secret: String(made['key'] ?? made['secret']) }
  }

  test('what is published is stored before it is answered, as over HTTP', async () => {
    const { reply } = await client.ask('Publish', {
      payload: { text: 'stored' },
      topic: 'events',
      metadata: struct({ user_id: 'ann', deep: { list: [1, true, null, 'x'] } }),
    })
    assert.equal(reply['status'], 'queued')
    const message = await http(`/v1/messages/${String(reply['message_id'])}?wait=10`)
    assert.deepEqual(message['payload'], { text: 'stored' })
    assert.deepEqual(message['metadata'], { user_id: 'ann', deep: { list: [1, true, null, 'x'] }, topic: 'events' })
    assert.equal(message['status'], 'done')
  })

  test('JSON and bytes come as they were sent', async () => {
    const json = await client.ask('Publish', { payload: { json: value({ a: [{ b: null }] }) } })
    const binary = await client.ask('Publish', { payload: { binary: { data: Buffer.from([0, 255, 7]), media_type: 'image/png' } } })
    const [first, second] = await Promise.all([json, binary].map(({ reply }) => http(`/v1/messages/${String(reply['message_id'])}`)))
    assert.deepEqual(first?.['payload'], { json: { a: [{ b: null }] } })
    assert.deepEqual(second?.['payload'], { binary: 'AP8H', media_type: 'image/png' })
  })

  test('who waits gets the whole message', async () => {
    const { reply } = await client.ask('Publish', { payload: { text: 'wait for it' }, wait_seconds: 20 })
    assert.equal(reply['status'], 'done')
    assert.match(JSON.stringify(reply['message']), /You said: wait for it/)
  })

  test('the same key is one message, from metadata or from the message', async () => {
    const request = { payload: { text: 'once' } }
    const first = await client.ask('Publish', request, { metadata: client.meta({ 'idempotency-key': 'k1' }) })
    const again = await client.ask('Publish', { ...request, idempotency_key: 'k1' })
    assert.equal(again.reply['message_id'], first.reply['message_id'])
    assert.deepEqual(again.metadata.get('idempotency-replayed'), ['true'])
    const other = await refused(client.ask('Publish', { payload: { text: 'another' }, idempotency_key: 'k1' }))
    assert.deepEqual([other.status, other.code], ['INVALID_ARGUMENT', 'IDEMPOTENCY_KEY_REUSED'])
    assert.equal(other.problem['status'], 422)
    const both = await refused(
      client.ask('Publish', { ...request, idempotency_key: 'k2' }, { metadata: client.meta({ 'idempotency-key': 'k3' }) }),
    )
    assert.deepEqual([both.status, both.code], ['INVALID_ARGUMENT', 'IDEMPOTENCY_KEY_MISMATCH'])
  })

  test('an agent is asked and answers; one that is not there is not found', async () => {
    const { reply } = await client.ask('InvokeAgent', {
      agent: 'other',
      input: { text: 'are you there' },
      context: struct({ session_id: 's' }),
    })
    assert.equal(reply['status'], 'done')
    assert.equal(reply['output'], 'You said: are you there')
    const missing = await refused(client.ask('InvokeAgent', { agent: 'nobody', input: { text: 'x' } }))
    assert.deepEqual([missing.status, missing.code], ['NOT_FOUND', 'AGENT_UNKNOWN'])
  })

  test('metadata carries the channel label and the trace', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const metadata = client.meta({ 'x-channel-id': 'support', traceparent, 'x-forwarded-for': '9.9.9.9', cookie: 'a=b' })
    const { reply } = await client.ask('Publish', { payload: { text: 'labelled' } }, { metadata })
    const message = await http(`/v1/messages/${String(reply['message_id'])}`)
    const known = message['metadata'] as Message
    assert.equal(known['channel_id'], 'support')
    assert.equal(known['traceparent'], traceparent)
    assert.deepEqual(known['headers'], { 'x-channel-id': 'support' })
  })

  test('nobody, a wrong key and a narrow key are told apart', async () => {
    const publish = (other: string | null): ReturnType<typeof refused> =>
      refused(client.ask('Publish', { payload: { text: 'x' } }, { metadata: client.meta({}, other) }))
    const nobody = await publish(null)
    assert.deepEqual([nobody.status, nobody.code], ['UNAUTHENTICATED', 'UNAUTHENTICATED'])
    const wrong = await publish('ock_live_00000000_no')
    assert.deepEqual([wrong.status, wrong.code], ['UNAUTHENTICATED', 'CREDENTIAL_INVALID'])
    const narrow = await publish((await keyWith('messages:read')).secret)
    assert.deepEqual([narrow.status, narrow.code], ['PERMISSION_DENIED', 'INSUFFICIENT_SCOPE'])
    const events = client.service.Subscribe({}, client.meta({}, (await keyWith('messages:write')).secret))
    assert.equal((await endOf(events)).status, 'PERMISSION_DENIED')
    const talk = client.service.Chat(client.meta({}, (await keyWith('messages:read')).secret))
    assert.equal((await endOf(talk)).status, 'PERMISSION_DENIED')
  })

  test('every method needs a credential', async () => {
    for (const method of ['Publish', 'InvokeAgent', 'InvokeSkill'] as const) {
      assert.equal((await refused(client.ask(method, {}, { metadata: client.meta({}, null) }))).status, 'UNAUTHENTICATED', method)
    }
    assert.equal((await endOf(client.service.Subscribe({}, client.meta({}, null)))).status, 'UNAUTHENTICATED')
    assert.equal((await endOf(client.service.Chat(client.meta({}, null)))).status, 'UNAUTHENTICATED')
  })

  test('two keys are no key', async () => {
    const metadata = client.meta()
    metadata.add('idempotency-key', 'a')
    metadata.add('idempotency-key', 'b')
    const twice = await refused(client.ask('Publish', { payload: { text: 'x' } }, { metadata }))
    assert.deepEqual([twice.status, twice.code], ['INVALID_ARGUMENT', 'INVALID_IDEMPOTENCY_KEY'])
  })

  test('what is missing, deep, poisoned or not a text is refused and told', async () => {
    const none = await refused(client.ask('Publish', {}))
    assert.deepEqual([none.status, none.code], ['INVALID_ARGUMENT', 'SCHEMA_VIOLATION'])
    const nest = (depth: number): unknown => (depth === 0 ? 1 : [nest(depth - 1)])
    const deep = await refused(client.ask('Publish', { payload: { json: value(nest(40)) } }))
    assert.deepEqual([deep.status, deep.code], ['INVALID_ARGUMENT', 'JSON_REFUSED'])
    const poisoned = await refused(client.ask('Publish', { payload: { text: 'x' }, metadata: struct({ constructor: 1 }) }))
    assert.deepEqual([poisoned.status, poisoned.code], ['INVALID_ARGUMENT', 'JSON_REFUSED'])
  })

  /** Bytes of a message that no encoder makes. */
  const raw = (bytes: Buffer): ReturnType<typeof refused> =>
    refused(
      new Promise((resolve, reject) => {
        client.service.makeUnaryRequest(
          '/openclaw.v1.Gateway/Publish',
          (given: Buffer) => given,
          (given: Buffer) => given,
          bytes,
          client.meta(),
          (error, reply) => (error === null ? resolve(reply) : reject(error)),
        )
      }),
    )

  test('bytes that are no message, no UTF-8, or nested without end are refused, and the server lives', async () => {
    assert.deepEqual(
      [(await raw(Buffer.from([0xff, 0xff, 0xff]))).code, (await raw(Buffer.from([0x0a, 0x7f, 1]))).code],
      ['INVALID_MESSAGE', 'INVALID_MESSAGE'],
    )
    // payload { text: "\xff" }
    const text = await raw(Buffer.from([0x0a, 0x03, 0x0a, 0x01, 0xff]))
    assert.deepEqual([text.status, text.code], ['INVALID_ARGUMENT', 'INVALID_UTF8'])
    let nested: Buffer = Buffer.from([0x08, 0x00])
    const wrap = (tag: number, inner: Buffer): Buffer => {
      const length: number[] = []
      for (let n = inner.length; ; n >>>= 7) {
        length.push(n > 127 ? (n & 127) | 128 : n)
        if (n <= 127) break
      }
      return Buffer.concat([Buffer.from([tag, ...length]), inner])
    }
    // Value.list_value.values, a thousand times
    for (let i = 0; i < 1_000; i++) nested = wrap(0x32, wrap(0x0a, nested))
    assert.equal((await raw(wrap(0x0a, wrap(0x12, nested)))).status, 'INVALID_ARGUMENT')
    assert.equal((await client.ask('Publish', { payload: { text: 'still here' } })).reply['status'], 'queued')
  })

  test('a text with the replacement character in it is a text', async () => {
    const { reply } = await client.ask('Publish', { payload: { text: 'a \uFFFD b' } })
    assert.deepEqual((await http(`/v1/messages/${String(reply['message_id'])}`))['payload'], { text: 'a \uFFFD b' })
  })

  test('a message of more than the body limit is refused', async () => {
    const large = await refused(client.ask('Publish', { payload: { text: 'x'.repeat(1_100_000) } }))
    assert.equal(large.status, 'RESOURCE_EXHAUSTED')
  })

  test('events come as they happen, and again from where a client was', async () => {
    const stream = client.service.Subscribe({}, client.meta())
    const events = readAll(stream)
    await once(stream, 'metadata')
    const { reply } = await client.ask('Publish', { payload: { text: 'watched' }, wait_seconds: 20 })
    const seen: Message[] = []
    for await (const event of events) {
      seen.push(event)
      if (isDone(event, reply['message_id'])) break
    }
    assert.deepEqual(new Set(seen.map(({ type }) => type)), new Set(['message', 'reply']))
    const ids = seen.map(({ id }) => Number(id))
    assert.deepEqual(
      ids,
      ids.toSorted((a, b) => a - b),
    )
    const again = client.service.Subscribe({ after: (ids[0] ?? 0) - 1 }, client.meta())
    const replayed: Message[] = []
    for await (const event of readAll(again)) if (replayed.push(event) === seen.length) break
    assert.deepEqual(replayed, seen)
  })

  test('a subscription from a former life says that something is lost', async () => {
    const stream = client.service.Subscribe({ after: 1_000_000 }, client.meta())
    const { value: first } = await readAll(stream).next()
    assert.equal(first?.type, 'gap')
    stream.cancel()
  })

  test('a conversation is acknowledged, answered in order, and goes on where a client was', async () => {
    const stream = client.service.Chat(client.meta())
    const frames = readAll(stream)
    assert.equal(((await frames.next()).value as Message)['frame'], 'ready')
    stream.write({ subscribe: { conversation: 'c' } })
    for (const n of [1, 2, 3]) stream.write({ message: { id: `m${n}`, conversation: 'c', payload: { text: `number ${n}` } } })
    const acks: unknown[] = []
    const replies: Message[] = []
    for await (const frame of frames) {
      if (frame['frame'] === 'ack') acks.push((frame['ack'] as Message)['id'])
      if (frame['frame'] === 'reply') replies.push(frame['reply'] as Message)
      if (replies.length === 3) break
    }
    assert.deepEqual(acks, ['m1', 'm2', 'm3'])
    assert.deepEqual(
      replies.map(({ text }) => text),
      ['You said: number 1', 'You said: number 2', 'You said: number 3'],
    )
    const back = client.service.Chat(client.meta())
    back.write({ subscribe: { conversation: 'c', since: replies[0]?.['seq'] } })
    const missed: unknown[] = []
    for await (const frame of readAll(back)) {
      if (frame['frame'] === 'reply') missed.push((frame['reply'] as Message)['text'])
      if (frame['frame'] === 'subscribed') break
    }
    assert.deepEqual(missed, ['You said: number 2', 'You said: number 3'])
  })

  test('the same id in a conversation is one message, and other words under it are refused', async () => {
    const stream = client.service.Chat(client.meta())
    const message = { id: 'twice', conversation: 'd', payload: { text: 'once' } }
    stream.write({ message })
    stream.write({ message })
    stream.write({ message: { ...message, payload: { text: 'other' } } })
    stream.write({})
    stream.end()
    const seen: unknown[] = []
    for await (const frame of readAll(stream)) {
      if (frame['frame'] === 'ack') seen.push((frame['ack'] as Message)['duplicate'])
      if (frame['frame'] === 'error') seen.push((frame['error'] as Message)['code'])
    }
    assert.deepEqual(new Set(seen), new Set([false, true, 'IDEMPOTENCY_KEY_REUSED', 'SCHEMA_VIOLATION']))
    assert.equal(seen.length, 4)
  })

  test('a revoked key ends its streams', async () => {
    const { id, secret } = await keyWith('events:read', 'messages:write')
    const events = client.service.Subscribe({}, client.meta({}, secret))
    const talk = client.service.Chat(client.meta({}, secret))
    await Promise.all([once(talk, 'data'), once(events, 'metadata')])
    const ends = Promise.all([endOf(events), endOf(talk)])
    await fetch(new URL(`/v1/keys/${id}`, gateway.url), { method: 'DELETE', headers: { authorization: `Bearer ${key}` } })
    assert.deepEqual(
      (await ends).map(({ status }) => status),
      ['UNAUTHENTICATED', 'UNAUTHENTICATED'],
    )
  })

  test('health and the list of services are there for everybody', async () => {
    const reflection = new GrpcReflection(address)
    assert.deepEqual((await reflection.services()).toSorted(), ['grpc.health.v1.Health', 'openclaw.v1.Gateway'])
    assert.equal(await reflection.health(''), 'SERVING')
    assert.equal(await reflection.health('openclaw.v1.Gateway'), 'SERVING')
    reflection.close()
  })
})

const isDone = ({ type, data }: Message, id: unknown): boolean =>
  type === 'message' && JSON.stringify(data).includes(String(id)) && JSON.stringify(data).includes('"done"')

async function once(stream: grpc.ClientReadableStream<Message> | grpc.ClientDuplexStream<object, Message>, event: string): Promise<void> {
  await new Promise<void>((resolve) => stream.once(event, () => resolve()))
}
