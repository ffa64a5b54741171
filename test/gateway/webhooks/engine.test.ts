import assert from 'node:assert/strict'
import { createPublicKey, createSecretKey, verify } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { UnavailableError } from '#contract'
import { Registry } from '../../../gateway/observe/metrics.ts'
import { ownSignature } from '../../../gateway/webhooks/sign.ts'
import { message } from '../../contract/store/given.ts'
import type { Received } from '../../support/receiver.ts'
import { Receiver } from '../../support/receiver.ts'
import { SECRET, World } from './given.ts'

const S = 1_000
const H = 3_600 * S
const DAY = 24 * H
const numbers = (received: readonly Received[]): readonly unknown[] => received.map(({ body }) => JSON.parse(body).data.n)
const answering =
  (status: number, headers: { readonly [name: string]: string } = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end('so it goes')

test('an event arrives signed both ways, and the log has what was asked and answered', async (context) => {
  const world = await World.open(context)
  const { id, secret } = await world.webhook()
  await world.emit(7)
  const [got] = await world.receiver.until(1)
  assert.ok(got)
  const { 'webhook-timestamp': timestamp = '', 'x-openclaw-nonce': nonce = '' } = got.headers
  assert.equal(got.headers['x-openclaw-signature'], ownSignature(secret, { body: got.body, timestamp, nonce }))
  assert.equal(got.headers['user-agent'], 'OpenClaw-Webhooks/1.2.3')
  // The library looks at its own clock, which the test does not move.
  const headers = { 'webhook-id': got.headers['webhook-id'] ?? '', 'webhook-signature': got.headers['webhook-signature'] ?? '' }
  assert.throws(() => new Webhook(secret).verify(got.body, { ...headers, 'webhook-timestamp': timestamp }), /timestamp/)
  await world.until(1)
  const { delivery, attempts } = await world.last(id)
  assert.deepEqual([delivery.status, delivery.attempts, delivery.event.id], ['ok', 1, got.headers['webhook-id']])
  assert.deepEqual(
    attempts.map(({ number, status, error, response, isCut }) => [number, status, error, response, isCut]),
    [[1, 200, null, 'ok', false]],
  )
  assert.deepEqual([attempts[0]?.requestHeaders['x-openclaw-nonce'], attempts[0]?.requestHeaders['webhook-timestamp']], [nonce, timestamp])
})

test('the log shows nothing that would pass with the receiver, also where it answers with all it was sent and knows', async (context) => {
  const world = await World.open(context)
  const { id, secret } = await world.webhook()
  world.receiver.answer = (response, { headers }) => void response.writeHead(500).end(JSON.stringify({ headers, env: { SECRET: secret } }))
  await world.emit(1)
  await world.until(1)
  const [got] = world.receiver.received
  const { attempts } = await world.last(id)
  const kept = JSON.stringify(attempts)
  assert.match(kept, /"SECRET/)
  for (const secretly of [secret, got?.headers['x-openclaw-signature'], got?.headers['webhook-signature']?.slice('v1,'.length)])
    assert.ok(secretly !== undefined && !kept.includes(secretly))
})

test('a receiver that wants so many in a second gets no more, those asked for by hand included', async (context) => {
  const world = await World.open(context)
  const { id } = await world.webhook({ maxPerSecond: 2 })
  await world.webhooks.test('default', id)
  await world.until(1)
  for (let n = 0; n < 4; n++) await world.emit(n)
  for (const count of [2, 4, 5]) {
    await world.until(count)
    if (count === 5) break
    // What is left waits for its second: a timer says so.
    await world.clock.timerAt(world.clock.now() + S)
    assert.equal(world.receiver.received.length, count)
    world.clock.advance(S)
  }
  assert.equal(await world.store.webhooks.pending(), 0)
})

test('a webhook with a key pair signs with it as well, and through a rotation with both', async (context) => {
  const world = await World.open(context)
  const { id } = await world.webhook({ hasKeyPair: true })
  const keyOf = async (): Promise<string> => (await world.webhooks.get('default', id)).secrets[0]?.pair?.publicKey ?? assert.fail()
  const first = await keyOf()
  await world.emit(1)
  await world.until(1)
  await world.webhooks.rotate('default', id, H)
  const second = await keyOf()
  assert.notEqual(second, first)
  await world.emit(2)
  await world.until(2)
  world.clock.advance(H)
  await world.emit(3)
  await world.until(3)
  await world.webhooks.change('default', id, { hasKeyPair: false }, null)
  await world.emit(4)
  await world.until(4)
  await world.webhooks.change('default', id, { hasKeyPair: true }, null)
  assert.ok(![first, second].includes(await keyOf()))
  const verdicts = world.receiver.received.map(({ headers, body }) =>
    [first, second].map((publicKey) => {
      const x = Buffer.from(publicKey.slice('whpk_'.length), 'base64').toString('base64url')
      const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
      const words = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
      const given = headers['webhook-signature']?.split(' ').filter((one) => one.startsWith('v1a,')) ?? []
      return given.some((one) => verify(null, words, key, Buffer.from(one.slice('v1a,'.length), 'base64')))
    }),
  )
  assert.deepEqual(verdicts, [
    [true, false],
    [true, true],
    [false, true],
    [false, false],
  ])
  assert.doesNotMatch(JSON.stringify(await world.webhooks.get('default', id)), /whsk_/)
})

test('what led to an event is passed on with each attempt, from the row', async (context) => {
  const world = await World.open(context)
  await world.webhook({ events: ['message.received', 'message.processed'] })
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  world.receiver.answer = answering(500)
  const given = message('ann', 'hello')
  await world.store.inbox.accept({ ...given, envelope: { ...given.envelope, metadata: { ...given.envelope.metadata, traceparent } } })
  await world.emit(1)
  await world.until(1)
  world.clock.advance(5 * S)
  const received = await world.receiver.until(2)
  assert.deepEqual(
    received.map(({ headers }) => [headers['x-openclaw-event'], headers['traceparent']]),
    [
      ['message.received', traceparent],
      ['message.received', traceparent],
    ],
  )
})

test('what fails is tried again with the same id and all else new, then given up whole, and replayed', async (context) => {
  const world = await World.open(context)
  const { id } = await world.webhook()
  world.receiver.answer = answering(500)
  await world.emit(1)
  for (const [i, wait] of [0, 5 * S, 300 * S, 1_800 * S, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H].entries()) {
    if (i > 0) await world.clock.timerAt(world.clock.now() + wait)
    world.clock.advance(wait)
    await world.until(i + 1)
  }
  const received = await world.receiver.until(10)
  for (const header of ['webhook-id', 'x-openclaw-event']) assert.equal(new Set(received.map(({ headers }) => headers[header])).size, 1)
  for (const header of ['x-openclaw-nonce', 'x-openclaw-signature', 'webhook-timestamp', 'webhook-signature', 'x-openclaw-attempt'])
    assert.equal(new Set(received.map(({ headers }) => headers[header])).size, 10, header)
  assert.deepEqual(
    received.map(({ body }) => JSON.parse(body).attempt),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  )
  assert.equal((await world.last(id)).delivery.status, 'dead')
  const [letter] = await world.store.deadLetters.list({ tenant: 'default', kind: 'webhook' }, null, 9)
  assert.ok(letter)
  assert.deepEqual([letter.reason.code, letter.attempts], ['WEBHOOK_REFUSED', 10])
  world.receiver.answer = answering(200)
  await world.store.deadLetters.replay({ tenant: 'default', id: letter.id, now: world.clock.now(), route: null })
  await world.until(11)
  assert.equal((await world.last(id)).delivery.status, 'ok')
  assert.equal(received[10]?.headers['webhook-id'], received[0]?.headers['webhook-id'])
})

test('a redirect is a failure and is not followed', async (context) => {
  const world = await World.open(context)
  const elsewhere = await Receiver.open(context)
  const { id } = await world.webhook()
  world.receiver.answer = answering(307, { location: elsewhere.url })
  await world.emit(1)
  await world.until(1)
  const { delivery, attempts } = await world.last(id)
  assert.deepEqual([delivery.status, attempts[0]?.status, attempts[0]?.error?.code], ['pending', 307, 'WEBHOOK_REDIRECTED'])
  assert.equal(elsewhere.received.length, 0)
})

test('410 disables at once, the word of the receiver ends one event, 429 says when', async (context) => {
  const world = await World.open(context)
  const { id } = await world.webhook()
  world.receiver.answer = answering(429, { 'retry-after': '120' })
  await world.emit(1)
  await world.until(1)
  assert.equal((await world.last(id)).delivery.dueAt, world.clock.now() + 120 * S)
  world.receiver.answer = answering(400, { 'webhook-delivery': 'abort-message' })
  await world.emit(2)
  await world.until(2)
  assert.equal((await world.last(id)).delivery.status, 'failed')
  world.receiver.answer = answering(410)
  await world.emit(3)
  await world.until(3)
  const record = await world.webhooks.get('default', id)
  assert.deepEqual([record.status, record.disabledReason], ['disabled', 'gone'])
  assert.equal((await world.store.deadLetters.open()).count, 0)
  const [, , first] = await world.store.webhooks.deliveries({ tenant: 'default', webhook: id }, null, 9)
  assert.equal(first?.status, 'skipped')
})

test('one that hangs is left after fifteen seconds; one that answers with a gigabyte has still answered', async (context) => {
  const world = await World.open(context)
  const { id } = await world.webhook()
  world.receiver.answer = () => undefined
  await world.emit(1)
  await world.receiver.until(1)
  world.clock.advance(15 * S)
  await world.until(1)
  const hung = await world.last(id)
  assert.deepEqual(
    [hung.attempts[0]?.error?.code, hung.attempts[0]?.status, hung.attempts[0]?.latencyMs],
    ['OUTBOUND_TIMEOUT', null, 15_000],
  )
  assert.equal(hung.delivery.dueAt, world.clock.now() + 60 * S)
  world.receiver.answer = (response) => {
    const block = Buffer.alloc(1_048_576, 'x')
    let left = 1_024
    const more = (): void => {
      while (left-- > 0) if (!response.write(block)) return void response.once('drain', more)
      response.end()
    }
    more()
  }
  await world.emit(2)
  await world.until(2)
  const { delivery, attempts } = await world.last(id)
  assert.deepEqual([delivery.status, attempts[0]?.response?.length, attempts[0]?.isCut], ['ok', 16_384, true])
})

test('a webhook that hangs delays no other, and takes no more than its own lane', async (context) => {
  const world = await World.open(context)
  const hanging = await Receiver.open(context)
  hanging.answer = () => undefined
  await world.webhook({ url: hanging.url })
  await world.webhook()
  for (let n = 0; n < 300; n++) await world.emit(n)
  await world.until(300)
  assert.deepEqual(new Set(numbers(world.receiver.received)).size, 300)
  assert.equal(hanging.received.length, 4)
})

test('a backlog larger than what is held in mind drains whole, each event once', async (context) => {
  const world = await World.open(context)
  await world.webhooks.drain(0)
  await world.webhook()
  for (let n = 0; n < 450; n++) await world.emit(n)
  world.webhooks = world.make()
  world.webhooks.start(SECRET)
  await world.until(450)
  assert.deepEqual(
    numbers(world.receiver.received).toSorted((a, b) => Number(a) - Number(b)),
    Array.from({ length: 450 }, (_, n) => n),
  )
  assert.equal(await world.store.webhooks.pending(), 0)
})

test('a webhook in order gets one at a time, and what fails holds up the rest', async (context) => {
  const world = await World.open(context)
  await world.webhook({ ordering: 'fifo' })
  world.receiver.answer = (response, { body }) => void response.writeHead(JSON.parse(body).attempt === 1 ? 500 : 200).end()
  for (let n = 0; n < 5; n++) await world.emit(n)
  for (let n = 0; n < 5; n++) {
    await world.until(2 * n + 1)
    await world.clock.timerAt(world.clock.now() + 5 * S)
    world.clock.advance(5 * S)
    await world.until(2 * n + 2)
  }
  assert.deepEqual(numbers(world.receiver.received), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
})

test('after a rotation both secrets sign until the grace is over, then the new one alone', async (context) => {
  const world = await World.open(context)
  const { id, secret: old } = await world.webhook()
  const { secret: fresh, oldUntil } = await world.webhooks.rotate('default', id, H)
  assert.equal(oldUntil, world.clock.now() + H)
  const verifies = (secret: string, got: Received | undefined): boolean => {
    const { headers = {}, body = '' } = got ?? {}
    const { 'x-openclaw-timestamp': timestamp = '', 'x-openclaw-nonce': nonce = '' } = headers
    return (headers['x-openclaw-signature'] ?? '').split(',').includes(ownSignature(secret, { body, timestamp, nonce }))
  }
  await world.emit(1)
  await world.until(1)
  world.clock.advance(H)
  await world.emit(2)
  await world.until(2)
  const [during, after] = world.receiver.received
  assert.deepEqual([verifies(old, during), verifies(fresh, during)], [true, true])
  assert.deepEqual([verifies(old, after), verifies(fresh, after)], [false, true])
  for (let i = 0; i < 8; i++) await world.webhooks.rotate('default', id, H)
  assert.equal((await world.webhooks.get('default', id)).secrets.length, 6)
  await world.webhooks.rotate('default', id, 0)
  assert.equal((await world.webhooks.get('default', id)).secrets.length, 1)
})

test('a secret that cannot be opened is told, nothing unsigned is sent, and a rotation mends it', async (context) => {
  const world = await World.open(context)
  const { id } = await world.webhook()
  await world.webhooks.drain(0)
  world.webhooks = world.make()
  world.webhooks.start(createSecretKey(Buffer.alloc(32, 9)))
  await world.emit(1)
  await world.until(1)
  assert.equal((await world.last(id)).attempts[0]?.error?.code, 'WEBHOOK_SECRET_LOST')
  assert.equal(world.receiver.received.length, 0)
  await world.webhooks.rotate('default', id, H)
  await world.clock.timerAt(world.clock.now() + 5 * S)
  world.clock.advance(5 * S)
  await world.until(2)
  assert.equal((await world.last(id)).delivery.status, 'ok')
})

test('a name is judged at each attempt, however innocent it was when it was given', async (context) => {
  const answers = ['127.0.0.1', '169.254.169.254', '10.0.0.1', '::1', '0.0.0.0']
  let asked = 0
  const world = await World.open(context, {
    guard: {
      isHttpsOnly: false,
      resolve: async () => {
        const address = answers[Math.min(asked++, answers.length - 1)] ?? ''
        return [{ address, family: address.includes(':') ? 6 : 4 }]
      },
    },
  })
  const { id } = await world.webhook({ url: world.receiver.url.replace('127.0.0.1', 'rebind.example') })
  await world.emit(1)
  await world.until(1)
  for (let n = 2; n <= answers.length; n++) {
    await world.emit(n)
    await world.until(n)
    const { delivery, attempts } = await world.last(id)
    assert.deepEqual([delivery.status, attempts[0]?.error?.code], ['pending', 'OUTBOUND_REFUSED'])
  }
  assert.equal(world.receiver.received.length, 1)
})

test('a URL that leads inside is refused when it is given, and when it is changed', async (context) => {
  const world = await World.open(context, { guard: { allowNetworks: [] } })
  for (const url of ['https://127.0.0.1/', 'https://[::ffff:10.0.0.1]/', 'https://metadata.google.internal/', 'http://public.example/'])
    await assert.rejects(world.webhook({ url }), { code: 'URL_NOT_ALLOWED' }, url)
  const { id } = await world.webhook({ url: 'https://public.example/' })
  await assert.rejects(world.webhooks.change('default', id, { url: 'https://localhost/' }, null), { code: 'URL_NOT_ALLOWED' })
})

test('nothing but failures for five days disables a webhook, with warnings before', async (context) => {
  const world = await World.open(context)
  const watcher = await Receiver.open(context)
  const { id } = await world.webhook()
  await world.webhook({ url: watcher.url, events: ['endpoint.*'] })
  world.receiver.answer = answering(500)
  const startedAt = world.clock.now()
  while ((await world.webhooks.get('default', id)).status === 'enabled') {
    assert.ok(world.clock.now() < startedAt + 6 * DAY)
    await world.emit(0)
    await world.quiet()
    world.clock.advance(6 * H)
  }
  const told = await watcher.until(4)
  assert.deepEqual(
    told.map(({ body }) => JSON.parse(body)).map(({ type, data }) => [type, data.webhook_id, data.percent ?? data.reason]),
    [
      ['endpoint.failing', id, 50],
      ['endpoint.failing', id, 70],
      ['endpoint.failing', id, 90],
      ['endpoint.disabled', id, 'failing'],
    ],
  )
  assert.equal((await world.webhooks.get('default', id)).disabledReason, 'failing')
})

test('a test and a redelivery are one attempt each, also of a disabled webhook, and count for no streak', async (context) => {
  const world = await World.open(context)
  const { id } = await world.webhook()
  await world.emit(1)
  await world.until(1)
  await world.webhooks.change('default', id, { status: 'disabled' }, null)
  world.receiver.answer = answering(500)
  const tested = await world.webhooks.test('default', id)
  await world.until(2)
  const [first] = (await world.store.webhooks.deliveries({ tenant: 'default', webhook: id }, null, 9)).slice(-1)
  assert.ok(first)
  const again = await world.webhooks.redeliver('default', first.id)
  await world.until(3)
  const [original, test, repeat] = world.receiver.received
  assert.equal(test?.headers['x-openclaw-event'], 'webhook.test')
  assert.equal(repeat?.headers['webhook-id'], original?.headers['webhook-id'])
  for (const { id: delivery } of [tested, again]) {
    const found = await world.store.webhooks.delivery('default', delivery)
    assert.deepEqual([found?.delivery.status, found?.delivery.attempts], ['failed', 1])
  }
  const record = await world.webhooks.get('default', id)
  assert.deepEqual([record.failures, record.failingSince], [0, null])
  assert.equal((await world.store.deadLetters.open()).count, 0)
})

test('what is changed is in force for what waits already', async (context) => {
  const world = await World.open(context)
  const elsewhere = await Receiver.open(context)
  const { id } = await world.webhook()
  world.receiver.answer = () => undefined
  for (let n = 0; n < 9; n++) await world.emit(n)
  await world.receiver.until(4)
  await world.webhooks.change('default', id, { url: elsewhere.url }, null)
  world.clock.advance(15 * S)
  await world.until(9)
  assert.deepEqual([world.receiver.received.length, elsewhere.received.length], [4, 5])
  elsewhere.answer = () => undefined
  for (let n = 0; n < 9; n++) await world.emit(n)
  await elsewhere.until(9)
  await world.webhooks.change('default', id, { status: 'disabled' }, null)
  world.clock.advance(15 * S)
  await world.until(13)
  assert.equal(elsewhere.received.length, 9)
})

test('an end lets what is on its way arrive within its bound; what does not is sent again with the same id', async (context) => {
  const world = await World.open(context)
  await world.webhook()
  const held: ServerResponse[] = []
  world.receiver.answer = (response) => void held.push(response)
  await world.emit(1)
  await world.emit(2)
  await world.receiver.until(2)
  const draining = world.webhooks.drain(10 * S)
  held[0]?.writeHead(200).end()
  await world.until(1)
  world.clock.advance(10 * S)
  await draining
  assert.equal(world.settled, 1)
  assert.equal(await world.store.webhooks.pending(), 1)
  world.receiver.answer = answering(200)
  world.webhooks = world.make()
  world.webhooks.start(SECRET)
  const received = await world.receiver.until(3)
  await world.until(2)
  assert.equal(received[2]?.headers['x-openclaw-attempt'], '1')
  assert.ok(received.slice(0, 2).some(({ headers }) => headers['webhook-id'] === received[2]?.headers['webhook-id']))
})

test('while the store refuses, ends are kept in mind and written down later, and nothing is sent twice', async (context) => {
  let refusals = 3
  const world = await World.open(context, {
    settle: (settle) => (settlements) =>
      refusals-- > 0 ? Promise.reject(new UnavailableError('Locked.', { code: 'STORE_LOCKED' })) : settle(settlements),
  })
  const { id } = await world.webhook()
  await world.emit(1)
  await world.receiver.until(1)
  for (let i = 0; i < 3; i++) {
    await world.clock.timerAt(world.clock.now() + S)
    await world.emit(2 + i)
    world.clock.advance(S)
  }
  await world.until(4)
  assert.equal((await world.last(id)).delivery.status, 'ok')
  assert.deepEqual(new Set(numbers(world.receiver.received)).size, world.receiver.received.length)
})

test('webhooks are measured by whether they are told and why not, and results begin at 0', async (context) => {
  const metrics = new Registry()
  const world = await World.open(context, { metrics })
  const lines = async (): Promise<readonly string[]> =>
    (await metrics.text()).split('\n').filter((line) => /^openclaw_(webhooks|webhook_deliveries_total)\{/.test(line))
  assert.deepEqual(await lines(), [
    'openclaw_webhook_deliveries_total{result="ok"} 0',
    'openclaw_webhook_deliveries_total{result="retried"} 0',
    'openclaw_webhook_deliveries_total{result="dead"} 0',
    'openclaw_webhook_deliveries_total{result="failed"} 0',
    'openclaw_webhook_deliveries_total{result="gone"} 0',
    'openclaw_webhooks{status="enabled",reason="none"} 0',
    'openclaw_webhooks{status="disabled",reason="manual"} 0',
    'openclaw_webhooks{status="disabled",reason="failing"} 0',
    'openclaw_webhooks{status="disabled",reason="gone"} 0',
  ])
  await world.webhook({ events: ['pairing.requested'] })
  await world.webhook()
  world.receiver.answer = answering(410)
  await world.emit(1)
  await world.until(1)
  const after = await lines()
  assert.ok(after.includes('openclaw_webhooks{status="enabled",reason="none"} 1'))
  assert.ok(after.includes('openclaw_webhooks{status="disabled",reason="gone"} 1'))
  assert.ok(after.includes('openclaw_webhook_deliveries_total{result="gone"} 1'))
})
