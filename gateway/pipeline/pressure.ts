/**
 * Acceptance first. While messages come in much faster than turns end, only so many turns are begun that all conversations
 * move on; the rest waits, durably, until the flood is over. Whoever hands in gets an answer at the speed of the disk
 * and not of the agents. Steady traffic, however busy, is no flood: there as much ends as comes in.
 */
import type { Clock } from '#contract'

const WINDOW_MS = 50
/**
 * 6,000 a second: more than turns can be ended in a second, whatever they do. Below it nothing is ever held, so no traffic that could
 * be served is kept waiting by a moment in which it was not.
 */
const FLOOD = 300
/** A flood is so many times more than what ends. */
const RATIO = 3
/** What is begun in a window all the same: 200 a second. */
const BEGUN_IN_FLOOD = 10

export class Pressure {
  readonly #clock: Clock
  #windowEnd = 0
  #accepted = 0
  #ended = 0
  #begun = 0
  #isFlood = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  accepted(): void {
    this.#roll()
    this.#accepted += 1
  }

  ended(): void {
    this.#roll()
    this.#ended += 1
  }

  /** 0: begin a turn now, and it is counted as begun. Else ask again in so many milliseconds. */
  admit(): number {
    this.#roll()
    if (this.#isFlood && this.#begun >= BEGUN_IN_FLOOD) return Math.max(1, this.#windowEnd - this.#clock.now())
    this.#begun += 1
    return 0
  }

  #roll(): void {
    const now = this.#clock.now()
    if (now < this.#windowEnd) return
    // A window in which nothing happened says that nothing comes in.
    const isFresh = now < this.#windowEnd + WINDOW_MS
    this.#isFlood = isFresh && this.#accepted >= FLOOD && this.#accepted > RATIO * this.#ended
    this.#windowEnd = now + WINDOW_MS
    this.#accepted = 0
    this.#ended = 0
    this.#begun = 0
  }
}
