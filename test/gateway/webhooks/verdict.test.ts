import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OutboundFault } from '#contract'
import type { OutboundAnswer, OutboundReason } from '#contract'
import { verdictOf, verdictOfFault } from '../../../gateway/webhooks/verdict.ts'
import type { Circumstance, Verdict } from '../../../gateway/webhooks/verdict.ts'

const NOW = Date.UTC(2026, 10, 20)
const S = 1_000
const H = 3_600 * S
const on = (attempts: number, random = 0.5): Circumstance => ({ attempts, now: NOW, random })
const answer = (status: number, headers: OutboundAnswer['headers'] = {}): OutboundAnswer => ({
  status,
  headers,
  body: new Uint8Array(),
  isCut: false,
})
const fault = (reason: OutboundReason): OutboundFault => new OutboundFault('No.', { code: 'OUTBOUND', reason })
const waitOf = (verdict: Verdict): number | null => (verdict.is === 'again' ? verdict.afterMs / S : null)

test('every 2xx has arrived', () => {
  for (const status of [200, 201, 202, 204, 299]) assert.equal(verdictOf(answer(status), on(1)).is, 'ok')
})

test('ten attempts in 75 hours and a half, then it is given up', () => {
  const waits = Array.from({ length: 9 }, (_, i) => waitOf(verdictOf(answer(500), on(i + 1))))
  assert.deepEqual(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400])
  assert.deepEqual(verdictOf(answer(500), on(10)), {
    is: 'dead',
    error: { code: 'WEBHOOK_REFUSED', message: 'The receiver answered 500.' },
  })
})

test('waits differ by a fifth, either way', () => {
  assert.equal(waitOf(verdictOf(answer(500), on(2, 0))), 240)
  assert.equal(waitOf(verdictOf(answer(500), on(2, 1))), 360)
})

test('redirects and refusals are failures that may heal', () => {
  for (const status of [301, 302, 303, 304, 307, 308]) {
    const verdict = verdictOf(answer(status, { location: 'https://else.example' }), on(1))
    assert.deepEqual([verdict.is, verdict.error?.code], ['again', 'WEBHOOK_REDIRECTED'], String(status))
  }
  for (const status of [400, 401, 404, 418, 502]) assert.equal(verdictOf(answer(status), on(1)).error?.code, 'WEBHOOK_REFUSED')
})

test('410 ends the webhook, and the word of the receiver ends the event', () => {
  assert.equal(verdictOf(answer(410), on(1)).is, 'gone')
  assert.equal(verdictOf(answer(400, { 'webhook-delivery': 'Abort-Message' }), on(1)).is, 'failed')
  assert.equal(verdictOf(answer(200, { 'webhook-delivery': 'abort-message' }), on(1)).is, 'ok')
})

test('Retry-After is heeded for 429 and 503, as seconds and as a date, within bounds', () => {
  const after = (value: string, status = 503, attempts = 2): number | null =>
    waitOf(verdictOf(answer(status, { 'retry-after': value }), on(attempts)))
  assert.equal(after('600'), 600)
  assert.equal(after('600', 429), 600)
  assert.equal(after(new Date(NOW + 700 * S).toUTCString()), 700)
  // Not sooner than it would have been, and not later than an hour or twice that.
  assert.equal(after('1'), 300)
  assert.equal(after('99999'), 3_600)
  assert.equal(after('99999999', 503, 9), (2 * 24 * H) / S)
  for (const value of ['soon', '-5', '', '1e9', '9'.repeat(30), new Date(NOW - S).toUTCString()]) assert.equal(after(value), 300, value)
  // Elsewhere it means something else.
  assert.equal(after('600', 500), 300)
})

test('who is overloaded is left alone for a minute at least', () => {
  assert.equal(waitOf(verdictOf(answer(429), on(1))), 60)
  assert.equal(waitOf(verdictOfFault(fault('timeout'), on(1))), 60)
  assert.equal(waitOf(verdictOfFault(fault('unreachable'), on(1))), 5)
  assert.equal(waitOf(verdictOfFault(fault('refused'), on(1))), 5)
  assert.equal(verdictOfFault(fault('broken'), on(10)).is, 'dead')
})
