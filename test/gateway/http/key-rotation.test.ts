/** Secrets of a key that change, keys that stand in the configuration, and lists of many keys. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { asKeyId, textOf } from '#contract'
import type { JsonObject } from '#contract'
import { newSecret } from '../../../gateway/http/keys.ts'
import { Hub, problem, startServer } from './double.ts'
import type { Started } from './double.ts'

const as = (at: Started, secret: string, path = '/v1/channels'): Promise<Response> =>
  at.call(path, { headers: { authorization: `Bearer ${secret}` } })
const rotate = (at: Started, id: string, json: JsonObject = {}, secret = at.key): Promise<Response> =>
  at.call(`/v1/keys/${id}/rotate`, { method: 'POST', json, headers: { authorization: `Bearer ${secret}` } })
async function rotated(at: Started, id: string, json: JsonObject = {}): Promise<string> {
  const response = await rotate(at, id, json)
  assert.equal(response.status, 200)
  return ((await response.json()) as { secret: string }).secret
}

test('a rotated key has another secret, and the one before is refused by the next request', async (t) => {
  const at = await startServer(t)
  const { id, secret } = await at.keyFor(['channels:read'])
  assert.equal((await as(at, secret)).status, 200)
  const next = await rotated(at, id)
  assert.notEqual(next, secret)
  await problem(await as(at, secret), 401)
  assert.equal((await as(at, next)).status, 200)
  assert.ok(!JSON.stringify(at.hub.keyRecords).includes(next))
})

test('with grace both secrets count until it ends, and what the old one holds open ends then', async (t) => {
  const at = await startServer(t)
  const { id, secret } = await at.keyFor(['channels:read', 'events:read'])
  const stream = await as(at, secret, '/v1/events/stream')
  const over = stream.text()
  const next = await rotated(at, id, { grace_seconds: 3_600 })
  const document = (await (await at.call(`/v1/keys/${id}`)).json()) as JsonObject
  assert.equal(document['rotated_until'], '2030-01-01T01:00:00.000Z')
  const whoami = (await (await as(at, secret, '/v1/whoami')).json()) as JsonObject
  assert.equal(whoami['expires_at'], '2030-01-01T01:00:00.000Z')
  at.hub.clock.advance(3_599_000)
  assert.equal((await as(at, secret)).status, 200)
  assert.equal(at.hub.metrics.value('openclaw_http_streams_active'), 1)
  at.hub.clock.advance(1_000)
  await over
  await problem(await as(at, secret), 401)
  assert.equal((await as(at, next)).status, 200)
})

test('without grace what the old secret holds open is closed at once, a page that it signed in too', async (t) => {
  const at = await startServer(t)
  const { id, secret } = await at.keyFor(['channels:read', 'events:read'])
  const signIn = await at.call('/v1/console/session', { method: 'POST', json: { key: secret }, headers: { authorization: 'none' } })
  const cookie = signIn.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
  const page = (): Promise<Response> => at.call('/v1/channels', { headers: { authorization: 'none', cookie } })
  assert.equal((await page()).status, 200)
  const over = (await as(at, secret, '/v1/events/stream')).text()
  await rotated(at, id)
  await over
  await problem(await page(), 401)
})

test('a second rotation ends the secret before the last, grace or not; a restart changes none of it', async (t) => {
  const at = await startServer(t)
  const { id, secret: first } = await at.keyFor(['channels:read'])
  const second = await rotated(at, id, { grace_seconds: 604_800 })
  const third = await rotated(at, id, { grace_seconds: 604_800 })
  const hub = new Hub()
  hub.keyRecords.push(...at.hub.keyRecords)
  await hub.keys.start()
  t.after(() => hub.keys.stop())
  for (const { keys } of [at.hub, hub]) {
    assert.equal(keys.verify(first), 'unknown')
    assert.equal(typeof keys.verify(second), 'object')
    assert.equal(typeof keys.verify(third), 'object')
    assert.equal(typeof keys.proofOf(id), 'object')
  }
  at.hub.clock.advance(604_800_000)
  assert.equal(at.hub.keys.verify(second), 'revoked')
})

test('a key that ended is not rotated, a grace has its bounds, and revoking ends both secrets', async (t) => {
  const at = await startServer(t)
  const { id, secret } = await at.keyFor(['channels:read'])
  for (const grace_seconds of [-1, 604_801, 1.5, '60']) await problem(await rotate(at, id, { grace_seconds }), 422)
  const next = await rotated(at, id, { grace_seconds: 60 })
  await at.call(`/v1/keys/${id}`, { method: 'DELETE' })
  for (const each of [secret, next]) await problem(await as(at, each), 401)
  assert.equal((await problem(await rotate(at, id), 409))['code'], 'KEY_ENDED')
  assert.equal((await problem(await rotate(at, 'key-none'), 404))['code'], 'KEY_NOT_FOUND')
  assert.equal((await problem(await at.call('/v1/keys/key-none'), 404))['code'], 'KEY_NOT_FOUND')
})

test('nobody gets rights by rotating the key of somebody who has more, or another name', async (t) => {
  const at = await startServer(t)
  const mine = await at.keyFor(['keys:write', 'channels:read'], 'ops')
  const strong = await at.keyFor(['keys:write', 'config:write'], 'ops')
  const foreign = await at.keyFor(['channels:read'], 'alice')
  assert.equal((await problem(await rotate(at, strong.id, {}, mine.secret), 403))['code'], 'SCOPE_ESCALATION')
  assert.equal((await problem(await rotate(at, foreign.id, {}, mine.secret), 409))['code'], 'KEY_NAME_TAKEN')
  assert.equal((await rotate(at, mine.id, {}, mine.secret)).status, 200)
})

test('the key in the operator’s file is not rotated: the file would hold a dead one', async (t) => {
  const at = await startServer(t)
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-keys-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const { id } = await at.hub.keys.ensureAdmin(join(dir, 'admin.key'))
  assert.equal((await problem(await rotate(at, id), 409))['code'], 'KEY_IN_FILE')
})

test('a key of the configuration is recognised by its digest, listed without it, and changed in the file alone', async (t) => {
  const at = await startServer(t)
  const secret = newSecret(asKeyId('key-01ARZ3NDEKTSV4RRFFQ69G5FAV'))
  const key = { name: 'ci', sha256: hash('sha256', secret), scopes: ['channels:read'], roles: ['viewer'], tenant: 'default' }
  at.hub.keys.configure([key])
  assert.equal((await as(at, secret)).status, 200)
  const { data } = (await (await at.call('/v1/keys')).json()) as { readonly data: readonly JsonObject[] }
  const { id, from, prefix, roles } = data.at(-1) ?? {}
  assert.deepEqual([id, from, prefix, roles], ['config:ci', 'config', null, ['viewer']])
  assert.ok(!JSON.stringify(data).includes(key.sha256))
  assert.equal((await at.call('/v1/keys/config:ci')).status, 200)
  assert.equal((await problem(await rotate(at, 'config:ci'), 409))['code'], 'KEY_IN_CONFIG')
  assert.equal((await problem(await at.call('/v1/keys/config:ci', { method: 'DELETE' }), 409))['code'], 'KEY_IN_CONFIG')

  at.hub.keys.configure([{ ...key, scopes: [] }])
  await problem(await as(at, secret), 403)
  at.hub.keys.configure([{ ...key, tenant: 'acme' }])
  assert.equal(((await (await as(at, secret, '/v1/whoami')).json()) as JsonObject)['tenant'], 'acme')
  assert.equal((await at.call('/v1/keys/config:ci')).status, 404, 'it is another tenant’s now')
  at.hub.keys.configure([])
  await problem(await as(at, secret), 401)
})

test('keys are listed in pages, each once, also while others are made', async (t) => {
  const at = await startServer(t)
  for (let i = 0; i < 120; i++) await at.keyFor(['channels:read'], `k${i}`)
  const names: unknown[] = []
  for (let cursor: string | null = '', i = 0; cursor !== null && i < 10; i++) {
    const page = (await (await at.call(`/v1/keys?limit=50${cursor === '' ? '' : `&cursor=${cursor}`}`)).json()) as {
      readonly data: readonly JsonObject[]
      readonly cursor: string | null
    }
    names.push(...page.data.map(({ name }) => name))
    cursor = page.cursor
    if (i === 0) await at.keyFor(['channels:read'], 'late')
  }
  assert.deepEqual(names, ['tester', ...Array.from({ length: 120 }, (_, i) => `k${i}`), 'late'])
})

test('a cursor is of the tenant that it was given to', async (t) => {
  const { hub, call } = await startServer(t)
  const page = (secret: string, cursor = ''): Promise<Response> =>
    call(`/v1/keys?limit=1${cursor}`, { headers: { authorization: `Bearer ${secret}` } })
  const makers = ['acme', 'beta'].map(async (tenant) => {
    const key = { tenant, scopes: ['keys:read'], expiresAt: null }
    await hub.keys.create({ ...key, name: 'second' })
    return (await hub.keys.create({ ...key, name: 'admin' })).secret
  })
  const [acme = '', beta = ''] = await Promise.all(makers)
  const { cursor } = (await (await page(acme)).json()) as JsonObject
  assert.equal((await page(acme, `&cursor=${textOf(cursor)}`)).status, 200)
  assert.equal((await problem(await page(beta, `&cursor=${textOf(cursor)}`), 400))['code'], 'INVALID_CURSOR')
})

test('so many keys are valid at once and no more; one that ended makes room', async (t) => {
  const at = await startServer(t)
  const first = at.hub.keyRecords[0]
  assert.ok(first)
  for (let i = 1; i < 10_000; i++) at.hub.keyRecords.push({ ...first, id: asKeyId(`key-${i}`), hash: String(i).padStart(64, '0') })
  const hub = new Hub()
  hub.keyRecords.push(...at.hub.keyRecords)
  await hub.keys.start()
  t.after(() => hub.keys.stop())
  const key = { tenant: 'default', name: 'more', scopes: [], expiresAt: null }
  await assert.rejects(hub.keys.create(key), { code: 'TOO_MANY_KEYS' })
  await hub.keys.revoke('default', asKeyId('key-1'))
  await hub.keys.create(key)
})

test('one tenant’s keys, however many, valid or not, keep no other from making theirs', async (t) => {
  const { hub: former } = await startServer(t)
  const first = former.keyRecords[0]
  assert.ok(first)
  const filled = (tenant: string, count: number, revokedAt: number | null): void => {
    for (let i = 0; i < count; i++)
      hub.keyRecords.push({ ...first, tenant, id: asKeyId(`key-${tenant}-${i}`), hash: `${tenant}-${i}`, revokedAt })
  }
  const hub = new Hub()
  filled('valid', 10_000, null)
  for (const tenant of ['a', 'b', 'c', 'd']) filled(tenant, 20_000, 1)
  filled('e', 9_999, 1)
  await hub.keys.start()
  t.after(() => hub.keys.stop())
  const make = (tenant: string): Promise<unknown> => hub.keys.create({ tenant, name: 'more', scopes: [], expiresAt: null })
  for (const full of ['valid', 'a', 'd']) await assert.rejects(make(full), { code: 'TOO_MANY_KEYS' }, full)
  for (const free of ['other', 'default']) await make(free)
  await assert.rejects(make('yet another'), { code: 'TOO_MANY_KEYS' }, 'together there are so many')
  await make('default')
})
