import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Limit } from '../../../skills/runner/limit.ts'
import type { Place } from '../../../skills/runner/limit.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const never = new AbortController().signal
const release = (place: Place): void => (place.is === 'had' ? place.release() : assert.fail(place.is))

test('skills of a tenant that wait take turns, within the turns of tenants', async () => {
  const limit = new Limit({ maxConcurrent: 1, maxQueued: 100, queueMs: 1_000 }, new FakeClock())
  const first = await limit.take({ tenant: 'a', skill: 'many' }, never)
  const order: string[] = []
  const waits = ['many', 'many', 'many', 'many', 'few', 'few'].map(async (skill) => {
    const place = await limit.take({ tenant: 'a', skill }, never)
    order.push(skill)
    release(place)
  })
  const other = (async () => {
    const place = await limit.take({ tenant: 'b', skill: 'other' }, never)
    order.push('other')
    release(place)
  })()
  release(first)
  await Promise.all([...waits, other])
  assert.deepEqual(order, ['many', 'other', 'few', 'many', 'few', 'many', 'many'])
  assert.deepEqual([limit.running, limit.waiting], [0, 0])
})

test('who leaves is out of turn, and the place goes to the next', async () => {
  const clock = new FakeClock()
  const limit = new Limit({ maxConcurrent: 1, maxQueued: 2, queueMs: 1_000 }, clock)
  const first = await limit.take({ tenant: 'a', skill: 'x' }, never)
  const abort = new AbortController()
  const left = limit.take({ tenant: 'a', skill: 'x' }, abort.signal)
  const late = limit.take({ tenant: 'a', skill: 'y' }, never)
  assert.equal((await limit.take({ tenant: 'a', skill: 'z' }, never)).is, 'full')
  abort.abort()
  assert.equal((await left).is, 'aborted')
  clock.advance(1_000)
  assert.equal((await late).is, 'late')
  const next = limit.take({ tenant: 'a', skill: 'z' }, never)
  release(first)
  release(await next)
  assert.deepEqual([limit.running, limit.waiting], [0, 0])
})
