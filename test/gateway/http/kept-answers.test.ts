import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnavailableError } from '#contract'
import { echoRoute, problem, startServer } from './double.ts'

const agent = (name: string, key: string, more: object = {}) => ({
  method: 'POST',
  headers: { 'idempotency-key': key },
  json: { name, ...more },
})

test('the same key gives the same answer, and the thing is done once', async (t) => {
  const { hub, call } = await startServer(t)
  const first = await call('/v1/agents', agent('a', 'k1', { version: '1', description: 'd' }))
  const again = await call('/api/v1/agents', { ...agent('a', '"k1"'), json: { description: 'd', version: '1', name: 'a' } })
  assert.equal(again.status, 201)
  assert.equal(again.headers.get('idempotency-replayed'), 'true')
  assert.equal(again.headers.get('location'), first.headers.get('location'))
  assert.equal(first.headers.get('idempotency-replayed'), null)
  assert.deepEqual(await again.json(), await first.json())
  assert.equal(hub.registrations, 1)
  const [kept] = hub.kept.values()
  assert.equal(kept?.expiresAt, hub.clock.now() + 24 * 3_600_000)
})

test('the same key with other content is 422', async (t) => {
  const { hub, call } = await startServer(t)
  await call('/v1/agents', agent('a', 'k1'))
  assert.equal(
    (await problem(await call('/v1/agents', agent('b', 'k1')), 422))['type'],
    'https://openclaw.dev/problems/idempotency-key-reused',
  )
  assert.equal(hub.registrations, 1)
})

test('a key belongs to its owner and its route', async (t) => {
  const { hub, call, keyFor } = await startServer(t)
  const { secret } = await keyFor(['*'], 'somebody')
  await call('/v1/agents', agent('a', 'k1'))
  const init = agent('b', 'k1')
  assert.equal((await call('/v1/agents', { ...init, headers: { ...init.headers, authorization: `Bearer ${secret}` } })).status, 201)
  await problem(await call('/v1/dead-letters/x/replay', { method: 'POST', headers: { 'idempotency-key': 'k1' } }), 404)
  assert.equal(hub.registrations, 2)
})

test('while the first is running the second is told so', async (t) => {
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const { call } = await startServer(t, {
    routes: [
      echoRoute({
        idempotency: 'kept',
        handle: async () => {
          entered.resolve()
          await gate.promise
          return { status: 202, body: 1 }
        },
      }),
    ],
  })
  const send = () => call('/v1/messages', { method: 'POST', headers: { 'idempotency-key': 'k' }, json: {} })
  const first = send()
  await entered.promise
  const second = await send()
  assert.equal(second.headers.get('retry-after'), '1')
  assert.equal((await problem(second, 409))['type'], 'https://openclaw.dev/problems/idempotency-in-progress')
  gate.resolve()
  assert.equal((await first).status, 202)
  assert.equal((await send()).headers.get('idempotency-replayed'), 'true')
})

test('what failed is not kept, so the same key may try again', async (t) => {
  let isDown = true
  const { hub, call } = await startServer(t, {
    routes: [
      echoRoute({
        idempotency: 'kept',
        handle: () => {
          if (isDown) throw new UnavailableError('Down.', { code: 'STORE_LOCKED' })
          return { status: 202, body: 1 }
        },
      }),
    ],
  })
  const send = () => call('/v1/messages', { method: 'POST', headers: { 'idempotency-key': 'k' }, json: {} })
  await problem(await send(), 503)
  assert.equal(hub.kept.size, 0)
  isDown = false
  assert.equal((await send()).status, 202)
})

test('what a former life began and did not finish is done again', async (t) => {
  const { hub, call } = await startServer(t)
  await call('/v1/agents', agent('a', 'k1'))
  for (const [key, kept] of hub.kept) hub.kept.set(key, { ...kept, answer: null })
  assert.equal((await call('/v1/agents', agent('a', 'k1'))).status, 201)
  assert.equal(hub.registrations, 2)
})

test('a key that is too long, or bare and not visible ASCII, is 400', async (t) => {
  const { call } = await startServer(t)
  for (const key of ['x'.repeat(256), '""', '"a', 'a b', 'ä']) {
    assert.equal((await problem(await call('/v1/agents', agent('a', key)), 400))['code'], 'INVALID_IDEMPOTENCY_KEY', key)
  }
})
