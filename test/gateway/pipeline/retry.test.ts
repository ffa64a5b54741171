import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnavailableError } from '#contract'
import { Patience } from '../../../gateway/pipeline/patience.ts'
import { backoffMs } from '../../../gateway/pipeline/retry.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const policy = { attempts: 5, baseMs: 1_000, capMs: 180_000 }

test('waits a random time below a ceiling that doubles up to the cap', () => {
  const ceiling = (attempt: number): number => backoffMs(policy, attempt, () => 1)
  assert.deepEqual([1, 2, 3, 8, 9, 1_000].map(ceiling), [1_000, 2_000, 4_000, 128_000, 180_000, 180_000])
  assert.equal(
    backoffMs(policy, 3, () => 0.5),
    2_000,
  )
  assert.equal(
    backoffMs(policy, 3, () => 0),
    1,
  )
})

test('writes again until the store takes it', async () => {
  const clock = new FakeClock()
  const patience = new Patience(clock)
  let tries = 0
  const written = patience.persist(async () => {
    tries += 1
    if (tries < 3) throw new UnavailableError('locked', { code: 'STORE_LOCKED', retryAfterMs: 500 })
    return 'stored'
  })
  for (let i = 0; i < 3; i++) {
    await new Promise(setImmediate)
    clock.advance(500)
  }
  assert.equal(await written, 'stored')
  assert.equal(tries, 3)
  assert.equal(clock.pending, 0)
})

test('gives up with the last error when the gateway goes, and at once on any other error', async () => {
  const clock = new FakeClock()
  const patience = new Patience(clock)
  const locked = patience.persist(() => Promise.reject(new UnavailableError('locked', { code: 'STORE_LOCKED' })))
  await new Promise(setImmediate)
  patience.end()
  await assert.rejects(locked, { code: 'STORE_LOCKED' })
  assert.equal(clock.pending, 0)
  await assert.rejects(
    new Patience(clock).persist(() => Promise.reject(new TypeError('bug'))),
    TypeError,
  )
})
