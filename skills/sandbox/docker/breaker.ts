/**
 * Spares callers the wait for an engine that is away: after three failures in a row calls fail at once with the last reason, and
 * once a second one call is let through to look. Knows nothing of what is called.
 */
import type { Clock } from '#contract'
import { EngineAway } from './engine.ts'

const FAILURES = 3
const PAUSE_MS = 1_000

export class Breaker {
  readonly #clock: Clock
  #failures = 0
  #reason = ''
  /** When the next call may look, once open. */
  #next = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Why calls fail at once; null: they do not. */
  get reason(): string | null {
    return this.#failures >= FAILURES ? this.#reason : null
  }

  /** @throws EngineAway at once while it is open. Only that error counts as a failure. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#failures >= FAILURES) {
      const now = this.#clock.now()
      if (now < this.#next) throw new EngineAway(this.#reason)
      // One looks; the others go on failing until it knows.
      this.#next = now + PAUSE_MS
    }
    try {
      const result = await call()
      this.#failures = 0
      return result
    } catch (error) {
      if (error instanceof EngineAway) {
        this.#failures++
        this.#reason = error.message
        this.#next = this.#clock.now() + PAUSE_MS
      } else this.#failures = 0
      throw error
    }
  }
}
