import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asSessionKey } from '#contract'
import type { SessionKey } from '#contract'
import { Pressure } from '../../../gateway/pipeline/pressure.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { Lanes } from '../../../gateway/pipeline/lanes.ts'

/** Work that ends when the test says so. */
function bench(maxRunning: number, limit = 100, admit: () => number = () => 0, clock = new FakeClock()) {
  const begun: string[] = []
  const ends = new Map<string, (more: boolean) => void>()
  let rooms = 0
  const lanes = new Lanes({
    maxRunning,
    limitOf: () => limit,
    admit,
    clock,
    work: (session: SessionKey) => {
      begun.push(session)
      return new Promise((resolve) => ends.set(session, resolve))
    },
    onRoom: () => (rooms += 1),
  })
  lanes.open()
  const end = async (session: string, more = false): Promise<void> => {
    ends.get(session)?.(more)
    await new Promise(setImmediate)
  }
  return { lanes, begun, end, rooms: () => rooms, hint: (session: string, agent = 'a') => lanes.hint(asSessionKey(session), agent) }
}

test('never works on one session twice at once, and looks again for what came meanwhile', async () => {
  const { begun, end, hint } = bench(8)
  hint('s1')
  hint('s1')
  assert.deepEqual(begun, ['s1'])
  await end('s1')
  assert.deepEqual(begun, ['s1', 's1'])
  await end('s1')
  assert.deepEqual(begun, ['s1', 's1'])
})

test('puts a session with more to do behind those that wait', async () => {
  const { begun, end, hint } = bench(1)
  for (const session of ['s1', 's2', 's3']) hint(session)
  await end('s1', true)
  await end('s2')
  await end('s3')
  assert.deepEqual(begun, ['s1', 's2', 's3', 's1'])
})

test('serves agents in turn, so that a busy one does not starve the others', async () => {
  const { begun, end, hint } = bench(1)
  for (let i = 0; i < 5; i++) hint(`busy${i}`, 'busy')
  hint('calm', 'calm')
  await end('busy0')
  await end('busy1')
  assert.deepEqual(begun.slice(0, 3), ['busy0', 'busy1', 'calm'])
})

test('keeps an agent to its own limit and lets others pass', () => {
  const { begun, hint } = bench(10, 2)
  for (let i = 0; i < 4; i++) hint(`a${i}`, 'a')
  hint('b0', 'b')
  assert.deepEqual(begun, ['a0', 'a1', 'b0'])
})

test('turns hints away beyond its bound and tells when there is room', async () => {
  const { lanes, begun, end, hint, rooms } = bench(1)
  for (let i = 0; i < 10_010; i++) hint(`s${i}`)
  assert.equal(lanes.ready, 10_000)
  for (let i = 0; i < 5_002; i++) await end(begun.at(-1) ?? '')
  assert.equal(rooms(), 1)
})

test('begins nothing after close, which resolves when the last work ends', async () => {
  const { lanes, begun, end, hint } = bench(1)
  hint('s1')
  hint('s2')
  let isClosed = false
  const closed = lanes.close().then(() => (isClosed = true))
  await new Promise(setImmediate)
  assert.equal(isClosed, false)
  await end('s1', true)
  await closed
  assert.deepEqual(begun, ['s1'])
  await lanes.close()
})

test('holds what it may not begin yet, in its place, and begins it when the time is over', () => {
  const clock = new FakeClock()
  const waits = [0, 30, 0, 0]
  const { lanes, begun, hint } = bench(10, 100, () => waits.shift() ?? 0, clock)
  for (const session of ['s1', 's2', 's3']) hint(session)
  assert.deepEqual(begun, ['s1'])
  assert.equal(lanes.ready, 2)
  clock.advance(29)
  assert.deepEqual(begun, ['s1'])
  clock.advance(1)
  assert.deepEqual(begun, ['s1', 's2', 's3'])
})

test('puts acceptance first in a flood, keeps all conversations moving, and lets go when it is over', () => {
  const clock = new FakeClock()
  const pressure = new Pressure(clock)
  const begunIn = (): number => {
    let begun = 0
    while (begun < 1_000 && pressure.admit() === 0) begun += 1
    return begun
  }
  for (let i = 0; i < 500; i++) pressure.accepted()
  assert.equal(begunIn(), 1_000, 'nobody knows yet that it is a flood')
  clock.advance(50)
  for (let i = 0; i < 500; i++) pressure.accepted()
  assert.equal(begunIn(), 10)
  assert.equal(pressure.admit(), 50)
  clock.advance(50)
  assert.equal(begunIn(), 10)
  // Nothing more came in: the next window is no flood.
  clock.advance(50)
  assert.equal(begunIn(), 1_000)
})

test('takes busy but steady traffic for no flood', () => {
  const clock = new FakeClock()
  const pressure = new Pressure(clock)
  for (let window = 0; window < 10; window++) {
    for (let i = 0; i < 400; i++) {
      pressure.accepted()
      if (i % 2 === 0) pressure.ended()
      assert.equal(pressure.admit(), 0)
    }
    clock.advance(50)
  }
})
