import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelFault, ConflictError, NotFoundError, asDeliveryId, isJsonObject, newDeliveryId } from '#contract'
import type { JsonObject, LinkRequest, LinkStep, MediaRef, Pairing } from '#contract'
import { channelView, messageView, problem, startServer } from './double.ts'
import { readEvents } from './events.ts'

const json = async (response: Response): Promise<JsonObject> => (await response.json()) as JsonObject

async function eventsOf(response: Response): Promise<readonly { readonly event: string; readonly data: JsonObject }[]> {
  const events: { readonly event: string; readonly data: JsonObject }[] = []
  for await (const { event, data } of readEvents(response)) if (isJsonObject(data)) events.push({ event, data })
  return events
}

const pairing = (code: string): Pairing => ({
  channel: 'phone',
  code,
  sender: `s-${code}`,
  aliases: ['+491'],
  status: 'open',
  createdAt: 0,
  expiresAt: 3_600_000,
  notice: newDeliveryId(0),
  noticedAt: 1_000,
})

test('channels are listed and shown with their state, what they can and who may write', async (t) => {
  const { hub, call } = await startServer(t)
  hub.channels.push(
    channelView('phone', {
      state: 'linking',
      reason: 'scan the code',
      lastInboundAt: 0,
      isLinkable: true,
      openPairings: 2,
      access: { direct: 'pairing', allow: ['ann'], group: 'off', groupAllow: ['g'], isMentionRequired: true, bots: 'ignore' },
    }),
    channelView('queue'),
  )
  const phone = {
    name: 'phone',
    kind: 'phone',
    state: 'linking',
    reason: 'scan the code',
    paused: false,
    delivery: 'push',
    last_inbound_at: '1970-01-01T00:00:00.000Z',
    last_sent_at: null,
    capabilities: {
      strangers: false,
      groups: true,
      threads: false,
      media: true,
      typing: false,
      link: true,
      max_text: { max: 4_096, unit: 'utf16' },
    },
    access: { access: 'pairing', allow: ['ann'], group_access: 'off', group_allow: ['g'], require_mention: true, bots: 'ignore' },
    open_pairings: 2,
  }
  assert.deepEqual(await json(await call('/v1/channels/phone')), phone)
  const { data } = (await json(await call('/v1/channels'))) as { data: readonly JsonObject[] }
  assert.deepEqual(data[0], phone)
  assert.equal(data[1]?.['access'], null)
  assert.equal((await problem(await call('/v1/channels/none'), 404))['code'], 'CHANNEL_UNKNOWN')
})

test('a channel is paused and resumed', async (t) => {
  const { hub, call } = await startServer(t)
  hub.channels.push(channelView('phone'))
  for (const [verb, paused] of [
    ['pause', true],
    ['pause', true],
    ['resume', false],
  ] as const) {
    assert.equal((await json(await call(`/v1/channels/phone/${verb}`, { method: 'POST' })))['paused'], paused)
    assert.equal(hub.channels[0]?.isPaused, paused)
    assert.equal((await problem(await call(`/v1/channels/none/${verb}`, { method: 'POST' }), 404))['code'], 'CHANNEL_UNKNOWN')
  }
})

test('reading keys may look at channels and change nothing', async (t) => {
  const { hub, call, keyFor } = await startServer(t)
  hub.channels.push(channelView('phone'))
  const { secret } = await keyFor(['channels:read'])
  const ask = (method: string, path: string): Promise<Response> => call(path, { method, headers: { authorization: `Bearer ${secret}` } })
  for (const path of ['/v1/channels', '/v1/channels/phone', '/v1/channels/phone/pairings', '/v1/channels/phone/grants'])
    assert.equal((await ask('GET', path)).status, 200)
  for (const [method, path] of [
    ['POST', 'pause'],
    ['POST', 'resume'],
    ['POST', 'send'],
    ['POST', 'link'],
    ['POST', 'pairings/X/approve'],
    ['DELETE', 'pairings/X'],
    ['DELETE', 'grants/X'],
  ] as const)
    await problem(await ask(method, `/v1/channels/phone/${path}`), 403)
  await problem(await ask('GET', '/v1/deliveries/x'), 403)
  await problem(await ask('GET', '/v1/messages/x/media/0'), 403)
})

test('something is sent by a channel, once for each key, and its delivery shown', async (t) => {
  const { hub, call } = await startServer(t)
  hub.channels.push(channelView('phone'))
  const send = (body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    call('/v1/channels/phone/send', { method: 'POST', json: body, headers })
  const said = { to: { chat: '42', thread: '7', kind: 'group' }, text: 'hello' }
  const first = await send(said, { 'idempotency-key': 'k' })
  assert.equal(first.status, 202)
  assert.equal(first.headers.get('location'), '/v1/deliveries/dlv-1')
  assert.deepEqual(await first.json(), { delivery_id: 'dlv-1' })
  assert.deepEqual(await (await send(said, { 'idempotency-key': 'k' })).json(), { delivery_id: 'dlv-1' })
  await send({ to: { chat: '42' }, extra: { template: 't' } })
  assert.deepEqual(hub.posted, [
    { channel: 'phone', lane: '42/7', to: { chat: '42', thread: '7', kind: 'group' }, text: 'hello' },
    { channel: 'phone', lane: '42', to: { chat: '42' }, rendered: { text: '', extra: { template: 't' } } },
  ])
  for (const wrong of [{ text: 'x' }, { to: { chat: '' }, text: 'x' }, { to: { chat: 'x' } }, { to: { chat: 'x', more: 1 }, text: 'x' }])
    await problem(await send(wrong), 422)
  assert.equal((await problem(await call('/v1/channels/none/send', { method: 'POST', json: said }), 404))['code'], 'CHANNEL_UNKNOWN')

  hub.deliveries.push({
    id: asDeliveryId('dlv-1'),
    seq: 1,
    messageId: null,
    channel: 'phone',
    lane: '42/7',
    to: { chat: '42' },
    text: 'hello',
    index: 0,
    of: 1,
    status: 'dead',
    attempts: 2,
    error: { code: 'GONE', message: 'There is no such chat.' },
    platformId: null,
    news: null,
    createdAt: 0,
    dueAt: null,
    doneAt: 1_000,
  })
  assert.deepEqual(await json(await call('/v1/deliveries/dlv-1')), {
    id: 'dlv-1',
    channel: 'phone',
    message_id: null,
    text: 'hello',
    index: 0,
    of: 1,
    status: 'dead',
    attempts: 2,
    reason: { code: 'GONE', message: 'There is no such chat.' },
    platform_id: null,
    news: null,
    created_at: '1970-01-01T00:00:00.000Z',
    due_at: null,
    done_at: '1970-01-01T00:00:01.000Z',
  })
  assert.equal((await problem(await call('/v1/deliveries/none'), 404))['code'], 'DELIVERY_NOT_FOUND')
})

test('strangers are approved or denied by their code, and revoked by their name', async (t) => {
  const { hub, call } = await startServer(t)
  hub.channels.push(channelView('phone'))
  hub.pairings.push(pairing('AAAA2222'), pairing('BBBB3333'), { ...pairing('CCCC4444'), channel: 'other' })
  const at = '/v1/channels/phone'
  const { data } = (await json(await call(`${at}/pairings`))) as { data: readonly JsonObject[] }
  assert.deepEqual(data[0], {
    code: 'AAAA2222',
    sender: 's-AAAA2222',
    aliases: ['+491'],
    created_at: '1970-01-01T00:00:00.000Z',
    expires_at: '1970-01-01T01:00:00.000Z',
    noticed_at: '1970-01-01T00:00:01.000Z',
  })
  assert.equal(data.length, 2)
  const grant = { sender: 's-AAAA2222', aliases: ['+491'], since: '2030-01-01T00:00:00.000Z', by: 'tester' }
  assert.deepEqual(await json(await call(`${at}/pairings/AAAA2222/approve`, { method: 'POST' })), grant)
  assert.deepEqual(await json(await call(`${at}/grants`)), { data: [grant], cursor: null })
  assert.equal((await call(`${at}/pairings/BBBB3333`, { method: 'DELETE' })).status, 204)
  assert.equal((await call(`${at}/grants/${encodeURIComponent('s-AAAA2222')}`, { method: 'DELETE' })).status, 204)
  for (const [method, path, code] of [
    ['POST', `${at}/pairings/AAAA2222/approve`, 'PAIRING_NOT_FOUND'],
    ['DELETE', `${at}/pairings/BBBB3333`, 'PAIRING_NOT_FOUND'],
    ['DELETE', `${at}/grants/nobody`, 'GRANT_NOT_FOUND'],
    ['GET', '/v1/channels/none/grants', 'CHANNEL_UNKNOWN'],
    ['POST', '/v1/channels/none/pairings/CCCC4444/approve', 'CHANNEL_UNKNOWN'],
  ] as const)
    assert.equal((await problem(await call(path, { method }), 404))['code'], code)
})

test('linking shows each code drawn for a page and for a terminal, and how it ended', async (t) => {
  const { hub, call } = await startServer(t)
  hub.channels.push(channelView('phone', { isLinkable: true }))
  const asked: LinkRequest[] = []
  hub.link = async function* (_, request): AsyncGenerator<LinkStep> {
    asked.push(request)
    yield { show: 'qr', data: 'first' }
    yield { show: 'code', data: 'ABCD-1234' }
    yield { show: 'done', as: '+49 151' }
  }
  const link = (body?: unknown): Promise<Response> =>
    call('/v1/channels/phone/link', { method: 'POST', ...(body !== undefined && { json: body }) })
  const response = await link()
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  const [qr = assert.fail(), code, done, ...rest] = await eventsOf(response)
  assert.deepEqual([qr.event, qr.data['data']], ['qr', 'first'])
  const { svg, text } = qr.data
  assert.match(typeof svg === 'string' ? svg : '', /^<svg [\s\S]*<\/svg>$/)
  assert.match(typeof text === 'string' ? text : '', /[█▀▄]/)
  assert.deepEqual(
    [code, done],
    [
      { event: 'code', data: { data: 'ABCD-1234' } },
      { event: 'done', data: { as: '+49 151' } },
    ],
  )
  assert.deepEqual(rest, [])
  await eventsOf(await link({ phone: '+49 (151) 123-4567' }))
  assert.deepEqual(asked, [{ phone: null }, { phone: '491511234567' }])
  for (const phone of ['0151 1234567', 'mum', '123']) await problem(await link({ phone }), 422)
})

test('what stands in the way of linking is told, before it begins or in the middle', async (t) => {
  const { hub, call } = await startServer(t)
  hub.channels.push(channelView('phone', { isLinkable: true }))
  const link = (): Promise<Response> => call('/v1/channels/phone/link', { method: 'POST' })
  hub.link = () => {
    throw new ConflictError('It has a token.', { code: 'CHANNEL_NOT_LINKABLE' })
  }
  assert.equal((await problem(await link(), 409))['code'], 'CHANNEL_NOT_LINKABLE')
  hub.link = async function* (): AsyncGenerator<LinkStep> {
    yield { show: 'blocked', why: 'Too often.' }
    throw new ChannelFault('The platform went away.', { code: 'WENT_AWAY', fault: { is: 'transient', maybeSent: false } })
  }
  assert.deepEqual(await eventsOf(await link()), [
    { event: 'blocked', data: { why: 'Too often.' } },
    { event: 'error', data: { code: 'WENT_AWAY', message: 'The platform went away.' } },
  ])
})

test('linking ends when nobody looks any more', async (t) => {
  const { hub, call } = await startServer(t)
  hub.channels.push(channelView('phone', { isLinkable: true }))
  const ended = Promise.withResolvers<void>()
  hub.link = async function* (_, __, signal): AsyncGenerator<LinkStep> {
    yield { show: 'qr', data: 'first' }
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    ended.resolve()
  }
  const client = new AbortController()
  const response = await call('/v1/channels/phone/link', { method: 'POST', signal: client.signal })
  await response.body?.getReader().read()
  client.abort()
  await ended.promise
})

const REF: MediaRef = { id: 'file-1', media_type: 'image/png', name: "it's (a) “photo”.png" }

test('what came with a message is handed out to be saved, never to be shown', async (t) => {
  const { hub, call } = await startServer(t)
  const page: MediaRef = { id: 'file-2', media_type: 'text/html' }
  const odd: MediaRef = { id: 'file-3', media_type: 'image/png\r\nset-cookie: a=b' }
  const view = messageView(1, { channel: 'phone' })
  hub.messages.push({ ...view, envelope: { ...view.envelope, metadata: { media: [REF, page, odd] } } }, messageView(2))
  hub.media = async (channel, ref) => ({ bytes: Buffer.from(`${channel} ${ref.id}`), mediaType: 'application/x-other' })
  const response = await call('/v1/messages/msg-1/media/0')
  assert.equal(await response.text(), 'phone file-1')
  const { headers } = response
  assert.equal(headers.get('content-type'), 'image/png')
  assert.equal(headers.get('content-length'), '12')
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
  assert.equal(headers.get('content-disposition'), "attachment; filename*=UTF-8''it%27s%20%28a%29%20%E2%80%9Cphoto%E2%80%9D.png")
  const html = await call('/v1/messages/msg-1/media/1')
  assert.equal(html.headers.get('content-disposition'), 'attachment')
  assert.match(html.headers.get('content-security-policy') ?? '', /default-src 'none'/)
  assert.equal((await call('/v1/messages/msg-1/media/2')).headers.get('content-type'), 'application/octet-stream')
  for (const path of ['msg-1/media/3', 'msg-1/media/-1', 'msg-1/media/x', 'msg-2/media/0'])
    assert.equal((await problem(await call(`/v1/messages/${path}`), 404))['code'], 'MEDIA_NOT_FOUND')
  assert.equal((await problem(await call('/v1/messages/none/media/0'), 404))['code'], 'MESSAGE_NOT_FOUND')
})

test('media that is gone is not found, media that cannot be had now is asked for again later', async (t) => {
  const { hub, call } = await startServer(t)
  const view = messageView(1)
  hub.messages.push({ ...view, envelope: { ...view.envelope, metadata: { media: [REF] } } })
  const fault = (is: 'permanent' | 'transient'): ChannelFault =>
    new ChannelFault('no', { code: 'PLATFORM', fault: is === 'permanent' ? { is } : { is, maybeSent: false } })
  for (const [error, status] of [
    [fault('permanent'), 404],
    [new NotFoundError('gone', { code: 'MEDIA_NOT_FOUND' }), 404],
    [fault('transient'), 503],
  ] as const) {
    hub.media = async () => {
      throw error
    }
    await problem(await call('/v1/messages/msg-1/media/0'), status)
  }
})
