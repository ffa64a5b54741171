import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelFault, asDeliveryId } from '#contract'
import type { DeliveryEnd, OutboxItem, Rendered, SendFault } from '#contract'
import { afterAnswer, afterSend, afterSilence } from '../../../gateway/pipeline/delivery-end.ts'
import type { EndContext } from '../../../gateway/pipeline/delivery-end.ts'

const NOW = 1_000_000
const context: EndContext = {
  retry: { attempts: 5, baseMs: 1_000, capMs: 180_000 },
  resend: 'id',
  isDraining: false,
  now: NOW,
  random: () => 1,
  redact: (text) => text.replaceAll('hunter22', '***'),
}
const item = (over: { readonly attempt?: number; readonly asked?: number; readonly rendered?: Rendered } = {}): OutboxItem => ({
  id: asDeliveryId('dlv-1'),
  seq: 1,
  messageId: null,
  lane: 'ann',
  to: { chat: 'ann', thread: 't' },
  rendered: { text: '*x*', plain: 'x' },
  index: 0,
  of: 1,
  attempt: 1,
  channel: 'wire',
  status: 'pending',
  asked: 0,
  dueAt: 0,
  createdAt: 0,
  ...over,
})
const fault = (of: SendFault): ChannelFault => new ChannelFault('It failed.', { code: 'PLATFORM', fault: of })
const MAYBE: SendFault = { is: 'transient', maybeSent: true }
const NOT: SendFault = { is: 'transient', maybeSent: false }

/** Without what every end has. */
function told(end: DeliveryEnd): { readonly [member: string]: unknown } {
  const { status } = end
  if (status === 'sent') return end
  if (status === 'retry') return { status, inMs: end.at - NOW, counted: end.counted, to: end.to, plain: end.plain }
  if (status === 'confirm') return { status, inMs: end.at - NOW, counted: end.counted, to: end.to }
  return { status, code: end.failure.code }
}
const sending = (of: SendFault | Error, over: Parameters<typeof item>[0] = {}, change: Partial<EndContext> = {}) =>
  told(afterSend(of instanceof Error ? of : fault(of), item(over), { ...context, ...change }))
const asking = (of: SendFault | Error, over: Parameters<typeof item>[0] = {}, change: Partial<EndContext> = {}) =>
  told(afterSilence(of instanceof Error ? of : fault(of), item(over), { ...context, resend: 'confirm', ...change }))

const again = { status: 'retry', inMs: 0, counted: true, to: null, plain: false }
const ask = { status: 'confirm', inMs: 0, counted: true, to: null }
const dead = { status: 'dead', code: 'PLATFORM' }
const unknown = { status: 'unknown', code: 'DELIVERY_UNKNOWN' }
const moved = { chat: 'new', thread: 't' }

test('a send that certainly did not happen is made again after a growing wait, so often as is told', () => {
  assert.deepEqual(sending(NOT), { ...again, inMs: 1_000 })
  assert.deepEqual(sending(NOT, { attempt: 4 }), { ...again, inMs: 8_000 })
  assert.deepEqual(sending(NOT, { attempt: 5 }), dead)
})

test('a send that may have happened is made again, asked about or given up, by what the channel can tell', () => {
  for (const error of [MAYBE, new Error('socket hang up')]) {
    assert.deepEqual(sending(error, {}, { resend: 'id' }), { ...again, inMs: 1_000 })
    assert.deepEqual(sending(error, {}, { resend: 'none' }), unknown)
    assert.deepEqual(sending(error, { attempt: 9 }, { resend: 'confirm' }), { ...ask, inMs: 1_000, counted: false })
  }
})

test('what was cut by our own end is no attempt', () => {
  const isDraining = true
  assert.deepEqual(sending(MAYBE, { attempt: 5 }, { isDraining }), { ...again, counted: false })
  assert.deepEqual(asking(MAYBE, { asked: 4 }, { isDraining }), { ...ask, counted: false })
})

test('other faults of a send do what their kind says', () => {
  assert.deepEqual(sending({ is: 'rate', afterMs: 7_000, scope: 'chat' }, { attempt: 5 }), { ...again, inMs: 7_000, counted: false })
  assert.deepEqual(sending({ is: 'format' }), { ...again, plain: true })
  assert.deepEqual(sending({ is: 'format' }, { rendered: { text: 'x' } }), dead)
  assert.deepEqual(sending({ is: 'format' }, { rendered: { text: 'x', plain: 'x' } }), dead)
  assert.deepEqual(sending({ is: 'moved', chat: 'new' }), { ...again, counted: false, to: moved })
  for (const is of ['auth', 'config'] as const) assert.deepEqual(sending({ is }), { ...again, inMs: 60_000, counted: false })
  for (const is of ['permanent', 'window'] as const) assert.deepEqual(sending({ is }), dead)
})

test('an answer is believed', () => {
  const answered = (over: Parameters<typeof item>[0], outcome: 'absent' | 'unknown') => told(afterAnswer({ outcome }, item(over), context))
  assert.deepEqual(told(afterAnswer({ outcome: 'sent', id: 'm-1' }, item(), context)), { status: 'sent', platformId: 'm-1' })
  assert.deepEqual(answered({ attempt: 2 }, 'absent'), { ...again, inMs: 2_000 })
  assert.deepEqual(answered({ attempt: 5 }, 'absent'), { status: 'dead', code: 'DELIVERY_ABSENT' })
  assert.deepEqual(answered({}, 'unknown'), unknown)
})

test('a platform that does not answer is asked again so often as a part is sent, and by the kind of its fault', () => {
  for (const error of [MAYBE, NOT, new Error('socket hang up')]) {
    assert.deepEqual(asking(error, { attempt: 5 }), { ...ask, inMs: 1_000 })
    assert.deepEqual(asking(error, { asked: 3 }), { ...ask, inMs: 8_000 })
    assert.deepEqual(asking(error, { asked: 4 }), unknown)
  }
  assert.deepEqual(asking({ is: 'rate', afterMs: 7_000, scope: 'chat' }, { asked: 4 }), { ...ask, inMs: 7_000, counted: false })
  assert.deepEqual(asking({ is: 'moved', chat: 'new' }), { ...ask, to: moved })
  assert.deepEqual(asking({ is: 'moved', chat: 'new' }, { asked: 4 }), unknown)
  for (const is of ['auth', 'config'] as const) assert.deepEqual(asking({ is }, { asked: 4 }), { ...ask, inMs: 60_000, counted: false })
  for (const is of ['permanent', 'format', 'window'] as const) assert.deepEqual(asking({ is }), unknown)
})

test('what a platform says of a failure is stored without known secrets, after a send and after a question', () => {
  const said = new ChannelFault('Refused hunter22.', { code: 'PLATFORM', fault: { is: 'permanent' } })
  for (const end of [afterSend(said, item(), context), afterSilence(said, item(), context)]) {
    assert.doesNotMatch(JSON.stringify(end), /hunter22/)
    assert.match(JSON.stringify(end), /Refused \*\*\*\./)
  }
})
