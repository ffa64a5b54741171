/**
 * Brings planned letters back when their time comes, one after the other, so that those of one conversation go in their order. The plan is
 * in the store: after a restart it goes on where it stood. How one letter is brought back is `dead-letters.ts`.
 */
import { UnavailableError, describeError } from '#contract'
import type { Clock, Log, PlannedLetter, ReplayResult, Store } from '#contract'

export interface ReplaysParts {
  readonly store: Pick<Store, 'deadLetters'>
  readonly clock: Clock
  readonly log: Log
  readonly replay: (letter: PlannedLetter) => Promise<ReplayResult>
}

/** Looked up at once. */
const PAGE = 50
/** After a store that could not be had. */
const AGAIN_MS = 1_000
/** Timers hold 2^31 ms at most. */
const LONGEST_MS = 3_600_000

export class Replays {
  readonly #parts: ReplaysParts
  #isOpen = false
  #cancel: () => void = () => undefined
  #pass: Promise<void> | null = null
  #isStale = false

  constructor(parts: ReplaysParts) {
    this.#parts = parts
  }

  start(): void {
    this.#isOpen = true
    this.wake()
  }

  /** Resolves when the letter that is being brought back is; the others stay planned. */
  async stop(): Promise<void> {
    this.#isOpen = false
    this.#cancel()
    await this.#pass
  }

  /** Something was planned. */
  wake(): void {
    if (!this.#isOpen) return
    if (this.#pass !== null) {
      // What was planned since that look began may have been passed by.
      this.#isStale = true
      return
    }
    this.#cancel()
    this.#pass = this.#look()
  }

  async #look(): Promise<void> {
    const nextAt = await this.#all()
    this.#pass = null
    if (this.#isStale) {
      this.#isStale = false
      this.wake()
    } else if (nextAt !== null && this.#isOpen) this.#later(nextAt)
  }

  #later(at: number): void {
    const { clock } = this.#parts
    this.#cancel = clock.after(Math.min(Math.max(1, at - clock.now()), LONGEST_MS), () => this.wake())
  }

  /** All whose time has come; answers when to look again. Never rejects. */
  async #all(): Promise<number | null> {
    const { store, clock, log } = this.#parts
    try {
      while (this.#isOpen) {
        const { letters, nextAt } = await store.deadLetters.planned(clock.now(), PAGE)
        if (letters.length === 0) return nextAt
        for (const letter of letters) if (this.#isOpen) await this.#one(letter)
      }
      return null
    } catch (error) {
      log.warn({ 'error.code': describeError(error).code }, 'Dead letters could not be replayed as planned; it will be tried again.')
      return clock.now() + AGAIN_MS
    }
  }

  /** One that cannot be brought back stays open, as if nobody had asked: it must not hold up the others. */
  async #one(letter: PlannedLetter): Promise<void> {
    const { store, log } = this.#parts
    const why = await this.#hindrance(letter)
    if (why === null) return
    await store.deadLetters.unplan(letter.tenant, letter.id)
    log.warn(
      { dead_letter: letter.id, tenant: letter.tenant, 'error.code': why },
      'A dead letter was not replayed as planned; it stays open.',
    )
  }

  /** null: it is on its way, or was settled by somebody meanwhile. */
  async #hindrance(letter: PlannedLetter): Promise<string | null> {
    try {
      const { status } = await this.#parts.replay(letter)
      if (status === 'replayed' || status === 'settled') return null
      return status === 'unroutable' ? 'UNROUTABLE' : 'DEAD_LETTER_NOT_FOUND'
    } catch (error) {
      if (error instanceof UnavailableError) throw error
      return describeError(error).code
    }
  }
}
