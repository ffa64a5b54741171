/** The receivers' helper for TypeScript: every vector, replays, and the middleware in a real Express. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import express from 'express'
import { asEventId } from '#contract'
import { signedRequest } from '../../../gateway/webhooks/sign.ts'
import { webhookReceiver } from '../../../sdk/webhooks/typescript/express.ts'
import { MemoryNonceStore, SignatureVerificationError, verifyWebhook } from '../../../sdk/webhooks/typescript/verify-webhook.ts'
import { vectors } from './vectors.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const refused =
  (reason: string) =>
  (error: unknown): boolean =>
    error instanceof SignatureVerificationError && error.reason === reason
/** As the gateway sends it. */
const delivery = (at: number, nonce: string): ReturnType<typeof signedRequest> =>
  signedRequest({
    event: { id: asEventId('evt_1'), type: 'message.processed', createdAt: at, data: { message_id: 'msg-1' } },
    number: 1,
    at,
    nonce,
    secrets: [SECRET],
    userAgent: 'OpenClaw-Webhooks/1',
  })
const without = (headers: { readonly [name: string]: string }, prefix: string): { [name: string]: string } =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(prefix)))

describe('vectors', () => {
  for (const { name, scheme, secret, now, headers, body, accepted, reason } of vectors.requests) {
    if (scheme === 'github' || scheme === 'stripe') continue
    test(`${name}: ${accepted ? 'is taken' : reason}`, async () => {
      const verified = verifyWebhook(Buffer.from(body), headers, secret, { nonceStore: new MemoryNonceStore(), now: () => now * 1_000 })
      if (accepted) assert.deepEqual(await verified, body === '' ? null : JSON.parse(body))
      else await assert.rejects(verified, refused(reason ?? ''))
    })
  }
})

test('the very same request is taken once, an attempt that comes later is taken too, in either signature', async () => {
  const at = 1_800_000_000_000
  for (const drop of ['webhook-', 'x-openclaw-']) {
    const options = { nonceStore: new MemoryNonceStore(10, () => at), now: () => at }
    const [first, again] = [delivery(at, 'ab'.repeat(16)), delivery(at + 5_000, 'cd'.repeat(16))]
    const take = ({ headers, body }: typeof first): Promise<unknown> => verifyWebhook(body, without(headers, drop), SECRET, options)
    await take(first)
    await assert.rejects(take(first), refused('replayed'))
    await take(again)
  }
})

test('a request that was taken by one of its signatures is not taken again by the other', async () => {
  const at = 1_800_000_000_000
  const { headers, body } = delivery(at, 'ab'.repeat(16))
  // Whoever has seen a delivery has both, and may leave one away.
  for (const [first, then] of [
    ['x-openclaw-', 'webhook-'],
    ['webhook-', 'x-openclaw-'],
    ['nothing', 'x-openclaw-'],
  ] as const) {
    const options = { nonceStore: new MemoryNonceStore(10, () => at), now: () => at }
    await verifyWebhook(body, without(headers, first), SECRET, options)
    await assert.rejects(verifyWebhook(body, without(headers, then), SECRET, options), refused('replayed'))
  }
})

test('a request that does not verify uses up no nonce', async () => {
  const { headers, body } = delivery(Date.now(), 'ab'.repeat(16))
  const nonceStore = new MemoryNonceStore()
  await assert.rejects(verifyWebhook(`${body} `, headers, SECRET, { nonceStore }), refused('no_match'))
  await verifyWebhook(body, headers, SECRET, { nonceStore })
})

test('without a store of its own a replay in the same process is seen', async () => {
  const { headers, body } = delivery(Date.now(), '0123456789abcdef'.repeat(2))
  await verifyWebhook(body, new Headers(headers), SECRET)
  await assert.rejects(verifyWebhook(body, new Headers(headers), SECRET), refused('replayed'))
})

test('a request is remembered as long as its time would still do', async () => {
  let now = 1_800_000_000_000
  const nonceStore = new MemoryNonceStore(10, () => now)
  // Signed for five minutes from now: it does for ten.
  const { headers, body } = delivery(now + 300_000, 'ab'.repeat(16))
  const options = { nonceStore, now: () => now }
  await verifyWebhook(body, headers, SECRET, options)
  now += 600_999
  await assert.rejects(verifyWebhook(body, headers, SECRET, options), refused('replayed'))
  now += 1
  await assert.rejects(verifyWebhook(body, headers, SECRET, options), refused('too_old'))
})

test('the store in memory forgets what is over, and keeps to its bound', () => {
  let now = 0
  const store = new MemoryNonceStore(2, () => now)
  assert.deepEqual([store.insert('a', 10), store.insert('a', 10), store.insert('b', 20), store.insert('c', 30)], [true, false, true, true])
  assert.equal(store.insert('b', 20), false)
  assert.equal(store.insert('a', 10), true, 'the oldest went for a third')
  now = 30
  assert.equal(store.insert('c', 60), true, 'it was over')
})

test('a body that was parsed already is refused with a word on what to do', async () => {
  const { headers, body } = delivery(Date.now(), 'ab'.repeat(16))
  const parsed = JSON.parse(body) as Uint8Array
  await assert.rejects(verifyWebhook(parsed, headers, SECRET), (error: Error) => {
    assert.match(error.message, /express\.raw/)
    return refused('raw_body_needed')(error)
  })
})

test('a public key is no secret, so nothing that was made with it by HMAC passes', async () => {
  const { public_key: publicKey = '' } = vectors.signing.find(({ asymmetric }) => asymmetric !== undefined) ?? {}
  const at = 1_800_000_000_000
  const { headers, body } = signedRequest({
    event: { id: asEventId('evt_1'), type: 'message.processed', createdAt: at, data: {} },
    number: 1,
    at,
    nonce: 'ab'.repeat(16),
    secrets: [publicKey],
    userAgent: 'whoever has read the public key',
  })
  for (const drop of ['nothing', 'webhook-', 'x-openclaw-']) {
    const verified = verifyWebhook(body, without(headers, drop), publicKey, { now: () => at })
    await assert.rejects(verified, refused(drop === 'webhook-' ? 'header_missing' : 'no_match'))
  }
})

test('a secret that is not set opens nothing', async () => {
  const { headers, body } = delivery(Date.now(), 'ab'.repeat(16))
  const unset = process.env['OPENCLAW_TEST_NOT_SET'] as string
  await assert.rejects(verifyWebhook(body, headers, unset), refused('secret_missing'))
  await assert.rejects(verifyWebhook(body, headers, [unset]), refused('secret_missing'))
})

async function serve(
  context: TestContext,
  ...before: express.RequestHandler[]
): Promise<(attempt: ReturnType<typeof delivery>) => Promise<Response>> {
  const app = express()
  const receive = webhookReceiver(SECRET, { nonceStore: new MemoryNonceStore() })
  app.post('/hook', ...before, receive, (request: express.Request & { webhook?: unknown }, response) => void response.json(request.webhook))
  app.use((error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
    response.status(500).json({ error: error.message })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return ({ headers, body }) => fetch(`http://127.0.0.1:${port}/hook`, { method: 'POST', headers, body })
}

describe('in Express', () => {
  test('the handler gets the event, a stranger 401 and a replay 409', async (context) => {
    const post = await serve(context, express.raw({ type: '*/*' }))
    const attempt = delivery(Date.now(), 'ab'.repeat(16))
    const good = await post(attempt)
    assert.deepEqual([good.status, await good.json()], [200, JSON.parse(attempt.body)])
    const bad = await post({ ...attempt, body: `${attempt.body} ` })
    assert.deepEqual([bad.status, await bad.json()], [401, { error: 'no_match' }])
    const again = await post(attempt)
    assert.deepEqual([again.status, await again.json()], [409, { error: 'replayed' }])
  })

  for (const [what, before] of [
    ['parsed it first', [express.json()]],
    ['never read it', []],
  ] as const) {
    test(`a program that ${what} is told so, and not the sender`, async (context) => {
      const post = await serve(context, ...before)
      const answer = await post(delivery(Date.now(), 'ab'.repeat(16)))
      assert.equal(answer.status, 500)
      assert.match(await answer.text(), /express\.raw/)
    })
  }
})
