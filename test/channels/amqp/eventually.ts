/** Looks again and again, for what nobody tells: the counters of a broker, the states of a host in memory. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

export async function eventually(holds: () => Promise<boolean>, what: string, withinMs = 20_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; !(await holds()); await delay(20))
    assert.ok(Date.now() < deadline, `${what} did not come within ${withinMs} ms`)
}
