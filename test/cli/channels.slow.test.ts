import assert from 'node:assert/strict'
import test from 'node:test'
import { bench } from './cli.ts'

const at = (ago: number): string => new Date(Date.now() - ago).toISOString()
const page = (...data: unknown[]): object => ({ data, cursor: null })
const phone = {
  name: 'phone',
  kind: 'phone',
  state: 'open',
  reason: null,
  paused: false,
  delivery: 'push',
  last_inbound_at: at(5_000),
  last_sent_at: null,
  capabilities: { strangers: true, groups: true, threads: false, media: true, typing: false, link: true },
  access: { access: 'pairing', allow: ['ann'], group_access: 'allowlist', group_allow: [], require_mention: true, bots: 'ignore' },
  open_pairings: 1,
}
const queue = { ...phone, name: 'queue', state: 'stopped', reason: 'refused', access: null, paused: true, open_pairings: 0 }

test('channels are listed with their state, and strangers who ask are mentioned', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('GET /v1/channels', 200, page(phone, queue))
  const { out, err } = await run(['channels'])
  assert.match(out, /^phone +phone +open +\ds +-$/m)
  assert.match(out, /^queue +phone +stopped, paused +\ds +- +refused$/m)
  assert.match(err, /Strangers ask to be let in on phone;/)
})

test('a channel is shown with what it can and who may write', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('GET /v1/channels/phone', 200, phone).on('GET /v1/channels/queue', 200, queue)
  const { out } = await run(['channels', 'status', 'phone'])
  assert.match(out, /^can +groups, media, link$/m)
  assert.match(out, /^access +pairing, 1 on the list$/m)
  assert.match(out, /^groups +allowlist, 0 on the list, when it is mentioned$/m)
  assert.match((await run(['channels', 'status', 'queue'])).out, /^access +by keys or the broker/m)
  assert.deepEqual(JSON.parse((await run(['channels', 'status', 'phone', '--json'])).out), phone)
  assert.equal((await run(['channels', 'status', 'none'])).code, 5)
})

test('a channel is paused and resumed', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('POST /v1/channels/phone/pause', 200, { ...phone, paused: true }).on('POST /v1/channels/phone/resume', 200, phone)
  assert.match((await run(['channels', 'pause', 'phone'])).err, /takes nothing in until it is resumed/)
  assert.match((await run(['channels', 'resume', 'phone'])).err, /takes in again/)
  assert.equal(JSON.parse((await run(['channels', 'pause', 'phone', '--json'])).out).paused, true)
})

test('the test of a channel tells its state, and fails unless it is open', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('GET /v1/channels/phone', 200, phone).on('GET /v1/channels/queue', 200, queue)
  const open = await run(['channels', 'test', 'phone'])
  assert.deepEqual([open.code, open.err], [0, 'phone is open\n'])
  const stopped = await run(['channels', 'test', 'queue'])
  assert.deepEqual([stopped.code, stopped.err], [1, 'queue is stopped, and paused: refused\n'])
})

test('a test message is sent, and what becomes of it decides', async (t) => {
  const { gateway, run } = await bench(t)
  let asked = 0
  gateway.on('POST /v1/channels/phone/send', 202, { delivery_id: 'dlv-1' })
  gateway.routes.set('GET /v1/deliveries/dlv-1', () => [
    200,
    { id: 'dlv-1', status: asked++ === 0 ? 'sending' : 'sent', platform_id: 'p9' },
  ])
  const sent = await run(['channels', 'test', 'phone', '--to', '42', '--thread', '7', '--text', 'hello'])
  assert.deepEqual([sent.code, sent.err], [0, 'It was sent as p9.\n'])
  assert.equal(asked, 2)
  const [request] = gateway.requests
  assert.deepEqual(request?.body, { to: { chat: '42', thread: '7' }, text: 'hello' })
  assert.ok(request?.headers['idempotency-key'])
  gateway.on('GET /v1/deliveries/dlv-1', 200, { id: 'dlv-1', status: 'dead', reason: { code: 'GONE', message: 'no such chat' } })
  const dead = await run(['channels', 'test', 'phone', '--to', '42'])
  assert.deepEqual([dead.code, dead.err], [1, 'It was not sent (dead): GONE: no such chat\n'])
  gateway.on('GET /v1/deliveries/dlv-1', 200, { id: 'dlv-1', status: 'pending', reason: null })
  const late = await run(['channels', 'test', 'phone', '--to', '42', '--timeout', '0.5'])
  assert.deepEqual([late.code, late.err], [1, 'dlv-1 is still pending\n'])
  assert.equal((await run(['channels', 'test', 'phone', '--to', '42', '--timeout', 'x'])).code, 2)
})

const LINK = 'POST /v1/channels/phone/link'

test('linking draws each code, and ends when the phone has scanned it', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.streams.set(LINK, [
    ['qr', { data: 'x', svg: '<svg/>', text: '█▀█\n█▄█' }],
    ['qr', { data: 'y', svg: '<svg/>', text: '█▄█\n█▀█' }],
    ['done', { as: '+49 151' }],
  ])
  const { code, out, err } = await run(['channels', 'link', 'phone'])
  assert.equal(code, 0)
  assert.match(out, /^█▀█\n█▄█\nScan it.*\n█▄█\n█▀█\nScan it/)
  assert.ok(!out.includes('\u001b'), 'nothing is drawn over in a pipe')
  assert.equal(err, 'phone is linked as +49 151.\n')
  assert.deepEqual(gateway.requests[0]?.body, {})
  const lines = (await run(['channels', 'link', 'phone', '--json'])).out.trim().split('\n')
  assert.deepEqual(JSON.parse(lines[2] ?? ''), { show: 'done', as: '+49 151' })
})

test('linking with a number shows the code to be typed', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.streams.set(LINK, [
    ['code', { data: 'ABCD-1234' }],
    ['done', { as: 'me' }],
  ])
  assert.match((await run(['channels', 'link', 'phone', '--phone', '+49 151'])).out, /Type this code into the phone: ABCD-1234/)
  assert.deepEqual(gateway.requests[0]?.body, { phone: '+49 151' })
})

test('linking that comes to nothing says why', async (t) => {
  const { gateway, run } = await bench(t)
  for (const [events, words] of [
    [[['blocked', { why: 'too many tries' }]], /cannot be linked: too many tries/],
    [[['error', { code: 'X', message: 'The platform went away.' }]], /The platform went away\./],
    [[], /was not linked: the gateway ended it/],
  ] as const) {
    gateway.streams.set(LINK, events)
    const { code, err } = await run(['channels', 'link', 'phone'])
    assert.equal(code, 1)
    assert.match(err, words)
  }
  gateway.streams.clear()
  gateway.on(LINK, 409, { detail: 'It has a token.', code: 'CHANNEL_NOT_LINKABLE' })
  assert.match((await run(['channels', 'link', 'phone'])).err, /It has a token\./)
})

test('strangers are listed over all channels, approved and denied', async (t) => {
  const { gateway, run } = await bench(t)
  gateway
    .on('GET /v1/channels', 200, page(phone, queue))
    .on('GET /v1/channels/phone/pairings', 200, page({ code: 'ABCD2345', sender: 'eve', aliases: ['+49151'], created_at: at(60_000) }))
    .on('POST /v1/channels/phone/pairings/ABCD2345/approve', 200, { sender: 'eve', aliases: [], since: at(0), by: 'admin' })
    .on('DELETE /v1/channels/phone/pairings/ABCD2345', 204)
  for (const args of [['pairings'], ['pairings', 'list', 'phone']])
    assert.match((await run(['channels', ...args])).out, /^phone +ABCD2345 +1m +eve +\+49151$/m)
  assert.ok(!gateway.requests.some(({ path }) => path.includes('queue')), 'none is asked that has none')
  assert.match((await run(['channels', 'pairings', 'approve', 'phone', 'ABCD2345'])).err, /eve may write to phone now/)
  assert.match((await run(['channels', 'pairings', 'deny', 'phone', 'ABCD2345'])).err, /is denied/)
  assert.equal((await run(['channels', 'pairings', 'deny', 'phone', 'WRONG'])).code, 5)
  assert.match((await run(['channels', 'pairings', 'approve', 'phone'])).err, /Channel or code is missing/)
  assert.match((await run(['channels', 'pairings', 'aprove'])).err, /Did you mean approve\?/)
})

test('senders who were let in are listed and revoked', async (t) => {
  const { gateway, run } = await bench(t)
  gateway
    .on('GET /v1/channels/phone/grants', 200, page({ sender: '49@lid', aliases: ['+49'], since: at(1_000), by: 'admin' }))
    .on('DELETE /v1/channels/phone/grants/49%40lid', 204)
  assert.match((await run(['channels', 'grants', 'phone'])).out, /^49@lid +\S+ \S+ +admin +\+49$/m)
  assert.match((await run(['channels', 'revoke', 'phone', '49@lid'])).err, /may not write to phone any more/)
  assert.equal((await run(['channels', 'revoke', 'phone'])).code, 2)
})
