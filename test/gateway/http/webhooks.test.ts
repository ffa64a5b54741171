import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { noTracer } from '#contract'
import type { TestContext } from 'node:test'
import type { JsonObject } from '#contract'
import { GuardedClient } from '../../../gateway/guarded/client.ts'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { Webhooks } from '../../../gateway/webhooks/webhooks.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { inwardUrls, openCanary } from '../../support/inward-url.ts'
import { noMetrics } from '../../support/no-metrics.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { Hub, problem, startServer } from './double.ts'
import type { Started } from './double.ts'

/** The server over a real store, and an engine that nobody started: nothing is sent. */
async function started(t: TestContext): Promise<Started & { readonly store: SqliteStore; readonly ask: Ask }> {
  const hub = new Hub()
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-webhooks-'))
  const store = new SqliteStore({ file: join(dir, 'sessions.db'), log: quietLog, clock: hub.clock })
  await store.start()
  const clock = new FakeClock(hub.clock.now())
  const outbound = new GuardedClient({ clock, isHttpsOnly: true, resolve: () => Promise.reject(new Error('nothing is sent')) })
  const webhooks = new Webhooks({
    store: store.webhooks,
    outbound,
    clock,
    log: quietLog,
    metrics: noMetrics,
    tracer: noTracer,
    random: () => 0,
    version: '1',
  })
  webhooks.start(createSecretKey(Buffer.alloc(32, 7)))
  await webhooks.drain(0)
  const services = { ...hub.services, webhooks, store: { ...hub.services.store, webhooks: store.webhooks } }
  const server = await startServer(t, { hub, services })
  t.after(async () => {
    await store.stop()
    await rm(dir, { recursive: true })
  })
  const ask: Ask = async (method, path, json, headers = {}) => {
    const response = await server.call(path, { method, headers, ...(json !== undefined && { json }) })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? {} : (JSON.parse(text) as JsonObject) }
  }
  return { ...server, store, ask }
}
type Ask = (
  method: string,
  path: string,
  json?: unknown,
  headers?: { readonly [name: string]: string },
) => Promise<{ readonly status: number; readonly headers: Headers; readonly body: JsonObject }>

function idIn({ id }: JsonObject): string {
  assert.ok(typeof id === 'string')
  return id
}

const GIVEN = { url: 'https://hooks.example/in', events: ['message.processed', 'channel.*'] }

test('a webhook is made with its secret, which is shown nowhere again', async (t) => {
  const { ask, store } = await started(t)
  const made = await ask('POST', '/v1/webhooks', GIVEN)
  assert.equal(made.status, 201)
  const { secret, ...rest } = made.body
  const id = idIn(made.body)
  assert.ok(typeof secret === 'string' && secret.startsWith('whsec_'))
  assert.equal(made.headers.get('location'), `/v1/webhooks/${id}`)
  const at = '2030-01-01T00:00:00.000Z'
  const document = {
    ...GIVEN,
    description: null,
    ordering: 'none',
    rate: null,
    ed25519: false,
    status: 'enabled',
    disabled_reason: null,
    failing_since: null,
    failures: 0,
    secrets: [{ expires_at: null, public_key: null }],
    created_at: at,
    updated_at: at,
  }
  assert.deepEqual(rest, { id, ...document })
  const shown = await ask('GET', `/v1/webhooks/${id}`)
  assert.deepEqual([shown.body, shown.headers.get('etag')], [{ id, ...document }, '"1"'])
  assert.deepEqual((await ask('GET', '/v1/webhooks')).body, { data: [{ id, ...document }], cursor: null })
  const [record] = await store.webhooks.list('default', null, 9)
  assert.ok(!JSON.stringify(record).includes(secret))
  const rotated = await ask('POST', `/v1/webhooks/${id}/rotate-secret`, { grace_seconds: 60 })
  assert.deepEqual([rotated.status, rotated.body['old_until']], [200, '2030-01-01T00:01:00.000Z'])
  assert.notEqual(rotated.body['secret'], secret)
  assert.deepEqual((await ask('GET', `/v1/webhooks/${id}`)).body['secrets'], [
    { expires_at: null, public_key: null },
    { expires_at: '2030-01-01T00:01:00.000Z', public_key: null },
  ])
})

test('a secret that the receiver has already is taken, and repeated by nobody but the first answer', async (t) => {
  const { ask, store } = await started(t)
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const headers = { 'idempotency-key': 'once' }
  const made = await ask('POST', '/v1/webhooks', { ...GIVEN, secret }, headers)
  assert.deepEqual([made.status, made.body['secret']], [201, secret])
  assert.equal((await ask('POST', '/v1/webhooks', { ...GIVEN, secret }, headers)).body['secret'], null)
  const [record] = await store.webhooks.list('default', null, 9)
  assert.ok(!JSON.stringify([record, await ask('GET', '/v1/webhooks')]).includes(secret))
  for (const wrong of ['whsec_c2hvcnQ=', secret.slice(6), `whsec_${'A'.repeat(92)}`]) {
    const refused = await ask('POST', '/v1/webhooks', { ...GIVEN, secret: wrong })
    assert.deepEqual([refused.status, refused.body['code']], [422, 'WEBHOOK_SECRET_INVALID'])
    assert.deepEqual(
      (refused.body['errors'] as readonly JsonObject[]).map(({ pointer }) => pointer),
      ['#/secret'],
    )
    assert.ok(!JSON.stringify(refused.body).includes(wrong))
  }
  assert.equal((await ask('PATCH', `/v1/webhooks/${idIn(made.body)}`, { secret })).status, 422, 'it is rotated, not changed')
})

test('rate and key pair are given, shown, changed and taken away', async (t) => {
  const { ask } = await started(t)
  const made = await ask('POST', '/v1/webhooks', { ...GIVEN, rate: 5, ed25519: true })
  const path = `/v1/webhooks/${idIn(made.body)}`
  const publicKeys = ({ secrets }: JsonObject): readonly unknown[] => (secrets as readonly JsonObject[]).map((each) => each['public_key'])
  const [first] = publicKeys(made.body)
  assert.ok(typeof first === 'string' && first.startsWith('whpk_'))
  assert.deepEqual([made.body['rate'], made.body['ed25519']], [5, true])
  const rotated = await ask('POST', `${path}/rotate-secret`, {})
  assert.deepEqual(publicKeys((await ask('GET', path)).body), [rotated.body['public_key'], first])
  const stays = await ask('PATCH', path, { ed25519: true, rate: 7 })
  assert.deepEqual([publicKeys(stays.body), stays.body['rate']], [[rotated.body['public_key'], first], 7])
  const plain = await ask('PATCH', path, { ed25519: false, rate: null })
  assert.deepEqual([publicKeys(plain.body), plain.body['rate'], plain.body['ed25519']], [[null, null], null, false])
  assert.equal((await ask('PATCH', path, { ed25519: true }, { 'if-match': '"1"' })).status, 412)
  assert.equal((await ask('PATCH', path, { ed25519: true }, { 'if-match': plain.headers.get('etag') ?? '' })).body['ed25519'], true)
  for (const rate of [0, 1_001, 1.5, '5', -1]) assert.equal((await ask('PATCH', path, { rate })).status, 422, String(rate))
})

test('what cannot be is refused with its place: unknown events, forbidden URLs, foreign members', async (t) => {
  const { call } = await started(t)
  for (const [change, code, slug] of [
    [{ events: ['message.eaten'] }, 'SCHEMA_VIOLATION', 'schema-violation'],
    [{ events: [] }, 'SCHEMA_VIOLATION', 'schema-violation'],
    [{ secrets: ['mine'] }, 'SCHEMA_VIOLATION', 'schema-violation'],
    [{ ordering: 'lifo' }, 'SCHEMA_VIOLATION', 'schema-violation'],
    [{ url: 'http://hooks.example/' }, 'URL_NOT_ALLOWED', 'url-not-allowed'],
    [{ url: 'https://10.0.0.1/' }, 'URL_NOT_ALLOWED', 'url-not-allowed'],
    [{ url: 'https://user:pass@hooks.example/' }, 'URL_NOT_ALLOWED', 'url-not-allowed'],
    [{ url: 'nonsense' }, 'URL_NOT_ALLOWED', 'url-not-allowed'],
  ] as const) {
    const told = await problem(await call('/v1/webhooks', { method: 'POST', json: { ...GIVEN, ...change } }), 422)
    assert.deepEqual([told['code'], told['type']], [code, `https://openclaw.dev/problems/${slug}`], JSON.stringify(change))
  }
})

test('no URL that leads inside is taken, when a webhook is made or when it is changed', { timeout: 60_000 }, async (t) => {
  const canary = await openCanary(t)
  const { ask, call } = await started(t)
  const path = `/v1/webhooks/${idIn((await ask('POST', '/v1/webhooks', GIVEN)).body)}`
  for (const url of inwardUrls(canary.port)) {
    for (const asked of [
      call('/v1/webhooks', { method: 'POST', json: { ...GIVEN, url } }),
      call(path, { method: 'PATCH', json: { url } }),
    ]) {
      const told = await problem(await asked, 422)
      // An empty one is no URL by the schema already.
      assert.equal(told['code'], url === '' ? 'SCHEMA_VIOLATION' : 'URL_NOT_ALLOWED', url)
      assert.doesNotMatch(JSON.stringify(told), /secret|computeMetadata|goalstate/, url)
    }
  }
  assert.deepEqual([(await ask('GET', path)).body['url'], canary.heard], [GIVEN.url, 0])
})

test('a change names the version that it changes, and deletes are final', async (t) => {
  const { ask } = await started(t)
  const { body } = await ask('POST', '/v1/webhooks', GIVEN)
  const path = `/v1/webhooks/${idIn(body)}`
  const changed = await ask('PATCH', path, { status: 'disabled', description: 'ours' }, { 'if-match': '"1"' })
  assert.deepEqual(
    [changed.status, changed.headers.get('etag'), changed.body['status'], changed.body['disabled_reason'], changed.body['description']],
    [200, '"2"', 'disabled', 'manual', 'ours'],
  )
  for (const stale of ['"1"', 'W/"2"', 'x']) {
    const refused = await ask('PATCH', path, { status: 'enabled' }, { 'if-match': stale })
    assert.deepEqual([refused.status, refused.body['code']], [412, 'PRECONDITION_FAILED'], stale)
  }
  assert.equal((await ask('PATCH', path, { status: 'enabled' }, { 'if-match': '*' })).body['status'], 'enabled')
  assert.equal((await ask('PATCH', path, {})).status, 422)
  assert.equal((await ask('PATCH', path, { url: 'https://[::1]/' })).body['code'], 'URL_NOT_ALLOWED')
  assert.equal((await ask('DELETE', path)).status, 204)
  for (const [method, json] of [['GET'], ['DELETE'], ['PATCH', { status: 'enabled' }]] as const)
    assert.equal((await ask(method, path, json)).body['code'], 'WEBHOOK_NOT_FOUND')
  for (const action of ['rotate-secret', 'test']) assert.equal((await ask('POST', `${path}/${action}`, {})).status, 404)
  assert.equal((await ask('POST', `${path}/recover`, { since: '2030-01-01T00:00:00Z' })).status, 404)
  assert.equal((await ask('GET', `${path}/deliveries`)).status, 404)
})

test('deliveries are listed, shown with each attempt, sent again and recovered by time', async (t) => {
  const { ask, store } = await started(t)
  const { body } = await ask('POST', '/v1/webhooks', { ...GIVEN, events: ['*'] })
  const path = `/v1/webhooks/${idIn(body)}`
  const now = Date.UTC(2030, 0, 1)
  await store.webhooks.emit({ tenant: 'default', type: 'channel.connected', data: { channel: 'x' }, now })
  const { deliveries } = await store.webhooks.due(now, [], 9)
  const [due] = deliveries
  assert.ok(due)
  const attempt = {
    at: now,
    latencyMs: 12,
    status: 500,
    error: { code: 'WEBHOOK_REFUSED', message: 'The receiver answered 500.' },
    requestHeaders: { 'webhook-id': due.event.id },
    response: 'no',
    isCut: false,
  }
  await store.webhooks.settle([{ delivery: due.seq, attempt, next: { is: 'failed' } }])
  const [listed] = (await ask('GET', `${path}/deliveries?status=failed&type=channel.connected`)).body['data'] as readonly JsonObject[]
  assert.deepEqual([listed?.['id'], listed?.['event_id'], listed?.['attempts'], listed?.['due_at']], [due.id, due.event.id, 1, null])
  const { body: shown } = await ask('GET', `/v1/webhook-deliveries/${due.id}`)
  assert.deepEqual(shown['data'], { channel: 'x' })
  assert.deepEqual(shown['log'], [
    {
      number: 1,
      at: '2030-01-01T00:00:00.000Z',
      latency_ms: 12,
      status: 500,
      error: attempt.error,
      request_headers: { 'webhook-id': due.event.id },
      response: 'no',
      response_cut: false,
    },
  ])
  const again = await ask('POST', `/v1/webhook-deliveries/${due.id}/redeliver`, {}, { 'idempotency-key': 'k' })
  assert.deepEqual([again.status, again.body['single'], again.body['event_id'], again.body['status']], [202, true, due.event.id, 'pending'])
  const kept = await ask('POST', `/v1/webhook-deliveries/${due.id}/redeliver`, {}, { 'idempotency-key': 'k' })
  assert.deepEqual([kept.body['id'], kept.headers.get('idempotency-replayed')], [again.body['id'], 'true'])
  const recovery = { since: '2029-12-31T00:00:00Z', until: '2030-01-02T00:00:00Z' }
  assert.deepEqual((await ask('POST', `${path}/recover`, { ...recovery, status: 'dead' })).body, { recovered: 0, more: false })
  assert.deepEqual((await ask('POST', `${path}/recover`, recovery)).body, { recovered: 1, more: false })
  assert.equal((await ask('POST', `${path}/recover`, { since: 'yesterday' })).status, 422)
  assert.equal((await ask('POST', `${path}/test`, {})).body['type'], 'webhook.test')
  await ask('PATCH', path, { status: 'disabled' })
  assert.equal((await ask('POST', `${path}/recover`, recovery)).body['code'], 'WEBHOOK_DISABLED')
  assert.equal((await ask('GET', '/v1/webhook-deliveries/wdl-none')).body['code'], 'WEBHOOK_DELIVERY_NOT_FOUND')
  assert.equal((await ask('POST', '/v1/webhook-deliveries/wdl-none/redeliver', {})).status, 404)
})
