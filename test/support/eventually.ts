/** Looks again and again, with a bound, for what nobody tells: states of a broker, of a file, of another process. What tells is listened to instead. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

const LOOK_MS = 20

/** `what` may be made when it failed, so that it can say what there was. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string | (() => string), withinMs = 20_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; !(await holds()); await delay(LOOK_MS))
    assert.ok(Date.now() < deadline, `${typeof what === 'string' ? what : what()} did not come within ${withinMs} ms`)
}
