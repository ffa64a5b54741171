import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FlowEvent, JsonObject, MessageView, ReplyView } from '#contract'
import { DEFAULT_TENANT, asDeliveryId, asTurnId } from '#contract'
import { Hub, messageView, problem, startServer } from './double.ts'
import { readEvents } from './events.ts'

const flow = (view: MessageView) => ({
  tenant: DEFAULT_TENANT,
  messageId: view.id,
  channel: 'http',
  lane: 'a',
  session: view.session,
  agent: 'main',
})
const statusEvent = (view: MessageView, status: MessageView['status']): FlowEvent => ({
  ...flow(view),
  type: 'message',
  status,
  reason: null,
})
const reply = (view: MessageView, seq: number, text: string): ReplyView => ({
  id: asDeliveryId(`dlv-${seq}`),
  seq,
  messageId: view.id,
  text,
  index: 0,
  of: 1,
  status: 'sent',
  attempts: 1,
  error: null,
  createdAt: 0,
})
const replyEvent = (view: MessageView, seq: number, text: string): FlowEvent => ({
  ...flow(view),
  type: 'reply',
  id: asDeliveryId(`dlv-${seq}`),
  replySeq: seq,
  index: 0,
  of: 1,
  text,
})

/** Resolves when somebody listens at the feed. */
async function listened(hub: Hub): Promise<void> {
  while (hub.feed.listeners === 0) await new Promise((resolve) => setImmediate(resolve))
}

test('a message is shown whole, with what it cost and what it was answered', async (t) => {
  const { hub, call } = await startServer(t)
  const view = messageView(1, {
    status: 'done',
    attempts: 1,
    doneAt: 1_000,
    envelope: { ...messageView(1).envelope, metadata: { channel_id: 'whatsapp', user_id: '123' } },
  })
  hub.messages.push(view)
  hub.replies.set('turn-1', [reply(view, 7, 'hi')])
  hub.steps.set('turn-1', [
    {
      key: 'llm:1',
      kind: 'llm',
      name: 'builtin/echo',
      status: 'done',
      attempts: 1,
      startedAt: 0,
      doneAt: 10,
      usage: { provider: 'builtin', model: 'echo', inputTokens: 1, outputTokens: 2, cacheReadTokens: 0, costNano: null, latencyMs: 3 },
      input: null,
      output: null,
    },
  ])
  assert.deepEqual(await (await call('/v1/messages/msg-1')).json(), {
    message_id: 'msg-1',
    status: 'done',
    channel: 'http',
    channel_id: 'whatsapp',
    agent: 'main',
    session: 'agent:main:http:admin:direct:a',
    sender_id: 'a',
    attempts: 1,
    reason: null,
    due_at: null,
    accepted_at: '1970-01-01T00:00:00.000Z',
    done_at: '1970-01-01T00:00:01.000Z',
    payload: { text: 'hello' },
    metadata: { channel_id: 'whatsapp', user_id: '123' },
    replies: [{ id: 'dlv-7', seq: 7, text: 'hi', index: 0, of: 1, status: 'sent' }],
    steps: [
      {
        key: 'llm:1',
        kind: 'llm',
        name: 'builtin/echo',
        status: 'done',
        attempts: 1,
        started_at: '1970-01-01T00:00:00.000Z',
        done_at: '1970-01-01T00:00:00.010Z',
        usage: {
          provider: 'builtin',
          model: 'echo',
          input_tokens: 1,
          output_tokens: 2,
          cache_read_tokens: 0,
          cost_nano: null,
          latency_ms: 3,
        },
        input: null,
        output: null,
      },
    ],
  })
  assert.equal((await problem(await call('/v1/messages/msg-2'), 404))['code'], 'MESSAGE_NOT_FOUND')
})

test('a list is paged to its end, and new messages do not shift it', async (t) => {
  const { hub, call } = await startServer(t)
  for (let seq = 1; seq <= 5; seq++) hub.messages.push(messageView(seq))
  const seen: unknown[] = []
  let path = '/v1/messages?limit=2'
  for (;;) {
    const { data, cursor } = (await (await call(path)).json()) as { data: readonly JsonObject[]; cursor: string | null }
    seen.push(...data.map((each) => each['message_id']))
    if (cursor === null) break
    hub.messages.push(messageView(100 + seen.length))
    path = `/api/v1/messages?limit=2&cursor=${cursor}`
  }
  assert.deepEqual(seen, ['msg-5', 'msg-4', 'msg-3', 'msg-2', 'msg-1'])
})

test('a page of large messages ends early, and the cursor leads to the rest', async (t) => {
  const { hub, call } = await startServer(t)
  const words = 'x'.repeat(900_000)
  for (let seq = 1; seq <= 30; seq++) {
    const view = messageView(seq)
    hub.messages.push({ ...view, envelope: { ...view.envelope, payload: { text: words } } })
  }
  const seen: unknown[] = []
  let pages = 0
  for (let path = '/v1/messages?limit=200'; ; pages++) {
    const text = await (await call(path)).text()
    assert.ok(text.length < 6 * 1024 * 1024, `a page of ${text.length} bytes`)
    const { data, cursor } = JSON.parse(text) as { readonly data: readonly JsonObject[]; readonly cursor: string | null }
    seen.push(...data.map((document) => document['message_id']))
    if (cursor === null) break
    path = `/v1/messages?limit=200&cursor=${cursor}`
  }
  assert.equal(new Set(seen).size, 30)
  assert.ok(pages >= 4, `${pages} pages`)
})

test('a cursor that was changed, or made for another filter or list, is refused', async (t) => {
  const { hub, call } = await startServer(t)
  for (let seq = 1; seq <= 3; seq++) hub.messages.push(messageView(seq))
  const { cursor } = (await (await call('/v1/messages?limit=1&status=queued')).json()) as { cursor: string }
  assert.equal((await call(`/v1/messages?limit=2&status=queued&cursor=${cursor}`)).status, 200)
  const [body = '', mac = ''] = cursor.split('.')
  const forged = Buffer.from(Buffer.from(body, 'base64url').toString().replace('"k":3', '"k":9')).toString('base64url')
  for (const path of [
    `/v1/messages?limit=1&cursor=${cursor}`,
    `/v1/messages?status=done&cursor=${cursor}`,
    `/v1/sessions?cursor=${cursor}`,
    `/v1/messages?status=queued&cursor=${forged}.${mac}`,
    `/v1/messages?status=queued&cursor=${body}`,
    `/v1/messages?status=queued&cursor=x.y`,
    '/v1/messages?status=queued&cursor=',
  ]) {
    assert.equal((await problem(await call(path), 400))['code'], 'INVALID_CURSOR', path)
  }
})

test('with wait the answer comes when the message has ended', async (t) => {
  const { hub, call } = await startServer(t)
  const view = messageView(1)
  hub.messages.push(view)
  const waiting = call('/v1/messages/msg-1?wait=30')
  await listened(hub)
  hub.feed.publish(statusEvent(view, 'running'))
  assert.equal(hub.feed.listeners, 1)
  hub.messages[0] = { ...view, status: 'done' }
  hub.feed.publish(statusEvent(view, 'done'))
  assert.equal(((await (await waiting).json()) as JsonObject)['status'], 'done')
  assert.equal(hub.feed.listeners, 0)
})

test('a message that ends while it is being read is not missed', async (t) => {
  const hub = new Hub()
  const { call } = await startServer(t, { hub })
  const view = messageView(1)
  hub.messages.push(view)
  const { inbox } = hub.services.store
  const get = inbox.get.bind(inbox)
  Object.assign(inbox, {
    get: async (tenant: string, id: MessageView['id']) => {
      const found = await get(tenant, id)
      hub.messages[0] = { ...view, status: 'dead' }
      hub.feed.publish(statusEvent(view, 'dead'))
      return found
    },
  })
  assert.equal(((await (await call('/v1/messages/msg-1?wait=30')).json()) as JsonObject)['status'], 'dead')
})

test('when the time is up the message is shown as it stands', async (t) => {
  const { hub, call } = await startServer(t)
  hub.messages.push(messageView(1, { status: 'running' }))
  const waiting = call('/v1/messages/msg-1?wait=2.5')
  await listened(hub)
  hub.clock.advance(2_500)
  assert.equal(((await (await waiting).json()) as JsonObject)['status'], 'running')
  await problem(await call('/v1/messages/msg-1?wait=301'), 400)
  await problem(await call('/v1/messages/msg-2?wait=1'), 404)
})

test('who stops waiting leaves nothing behind', async (t) => {
  const { hub, call } = await startServer(t)
  hub.messages.push(messageView(1))
  const abort = new AbortController()
  const waiting = call('/v1/messages/msg-1?wait=30', { signal: abort.signal })
  await listened(hub)
  abort.abort()
  await assert.rejects(waiting)
  while (hub.feed.listeners > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('a stream tells status, text as it comes, each reply once, and the end', async (t) => {
  const { hub, call } = await startServer(t)
  const view = messageView(1)
  hub.messages.push(view)
  const response = await call('/v1/messages/msg-1/stream')
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  assert.equal(response.headers.get('x-accel-buffering'), 'no')
  await listened(hub)
  const events = readEvents(response)
  assert.deepEqual((await events.next()).value, { event: 'status', data: { status: 'queued' } })
  hub.feed.publish(statusEvent(view, 'running'))
  hub.feed.publish(statusEvent(view, 'running'))
  hub.feed.publish({ ...flow(view), type: 'delta', text: 'he' })
  hub.feed.publish({ ...flow(view), type: 'delta', text: null })
  hub.feed.publish(replyEvent(view, 7, 'hi'))
  hub.messages[0] = { ...view, status: 'done' }
  hub.replies.set('turn-1', [reply(view, 7, 'hi'), reply(view, 8, 'there')])
  hub.feed.publish(statusEvent(view, 'done'))
  const rest = []
  for await (const event of events) rest.push(event)
  assert.deepEqual(rest, [
    { event: 'status', data: { status: 'running' } },
    { event: 'delta', data: { text: 'he' } },
    { event: 'delta', data: { text: null } },
    { event: 'reply', data: { seq: 7, text: 'hi', index: 0, of: 1 } },
    { event: 'reply', data: { seq: 8, text: 'there', index: 0, of: 1 } },
    { event: 'end', data: { status: 'done' } },
  ])
})

test('a stream that begins while the message ends tells the reply, and no text that led to it', async (t) => {
  const { hub, call } = await startServer(t)
  const view = messageView(1, { turn: asTurnId('turn-9') })
  hub.messages.push({ ...view, status: 'running' })
  const { inbox } = hub.services.store
  // It ends between two looks into the store.
  inbox.repliesOfTurn = async (turn) => {
    if (hub.replies.has(turn)) return hub.replies.get(turn) ?? []
    hub.feed.publish({ ...flow(view), type: 'delta', text: 'bye' })
    hub.replies.set('turn-9', [reply(view, 1, 'bye')])
    hub.messages[0] = { ...view, status: 'done' }
    hub.feed.publish(replyEvent(view, 1, 'bye'))
    hub.feed.publish(statusEvent(view, 'done'))
    return hub.replies.get(turn) ?? []
  }
  const events = []
  for await (const event of readEvents(await call('/v1/messages/msg-1/stream'))) events.push(event.event)
  assert.deepEqual(events, ['status', 'reply', 'end'])
})

test('the stream of a finished message gives its replies and the end at once', async (t) => {
  const { hub, call } = await startServer(t)
  const view = messageView(1, { status: 'done', turn: asTurnId('turn-9') })
  hub.messages.push(view)
  hub.replies.set('turn-9', [reply(view, 1, 'bye')])
  const events = []
  for await (const event of readEvents(await call('/v1/messages/msg-1/stream'))) events.push(event)
  assert.deepEqual(events, [
    { event: 'reply', data: { seq: 1, text: 'bye', index: 0, of: 1 } },
    { event: 'end', data: { status: 'done' } },
  ])
  await problem(await call('/v1/messages/msg-2/stream'), 404)
})
