import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LaneQueue } from '../../../gateway/pipeline/lane-queue.ts'
import type { Pace } from '../../../gateway/pipeline/lane-queue.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** Work that ends when the test says so; `free` says when a lane that waits may go. */
function bench(maxRunning: number, free: { at: number } = { at: 0 }) {
  const clock = new FakeClock(0)
  const begun: string[] = []
  const ends = new Map<string, (pace: Pace | null) => void>()
  let rooms = 0
  const queue = new LaneQueue({
    maxRunning,
    clock,
    admit: () => (free.at <= clock.now() ? null : free.at),
    work: (lane, isAdmitted) => {
      begun.push(isAdmitted ? `${lane}!` : lane)
      return new Promise((resolve) => ends.set(lane, resolve))
    },
    onRoom: () => (rooms += 1),
  })
  queue.open()
  const end = async (lane: string, at: number | null = null): Promise<void> => {
    ends.get(lane)?.(at === null ? null : { to: { chat: lane }, at })
    await new Promise(setImmediate)
  }
  return { queue, clock, begun, end, rooms: () => rooms }
}

test('works on so many lanes at once, on none twice, and again on one that was hinted at meanwhile', async () => {
  const { queue, begun, end } = bench(2)
  for (const lane of ['a', 'b', 'c', 'a']) queue.hint(lane)
  assert.deepEqual([begun, queue.running], [['a', 'b'], 2])
  await end('a')
  assert.deepEqual(begun, ['a', 'b', 'c'])
  await end('b')
  assert.deepEqual(begun, ['a', 'b', 'c', 'a'])
})

test('lets a lane wait for the rate without its place, and lets it go, counted, when it is time', async () => {
  const { queue, clock, begun, end } = bench(1)
  queue.hint('a')
  queue.hint('b')
  await end('a', 1_000)
  assert.deepEqual([begun, queue.paced], [['a', 'b'], 1])
  queue.hint('a')
  await end('b')
  clock.advance(999)
  assert.deepEqual(begun, ['a', 'b'])
  clock.advance(1)
  assert.deepEqual([begun, queue.paced], [['a', 'b', 'a!'], 0])
})

test('asks again for those that may still not go, in the order in which they came', async () => {
  const free = { at: 1_500 }
  const { queue, clock, begun, end } = bench(8, free)
  for (const lane of ['a', 'b']) queue.hint(lane)
  await end('b', 1_000)
  await end('a', 1_000)
  clock.advance(1_499)
  assert.deepEqual(begun, ['a', 'b'])
  clock.advance(1)
  assert.deepEqual(begun, ['a', 'b', 'b!', 'a!'])
})

test('lets those that waited for the rate go first when a place becomes free', async () => {
  const { queue, clock, begun, end } = bench(1)
  queue.hint('a')
  await end('a', 1_000)
  queue.hint('b')
  queue.hint('c')
  clock.advance(5_000)
  assert.deepEqual(begun, ['a', 'b'])
  await end('b')
  assert.deepEqual(begun, ['a', 'b', 'a!'])
  assert.equal(clock.pending, 0)
})

test('sets its timer also where no place is free as yet', async () => {
  const { queue, clock, begun, end } = bench(1)
  queue.hint('a')
  queue.hint('b')
  await end('a', 1_000)
  await end('b')
  assert.equal(queue.running, 0)
  clock.advance(1_000)
  assert.deepEqual(begun, ['a', 'b', 'a!'])
})

test('turns lanes away beyond its bounds and tells when there is room', async () => {
  const { queue, end, rooms, begun } = bench(1)
  for (let i = 0; i <= 10_001; i++) queue.hint(`l${i}`)
  for (let i = 0; i < 9_500; i++) await end(`l${i}`)
  assert.equal(rooms(), 0)
  for (let i = 9_500; i < 9_502; i++) await end(`l${i}`)
  assert.equal(rooms(), 1)
  assert.ok(!begun.includes('l10001'))
})

test('keeps no more lanes waiting for the rate than its bound', async () => {
  const { queue, end, rooms } = bench(1)
  for (let i = 0; i <= 10_000; i++) {
    queue.hint(`l${i}`)
    await end(`l${i}`, 1_000)
  }
  assert.deepEqual([queue.paced, rooms()], [10_000, 0])
})

test('begins nothing after close, which resolves when the last work ends', async () => {
  const { queue, clock, begun, end } = bench(8)
  queue.hint('a')
  queue.hint('b')
  await end('a', 1_000)
  let isClosed = false
  const closed = queue.close().then(() => (isClosed = true))
  queue.hint('c')
  clock.advance(2_000)
  await new Promise(setImmediate)
  assert.deepEqual([begun, isClosed], [['a', 'b'], false])
  await end('b', 3_000)
  await closed
  assert.equal(clock.pending, 0)
  await queue.close()
})
