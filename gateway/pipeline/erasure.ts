/**
 * Erasing a session: refused while one of its turns is worked on, gone for everybody once it is begun, and slice by slice from the disk. What
 * a former life of the gateway left of it is erased when the next one starts.
 */
import { ConflictError, NotFoundError, UnavailableError, describeError } from '#contract'
import type { Clock, Log, SessionKey, Store } from '#contract'
import type { Feed } from './feed.ts'

export interface ErasureParts {
  readonly store: Pick<Store, 'sessions'>
  readonly feed: Feed
  readonly clock: Clock
  readonly log: Log
}

/** After a store that could not be had. */
const AGAIN_MS = 1_000

export class Erasure {
  readonly #parts: ErasureParts
  #isOpen = false
  #cancel: () => void = () => undefined
  #pass: Promise<void> = Promise.resolve()

  constructor(parts: ErasureParts) {
    this.#parts = parts
  }

  /** Resolves when nothing is left of what was begun before, or the store cannot be had; then it is tried again. */
  async start(): Promise<void> {
    this.#isOpen = true
    await this.#goOn()
  }

  /** Resolves when the slice under way is done; the others are left for the next start. */
  async stop(): Promise<void> {
    this.#isOpen = false
    this.#cancel()
    await this.#pass.catch(() => undefined)
  }

  /**
   * Resolves when nothing is left of it.
   * @throws NotFoundError, ConflictError while a turn is worked on, UnavailableError when it will be gone on with later
   */
  async erase(tenant: string, key: SessionKey): Promise<void> {
    const { store, feed, clock } = this.#parts
    const begun = await store.sessions.erase(tenant, key, clock.now())
    if (begun === 'missing') throw new NotFoundError('There is no session with this id.', { code: 'SESSION_NOT_FOUND' })
    if (begun === 'busy') {
      throw new ConflictError('A turn of this session is being worked on. Wait until it has ended, then delete the session again.', {
        code: 'SESSION_BUSY',
      })
    }
    feed.forget(tenant, key)
    try {
      await this.#run()
    } catch (error) {
      this.#later()
      throw error
    }
  }

  async #goOn(): Promise<void> {
    const { log } = this.#parts
    await this.#run().catch((error: unknown) => {
      log.warn({ 'error.code': describeError(error).code }, 'Sessions could not be erased to their end; it will be tried again.')
      this.#later()
    })
  }

  #later(): void {
    this.#cancel()
    if (this.#isOpen) this.#cancel = this.#parts.clock.after(AGAIN_MS, () => void this.#goOn())
  }

  /** A pass of its own: one under way may have looked for the last time before this was asked for. */
  #run(): Promise<void> {
    this.#pass = this.#pass.catch(() => undefined).then(() => this.#all())
    return this.#pass
  }

  async #all(): Promise<void> {
    const { store, clock } = this.#parts
    while (await store.sessions.eraseOn(clock.now())) {
      if (this.#isOpen) continue
      throw new UnavailableError('The gateway is shutting down. What is left of the session goes at its next start.', {
        code: 'DRAINING',
        retryAfterMs: 5_000,
      })
    }
  }
}
