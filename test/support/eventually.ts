/** Looks again and again, with a bound, for what nobody tells: states of a broker, of a file, of another process. What tells is listened to instead. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

/** `what` may be made when it failed, so that it can say what there was. `holds` may throw, which ends it: what was awaited cannot come any more. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string),
  withinMs = 20_000,
  lookMs = 20,
): Promise<void> {
  for (const deadline = Date.now() + withinMs; !(await holds()); await delay(lookMs))
    assert.ok(Date.now() < deadline, `${typeof what === 'string' ? what : what()} did not come within ${withinMs} ms`)
}
