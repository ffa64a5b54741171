import assert from 'node:assert/strict'
import test from 'node:test'
import { bench } from './cli.ts'

const ID = 'whk-0123456789ABCDEFGHJKMNPQRS'
const DELIVERY = 'wdl-0123456789ABCDEFGHJKMNPQRS'
const webhook = {
  id: ID,
  url: 'https://hooks.example/in',
  description: null,
  events: ['message.*'],
  ordering: 'none',
  status: 'enabled',
  disabled_reason: null,
  failing_since: null,
  failures: 0,
  created_at: '2026-11-20T12:00:00.000Z',
}
const delivery = {
  id: DELIVERY,
  webhook_id: ID,
  event_id: 'evt_1',
  type: 'webhook.test',
  status: 'pending',
  attempts: 0,
  due_at: null,
  log: [],
}
const attempt = {
  number: 1,
  at: '2026-11-20T12:00:00.000Z',
  latency_ms: 12,
  status: 500,
  error: { code: 'WEBHOOK_REFUSED', message: 'It answered 500.' },
}

test('a webhook is made, its secret alone on standard output', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('POST /v1/webhooks', 201, { ...webhook, secret: 'whsec_x' })
  const made = await run([
    'webhooks',
    'create',
    'https://hooks.example/in',
    '--event',
    'message.*,channel.connected',
    '--event',
    'skill.failed',
    '--fifo',
  ])
  assert.deepEqual([made.code, made.out], [0, 'whsec_x\n'])
  assert.deepEqual(gateway.requests[0]?.body, {
    url: 'https://hooks.example/in',
    events: ['message.*', 'channel.connected', 'skill.failed'],
    ordering: 'fifo',
  })
  await run(['webhooks', 'create', 'https://hooks.example/in'])
  assert.deepEqual(gateway.requests[1]?.body, { url: 'https://hooks.example/in', events: ['*'] })
})

test('rate and key pair are asked for when it is made, and shown', async (t) => {
  const { gateway, run } = await bench(t)
  const paired = { ...webhook, rate: 5, ed25519: true, secrets: [{ expires_at: null, public_key: 'whpk_x' }] }
  gateway.on('POST /v1/webhooks', 201, { ...paired, secret: 'whsec_x' })
  gateway.on(`GET /v1/webhooks/${ID}`, 200, paired)
  const made = await run(['webhooks', 'create', 'https://hooks.example/in', '--rate', '5', '--ed25519'])
  assert.deepEqual([made.code, made.out], [0, 'whsec_x\n'])
  assert.match(made.err, /whpk_x/)
  assert.deepEqual(gateway.requests[0]?.body, { url: 'https://hooks.example/in', events: ['*'], rate: 5, ed25519: true })
  const shown = await run(['webhooks', 'show', ID])
  assert.match(shown.out, /5 a second[\s\S]*whpk_x/)
  assert.equal((await run(['webhooks', 'create', 'https://hooks.example/in', '--rate', 'fast'])).code, 2)
})

test('webhooks are listed and shown, changed, rotated and deleted', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('GET /v1/webhooks', 200, { data: [{ ...webhook, disabled_reason: 'failing' }], cursor: null })
  gateway.on(`GET /v1/webhooks/${ID}`, 200, webhook)
  gateway.on(`PATCH /v1/webhooks/${ID}`, 200, webhook)
  gateway.on(`DELETE /v1/webhooks/${ID}`, 204, null)
  gateway.on(`POST /v1/webhooks/${ID}/rotate-secret`, 200, { id: ID, secret: 'whsec_y', old_until: null })
  assert.match((await run(['webhooks'])).out, new RegExp(`${ID}  off, failing`))
  assert.match((await run(['webhooks', 'show', ID])).out, /message\.\*/)
  assert.equal((await run(['webhooks', 'enable', ID])).code, 0)
  assert.deepEqual(gateway.requests.at(-1)?.body, { status: 'enabled' })
  assert.equal((await run(['webhooks', 'rotate', ID, '--grace', '0s'])).out, 'whsec_y\n')
  assert.deepEqual(gateway.requests.at(-1)?.body, { grace_seconds: 0 })
  assert.match((await run(['webhooks', 'rotate', ID, '--grace', 'long'])).err, /no duration/)
  assert.equal((await run(['webhooks', 'delete', ID])).code, 0)
})

test('a test ends as its only attempt does', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on(`POST /v1/webhooks/${ID}/test`, 202, delivery)
  gateway.on(`GET /v1/webhook-deliveries/${DELIVERY}`, 200, { ...delivery, status: 'failed', log: [attempt], data: {} })
  const failed = await run(['webhooks', 'test', ID])
  assert.equal(failed.code, 1)
  assert.match(failed.err, /did not arrive: WEBHOOK_REFUSED: It answered 500\. \(12 ms\)/)
  assert.match((await run(['webhooks', 'delivery', DELIVERY])).out, /try 1 +.*WEBHOOK_REFUSED/)
  gateway.on(`POST /v1/webhook-deliveries/${DELIVERY}/redeliver`, 202, delivery)
  gateway.on(`GET /v1/webhook-deliveries/${DELIVERY}`, 200, {
    ...delivery,
    status: 'ok',
    log: [{ ...attempt, status: 200, error: null }],
    data: {},
  })
  const arrived = await run(['webhooks', 'redeliver', DELIVERY])
  assert.equal(arrived.code, 0)
  assert.match(arrived.err, /It arrived: answered 200/)
})

test('what was missed is recovered from a time, or so long ago', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on(`POST /v1/webhooks/${ID}/recover`, 202, { recovered: 3, more: false })
  gateway.on(`GET /v1/webhooks/${ID}/deliveries`, 200, { data: [delivery], cursor: null })
  assert.match((await run(['webhooks', 'recover', ID, '--since', '2026-11-20', '--status', 'dead'])).err, /3 are on their way/)
  assert.deepEqual(gateway.requests[0]?.body, { since: '2026-11-20T00:00:00.000Z', status: 'dead' })
  await run(['webhooks', 'recover', ID, '--since', '6h'])
  const { since } = (gateway.requests[1] ?? assert.fail()).body as { readonly since: string }
  assert.ok(Math.abs(Date.now() - 6 * 3_600_000 - Date.parse(since)) < 600_000)
  assert.match((await run(['webhooks', 'recover', ID])).err, /--since is missing/)
  assert.match((await run(['webhooks', 'deliveries', ID, '--status', 'dead'])).out, new RegExp(DELIVERY))
  assert.deepEqual(gateway.requests.at(-1)?.query, { status: 'dead', limit: '20' })
})
