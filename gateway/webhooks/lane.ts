/**
 * What one webhook is to get next. Each has a lane of its own, so that one that hangs holds up nobody else's; in it, what somebody asked for
 * by hand does not wait behind what happened. No more attempts begin in one second than its receiver wants.
 */
import type { DueDelivery, WebhookRecord } from '#contract'

/** Of one webhook at once, and as many again of what was asked for by hand. */
const MOST_RUNNING = 4
const WINDOW_MS = 1_000

interface Queue {
  readonly waiting: DueDelivery[]
  running: number
}

export class Lane {
  webhook: WebhookRecord
  readonly #usual: Queue = { waiting: [], running: 0 }
  readonly #single: Queue = { waiting: [], running: 0 }
  /** When the latest attempts began, no more of them than may begin in one second. */
  #begun: readonly number[] = []

  constructor(webhook: WebhookRecord) {
    this.webhook = webhook
  }

  push(delivery: DueDelivery): void {
    this.#of(delivery).waiting.push(delivery)
  }

  /** The next that may be sent now; null: none. */
  next(now: number): DueDelivery | null {
    if (this.#freeAt(now) > now) return null
    const queue = this.#ready()
    const delivery = queue?.waiting.shift()
    if (queue === null || delivery === undefined) return null
    queue.running++
    const { maxPerSecond } = this.webhook
    this.#begun = maxPerSecond === null ? [] : [...this.#begun, now].slice(-maxPerSecond)
    return delivery
  }

  /** When the next may be sent that only the rate holds back; null: there is none. */
  heldUntil(now: number): number | null {
    const freeAt = this.#freeAt(now)
    return freeAt > now && this.#ready() !== null ? freeAt : null
  }

  ended(delivery: DueDelivery): void {
    this.#of(delivery).running--
  }

  /** All that waits is given back, to be read anew. */
  empty(): readonly DueDelivery[] {
    return [this.#usual, this.#single].flatMap(({ waiting }) => waiting.splice(0))
  }

  /** Nothing is lost when it is forgotten, the count of its last second included. */
  isOver(now: number): boolean {
    const last = this.#begun.at(-1) ?? -Infinity
    const isQuiet = last > now || last + WINDOW_MS <= now
    return isQuiet && [this.#usual, this.#single].every(({ waiting, running }) => running === 0 && waiting.length === 0)
  }

  #of({ isSingle }: DueDelivery): Queue {
    return isSingle ? this.#single : this.#usual
  }

  #ready(): Queue | null {
    return [this.#single, this.#usual].find(({ waiting, running }) => waiting.length > 0 && running < MOST_RUNNING) ?? null
  }

  /** Whichever second is looked at, no more than so many begin in it. A clock that was set back holds nobody up. */
  #freeAt(now: number): number {
    const { maxPerSecond } = this.webhook
    const oldest = maxPerSecond === null ? undefined : this.#begun.at(-maxPerSecond)
    return oldest === undefined || oldest > now ? now : oldest + WINDOW_MS
  }
}
