/**
 * Finds sessions in which messages wait: at once when somebody says so, at the time that something falls due, and now and then in case that
 * was missed. What is done about a session is `dispatch.ts`.
 */
import { describeError } from '#contract'
import type { Clock, Log, SessionKey, Store } from '#contract'

export interface LookoutOptions {
  readonly store: Pick<Store, 'inbox'>
  readonly clock: Clock
  readonly log: Log
  /** Messages wait in this session. */
  readonly onFound: (session: SessionKey, agent: { readonly tenant: string; readonly name: string }) => void
}

/** Sessions looked up at once when hints are used up. */
const PAGE = 1_000
/** What may be missed is found again after so long. */
const SWEEP_MS = 30_000

export class Lookout {
  readonly #options: LookoutOptions
  #wakeAt = Infinity
  #cancelWake: () => void = () => undefined
  #scanning: Promise<void> | null = null
  #isScanStale = false
  #isOpen = false

  constructor(options: LookoutOptions) {
    this.#options = options
  }

  start(): void {
    this.#isOpen = true
    this.look()
  }

  /** No look is begun any more. */
  close(): void {
    this.#isOpen = false
    this.#cancelWake()
  }

  /** Resolves when the last look is over. */
  async stop(): Promise<void> {
    this.close()
    await this.#scanning
  }

  /** Looks for work at that time; only the earliest is kept, because every look finds all that is due and when the next will be. */
  wake(at: number): void {
    if (!this.#isOpen || at >= this.#wakeAt) return
    const { clock } = this.#options
    this.#cancelWake()
    this.#wakeAt = at
    this.#cancelWake = clock.after(Math.max(1, at - clock.now()), () => {
      this.#wakeAt = Infinity
      this.look()
    })
  }

  look(): void {
    if (!this.#isOpen) return
    if (this.#scanning !== null) {
      // What fell due since that look began may have been passed by.
      this.#isScanStale = true
      return
    }
    this.#scanning = this.#scan().finally(() => {
      this.#scanning = null
      if (this.#isScanStale) {
        this.#isScanStale = false
        this.look()
      }
      this.wake(this.#options.clock.now() + SWEEP_MS)
    })
  }

  async #scan(): Promise<void> {
    const { store, clock, log, onFound } = this.#options
    const now = clock.now()
    try {
      for (let after = 0, size = PAGE; size === PAGE && this.#isOpen;) {
        const found = await store.inbox.readySessions({ now, after, limit: PAGE })
        for (const { session, tenant, agent } of found) onFound(session, { tenant, name: agent })
        size = found.length
        after = found.at(-1)?.seq ?? after
      }
      // Of all that was told to wake us only the earliest was kept, and nothing of a former life.
      const due = await store.inbox.nextDue(now)
      if (due !== null && due > clock.now()) this.wake(due)
      else if (due !== null) this.#isScanStale = true
    } catch (error) {
      log.warn({ 'error.code': describeError(error).code }, 'Could not look for waiting messages; it will be tried again.')
      this.wake(clock.now() + 1_000)
    }
  }
}
