import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asEventId, asWebhookDeliveryId, asWebhookId } from '#contract'
import type { DueDelivery, WebhookRecord } from '#contract'
import { Lanes } from '../../../gateway/webhooks/lanes.ts'
import type { Turn } from '../../../gateway/webhooks/lanes.ts'

const T = 1_800_000_000_000

const webhook = (seq: number, change: Partial<WebhookRecord> = {}): WebhookRecord => ({
  id: asWebhookId(`whk-${seq}`),
  seq,
  tenant: 'default',
  url: 'https://hooks.example/',
  description: null,
  events: ['*'],
  ordering: 'none',
  maxPerSecond: null,
  secrets: [],
  status: 'enabled',
  disabledReason: null,
  failingSince: null,
  failures: 0,
  version: 1,
  createdAt: T,
  updatedAt: T,
  ...change,
})

let numbers = 0
const delivery = ({ seq }: WebhookRecord, isSingle = false): DueDelivery => {
  const number = ++numbers
  const event = { id: asEventId(`evt_${number}`), type: 'agent.registered', createdAt: T, data: {} }
  return { seq: number, id: asWebhookDeliveryId(`wdl-${number}`), webhook: seq, isSingle, attempts: 0, event, traceparent: null }
}

function begun(lanes: Lanes, now: number): readonly Turn[] {
  const turns: Turn[] = []
  for (let turn = lanes.next(now); turn !== null; turn = lanes.next(now)) turns.push(turn)
  return turns
}

/** As with a receiver that answers at once. */
function answered(lanes: Lanes, now: number): number {
  let count = 0
  for (let turn = lanes.next(now); turn !== null; turn = lanes.next(now)) {
    lanes.ended(turn, now)
    count++
  }
  return count
}

test('no more begin within one second than the rate says, whichever second is looked at', () => {
  const lanes = new Lanes()
  const slow = webhook(1, { maxPerSecond: 5 })
  for (let n = 0; n < 40; n++) lanes.push(slow, delivery(slow, n % 2 === 1))
  const times: number[] = []
  for (let now = T; now < T + 10_000; now += 100) times.push(...Array<number>(answered(lanes, now)).fill(now))
  assert.equal(times.length, 40)
  for (const at of times) assert.ok(times.filter((other) => other >= at && other < at + 1_000).length <= 5, `${at - T}`)
  assert.equal(times.at(-1), T + 7_000)
})

test('what the rate holds back is told with its time, and what hangs or waits for nothing is not', () => {
  const lanes = new Lanes()
  const slow = webhook(1, { maxPerSecond: 2 })
  const other = webhook(2)
  for (let n = 0; n < 3; n++) lanes.push(slow, delivery(slow))
  lanes.push(other, delivery(other))
  assert.equal(begun(lanes, T).length, 3)
  assert.deepEqual([lanes.heldUntil(T), lanes.heldUntil(T + 999), lanes.heldUntil(T + 1_000)], [T + 1_000, T + 1_000, null])
  assert.equal(begun(lanes, T + 999).length, 0)
  assert.equal(begun(lanes, T + 1_000).length, 1)
  assert.equal(lanes.heldUntil(T + 1_000), null)
})

test('a second goes on while nothing waits, also for a webhook that was changed', () => {
  const lanes = new Lanes()
  const slow = webhook(1, { maxPerSecond: 3 })
  for (let n = 0; n < 3; n++) lanes.push(slow, delivery(slow))
  assert.equal(answered(lanes, T), 3)
  const slower = { ...slow, maxPerSecond: 1, version: 2 }
  for (let n = 0; n < 2; n++) lanes.push(slower, delivery(slower))
  assert.equal(answered(lanes, T + 500), 0)
  assert.equal(answered(lanes, T + 1_000), 1)
  lanes.push({ ...slower, maxPerSecond: null }, delivery(slow))
  assert.equal(answered(lanes, T + 1_001), 2)
})

test('a clock that is set back holds nobody up', () => {
  const lanes = new Lanes()
  const slow = webhook(1, { maxPerSecond: 1 })
  for (let n = 0; n < 2; n++) lanes.push(slow, delivery(slow))
  assert.equal(answered(lanes, T), 1)
  assert.equal(answered(lanes, T - 3_600_000), 1)
})

test('what was asked for by hand does not wait behind what happened, and neither takes more than four places', () => {
  const lanes = new Lanes()
  const one = webhook(1)
  for (let n = 0; n < 6; n++) lanes.push(one, delivery(one))
  assert.equal(begun(lanes, T).length, 4)
  for (let n = 0; n < 6; n++) lanes.push(one, delivery(one, true))
  const turns = begun(lanes, T)
  assert.deepEqual(
    turns.map(({ delivery: { isSingle } }) => isSingle),
    [true, true, true, true],
  )
  for (const turn of turns) lanes.ended(turn, T)
  assert.equal(begun(lanes, T).length, 2)
})

test('within a tenant its webhooks take turns', () => {
  const lanes = new Lanes()
  const webhooks = [1, 2, 3].map((seq) => webhook(seq))
  for (const each of webhooks) for (let n = 0; n < 4; n++) lanes.push(each, delivery(each))
  assert.deepEqual(
    begun(lanes, T).map(({ lane }) => lane.webhook.seq),
    [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3],
  )
})

test('what is given back is nobody’s, and what is over is forgotten', () => {
  const lanes = new Lanes()
  const one = webhook(1)
  for (let n = 0; n < 6; n++) lanes.push(one, delivery(one, n === 5))
  const turns = begun(lanes, T)
  assert.equal(lanes.empty(one).length, 1)
  assert.equal(lanes.empty(webhook(9)).length, 0)
  for (const turn of turns) lanes.ended(turn, T)
  assert.deepEqual([lanes.running, begun(lanes, T).length, lanes.empty(one).length], [0, 0, 0])
})
