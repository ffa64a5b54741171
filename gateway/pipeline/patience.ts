/**
 * Writes that must not be lost because the store cannot be had for a while: a result that was paid for, the end of a
 * turn. They are tried again until they are stored or the gateway goes.
 */
import { UnavailableError } from '#contract'
import type { Clock } from '#contract'

export class Patience {
  readonly #clock: Clock
  readonly #stop = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whoever waits gives up with the error it met last. */
  end(): void {
    this.#stop.abort()
  }

  async persist<T>(write: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await write()
      } catch (error) {
        if (!(error instanceof UnavailableError) || this.#stop.signal.aborted) throw error
        await this.#wait(error.retryAfterMs)
      }
    }
  }

  #wait(ms: number): Promise<void> {
    const { signal } = this.#stop
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#clock.after(ms, done)
      signal.addEventListener('abort', done)
    })
  }
}
