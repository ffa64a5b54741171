/** A collector that takes everything and answers nothing: its exporter gives up after ten seconds, which is why this is slow. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { worldOf } from './tracing.ts'

test(
  'while the collector hangs the oldest spans are dropped and counted, and the end waits two seconds',
  { timeout: 60_000 },
  async (t) => {
    const { collector, tracing, clock, count } = await worldOf(t)
    collector.become('hang')
    const asked = collector.asked()
    for (let i = 0; i < 512; i++) tracing.span('agent.run').end()
    await asked
    for (let i = 0; i < 5_000; i++) tracing.span('agent.run', { attributes: { i } }).end()
    // 512 are under way; of 5,000 no more than 2,048 wait.
    assert.equal(await count('dropped'), 6 * 512)
    const stopped = tracing.stop()
    clock.advance(2_000)
    await stopped
    assert.equal(await count('dropped'), 5_000)
  },
)
