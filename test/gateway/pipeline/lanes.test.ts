import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asSessionKey } from '#contract'
import type { SessionKey } from '#contract'
import { Lanes } from '../../../gateway/pipeline/lanes.ts'

/** Work that ends when the test says so. */
function bench(maxRunning: number, limit = 100) {
  const begun: string[] = []
  const ends = new Map<string, (more: boolean) => void>()
  let rooms = 0
  const lanes = new Lanes({
    maxRunning,
    limitOf: () => limit,
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
