/** So many sandboxes at once, and so many calls that wait for one, each for a bounded time. In the order in which they came. */
import type { Clock } from '#contract'

export type Place = { readonly is: 'place'; readonly number: number } | { readonly is: 'busy' | 'cancelled'; readonly message: string }

export class Places {
  readonly #clock: Clock
  readonly #free: number[]
  readonly #waiting = new Set<(number: number) => void>()
  readonly #maxQueued: number
  readonly #queueMs: number

  constructor(options: { readonly clock: Clock; readonly places: number; readonly maxQueued: number; readonly queueMs: number }) {
    this.#clock = options.clock
    this.#free = Array.from({ length: options.places }, (_, at) => options.places - 1 - at)
    this.#maxQueued = options.maxQueued
    this.#queueMs = options.queueMs
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** At once, if one is free and nobody waits for it. */
  tryTake(): number | null {
    return this.#free.pop() ?? null
  }

  take(signal: AbortSignal): Promise<Place> {
    if (signal.aborted) return Promise.resolve({ is: 'cancelled', message: 'it was stopped before it began' })
    const number = this.tryTake()
    if (number !== null) return Promise.resolve({ is: 'place', number })
    if (this.#waiting.size >= this.#maxQueued) {
      return Promise.resolve({ is: 'busy', message: `all sandboxes are in use, and ${this.#waiting.size} calls wait for one` })
    }
    return new Promise((resolve) => {
      const settle = (place: Place): void => {
        this.#waiting.delete(given)
        disarm()
        signal.removeEventListener('abort', cancel)
        resolve(place)
      }
      const given = (number: number): void => settle({ is: 'place', number })
      const cancel = (): void => settle({ is: 'cancelled', message: 'it was stopped while it waited for a sandbox' })
      const late = (): void => settle({ is: 'busy', message: `all sandboxes were in use for ${this.#queueMs} ms` })
      const disarm = this.#clock.after(this.#queueMs, late)
      signal.addEventListener('abort', cancel, { once: true })
      this.#waiting.add(given)
    })
  }

  give(number: number): void {
    const [first] = this.#waiting
    if (first === undefined) this.#free.push(number)
    else first(number)
  }
}
