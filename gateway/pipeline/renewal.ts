/** Renews the leases of turns under way, as long as there are any; one that was lost to somebody else is told. */
import { describeError } from '#contract'
import type { Clock, Log, Store, TurnId, TurnRef } from '#contract'

export interface RenewalOptions {
  readonly store: Pick<Store, 'turns'>
  readonly clock: Clock
  readonly log: Log
  readonly leaseMs: number
  /** Those under way. */
  readonly running: () => readonly TurnRef[]
  readonly onLost: (turns: ReadonlySet<TurnId>) => void
}

export class Renewal {
  readonly #options: RenewalOptions
  #cancelTimer: () => void = () => undefined
  #isOpen = false

  constructor(options: RenewalOptions) {
    this.#options = options
  }

  start(): void {
    this.#isOpen = true
    this.#later()
  }

  /** Goes on for those that still run. */
  close(): void {
    this.#isOpen = false
  }

  stop(): void {
    this.close()
    this.#cancelTimer()
  }

  #later(): void {
    const { clock, leaseMs, running } = this.#options
    this.#cancelTimer = clock.after(leaseMs / 3, () => {
      void this.#renew().finally(() => {
        if (this.#isOpen || running().length > 0) this.#later()
      })
    })
  }

  async #renew(): Promise<void> {
    const { store, clock, log, leaseMs, running, onLost } = this.#options
    const turns = running()
    if (turns.length === 0) return
    try {
      onLost(new Set(await store.turns.renew(turns, clock.now() + leaseMs)))
    } catch (error) {
      log.warn({ 'error.code': describeError(error).code }, 'Leases could not be renewed.')
    }
  }
}
