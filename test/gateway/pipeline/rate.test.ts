import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Address, Capabilities } from '#contract'
import { Registry } from '../../../gateway/observe/metrics.ts'
import { Rates } from '../../../gateway/pipeline/rate.ts'

const RATE: Capabilities['rate'] = {
  chat: { count: 2, perMs: 1_000 },
  group: { count: 1, perMs: 3_000 },
  account: { count: 4, perMs: 1_000 },
}

function rates(maxKept?: number, rate: Capabilities['rate'] = RATE) {
  const metrics = new Registry()
  const kept = new Rates(metrics, maxKept)
  return {
    kept,
    take: (to: Address | string, now: number, channel = 'wire') =>
      kept.take({ channel, to: typeof to === 'string' ? { chat: to } : to, rate }, now),
    metric: async (name: string) => (await metrics.text()).split('\n').find((line) => line.startsWith(name)),
  }
}

test('lets as many go at once as the rate has, and no more within any stretch of it', () => {
  const { take } = rates()
  assert.deepEqual([take('ann', 0), take('ann', 400), take('ann', 400)], [null, null, 1_000])
  assert.deepEqual([take('ann', 999), take('ann', 1_000), take('ann', 1_000), take('ann', 1_400)], [1_000, null, 1_400, null])
})

test('never exceeds a rate over any stretch, whatever the times', () => {
  const { take } = rates()
  const went: number[] = []
  let seed = 7
  for (let now = 0; now < 30_000; now += seed % 190) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    if (take('ann', now) === null) went.push(now)
  }
  assert.ok(went.length > 50, `${went.length}`)
  for (const from of went) assert.ok(went.filter((at) => at >= from && at < from + 1_000).length <= 2)
})

test('counts each chat by itself, and all of them for the account', () => {
  const { take } = rates()
  for (const chat of ['a', 'a', 'b', 'b']) assert.equal(take(chat, 0), null)
  assert.equal(take('c', 0), 1_000)
  assert.equal(take('c', 0, 'other'), null)
  assert.equal(take('c', 1_000), null)
})

test('counts a group by its own rate, or by that of a chat where it has none', () => {
  const group: Address = { chat: 'g', kind: 'group' }
  const { take } = rates()
  assert.deepEqual([take(group, 0), take(group, 2_999), take({ ...group, kind: 'channel' }, 3_000)], [null, 3_000, null])
  const chats = rates(undefined, { chat: { count: 1, perMs: 500 } })
  assert.deepEqual([chats.take(group, 0), chats.take(group, 0)], [null, 500])
})

test('takes nothing of a rate for what has to wait by another', () => {
  const { take } = rates(undefined, { chat: { count: 1, perMs: 100 }, account: { count: 2, perMs: 1_000 } })
  assert.equal(take('a', 0), null)
  for (let i = 0; i < 9; i++) assert.equal(take('a', 1), 100)
  assert.equal(take('b', 1), null)
})

test('keeps the peace that a platform asks for, for one chat or for all, also where it has no rate', () => {
  const { kept, take } = rates(undefined, undefined)
  kept.hold('wire', 'a', 5_000)
  kept.hold('wire', 'a', 2_000)
  assert.deepEqual([take('a', 4_999), take('b', 0), take('a', 5_000)], [5_000, null, null])
  kept.hold('wire', null, 9_000)
  assert.deepEqual([take('b', 8_000), kept.heldUntil('wire', { chat: 'b' }), kept.heldUntil('other', { chat: 'b' })], [9_000, 9_000, 0])
})

test('waits no longer than a stretch when the clock is set back', () => {
  const { take } = rates(undefined, { chat: { count: 1, perMs: 1_000 } })
  assert.equal(take('a', 3_600_000), null)
  assert.equal(take('a', 10), 1_010)
})

test('forgets what counts for nothing any more', async () => {
  const { take, metric } = rates(undefined, { chat: { count: 1, perMs: 1_000 } })
  for (let i = 0; i < 50; i++) take(`chat${i}`, 0)
  assert.equal(await metric('openclaw_delivery_rate_buckets '), 'openclaw_delivery_rate_buckets 50')
  take('late', 1_000)
  assert.equal(await metric('openclaw_delivery_rate_buckets '), 'openclaw_delivery_rate_buckets 1')
  assert.equal(await metric('openclaw_delivery_rate_forgotten_total '), 'openclaw_delivery_rate_forgotten_total 0')
})

test('remembers so many chats and no more, and tells when it forgets one too early', async () => {
  const { take, metric } = rates(3, { chat: { count: 1, perMs: 1_000 } })
  for (const chat of ['a', 'b', 'c', 'd']) assert.equal(take(chat, 0), null)
  assert.deepEqual([take('d', 1), take('a', 1)], [1_000, null])
  assert.equal(await metric('openclaw_delivery_rate_buckets '), 'openclaw_delivery_rate_buckets 3')
  assert.equal(await metric('openclaw_delivery_rate_forgotten_total '), 'openclaw_delivery_rate_forgotten_total 2')
})
