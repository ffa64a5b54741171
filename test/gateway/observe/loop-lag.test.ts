import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '#contract'
import { LoopLag } from '../../../gateway/observe/loop-lag.ts'

/** One timer, which fires when the test says so: as late as a busy loop would. */
class LateClock implements Clock {
  at = 0
  #run: (() => void) | null = null
  now(): number {
    return this.at
  }
  after(_ms: number, run: () => void): () => void {
    this.#run = run
    return () => (this.#run = null)
  }
  get isSet(): boolean {
    return this.#run !== null
  }
  fire(at: number): void {
    this.at = at
    this.#run?.()
  }
}

test('a standstill is told for ten seconds, the longest of them', async () => {
  const clock = new LateClock()
  const lag = new LoopLag(clock)
  await lag.start()
  clock.fire(1_000)
  assert.equal(lag.lateMs(), 0)
  clock.fire(8_000)
  assert.equal(lag.lateMs(), 6_000)
  clock.fire(9_500)
  assert.equal(lag.lateMs(), 6_000)
  clock.at = 18_001
  assert.equal(lag.lateMs(), 0)
  await lag.stop()
  assert.equal(clock.isSet, false)
})
