/** What one webhook is to get next. Each has a lane of its own, so that one that hangs holds up nobody else's. */
import type { DueDelivery, WebhookRecord } from '#contract'

/** Of one webhook at once. */
const MOST_RUNNING = 4

export class Lane {
  webhook: WebhookRecord
  running = 0
  readonly #waiting: DueDelivery[] = []

  constructor(webhook: WebhookRecord) {
    this.webhook = webhook
  }

  get isIdle(): boolean {
    return this.running === 0 && this.#waiting.length === 0
  }

  push(delivery: DueDelivery): void {
    this.#waiting.push(delivery)
  }

  /** The next that may be sent now; null: none. */
  next(): DueDelivery | null {
    return this.running < MOST_RUNNING ? (this.#waiting.shift() ?? null) : null
  }

  /** All that waits is given back, to be read anew. */
  empty(): readonly DueDelivery[] {
    return this.#waiting.splice(0)
  }
}
