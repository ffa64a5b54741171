/** Takes away, in small batches, what ended longer ago than it is kept. Dedupe keys go with their messages. */
import { describeError } from '#contract'
import type { Clock, Log, Store } from '#contract'

export interface RetentionParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** Messages are kept so long after their end. */
  readonly keepMs: number
}

const BATCH = 500
const EVERY_MS = 10 * 60_000
/** Between two full batches, so that pruning never competes with messages. */
const PAUSE_MS = 250

export class Retention {
  readonly #parts: RetentionParts
  #cancel: () => void = () => undefined
  #isOpen = false
  #pass: Promise<void> = Promise.resolve()

  constructor(parts: RetentionParts) {
    this.#parts = parts
  }

  start(): void {
    this.#isOpen = true
    this.#later(EVERY_MS)
  }

  async stop(): Promise<void> {
    this.#isOpen = false
    this.#cancel()
    await this.#pass
  }

  #later(ms: number): void {
    if (!this.#isOpen) return
    this.#cancel = this.#parts.clock.after(ms, () => {
      this.#pass = this.#prune()
    })
  }

  async #prune(): Promise<void> {
    const { store, clock, log, keepMs } = this.#parts
    try {
      const gone = await store.prune(clock.now() - keepMs, BATCH)
      if (gone > 0) log.info({ messages: gone }, 'Old messages were taken away.')
      this.#later(gone === BATCH ? PAUSE_MS : EVERY_MS)
    } catch (error) {
      log.warn({ 'error.code': describeError(error).code }, 'Old messages could not be taken away; it will be tried again.')
      this.#later(EVERY_MS)
    }
  }
}
