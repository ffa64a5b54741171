/**
 * How many runs there may be at once, and who is next. Tenants that wait take turns, so that one with many calls does not
 * hold up one with few; how many wait, and how long, is bounded.
 */
import type { Clock } from '#contract'

export interface LimitOptions {
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly queueMs: number
  readonly clock: Clock
}

export type Place = { readonly is: 'had'; readonly release: () => void } | { readonly is: 'full' | 'late' | 'aborted' }

interface Waiter {
  readonly settle: (place: Place) => void
}

export class Limit {
  readonly #options: LimitOptions
  /** By tenant, in the order in which tenants take turns. Never holds an empty queue. */
  readonly #queues = new Map<string, Set<Waiter>>()
  #running = 0
  #waiting = 0

  constructor(options: LimitOptions) {
    this.#options = options
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Never rejects. A place has to be released, once. */
  take(tenant: string, signal: AbortSignal): Promise<Place> | Place {
    if (signal.aborted) return { is: 'aborted' }
    if (this.#running < this.#options.maxConcurrent) return this.#give()
    if (this.#waiting >= this.#options.maxQueued) return { is: 'full' }
    return this.#wait(tenant, signal)
  }

  #wait(tenant: string, signal: AbortSignal): Promise<Place> {
    const { clock, queueMs } = this.#options
    return new Promise((resolve) => {
      const leave = (is: 'late' | 'aborted'): void => {
        this.#drop(tenant, waiter)
        waiter.settle({ is })
      }
      const onAbort = (): void => leave('aborted')
      const cancelTimer = clock.after(queueMs, () => leave('late'))
      const waiter: Waiter = {
        settle: (place) => {
          cancelTimer()
          signal.removeEventListener('abort', onAbort)
          resolve(place)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const queue = this.#queues.get(tenant)
      if (queue === undefined) this.#queues.set(tenant, new Set([waiter]))
      else queue.add(waiter)
      this.#waiting++
    })
  }

  #drop(tenant: string, waiter: Waiter): void {
    const queue = this.#queues.get(tenant)
    if (queue === undefined || !queue.delete(waiter)) return
    this.#waiting--
    if (queue.size === 0) this.#queues.delete(tenant)
  }

  #give(): Place {
    this.#running++
    let isReleased = false
    return {
      is: 'had',
      release: () => {
        if (isReleased) return
        isReleased = true
        this.#running--
        this.#next()
      },
    }
  }

  #next(): void {
    const [turn] = this.#queues
    if (turn === undefined || this.#running >= this.#options.maxConcurrent) return
    const [tenant, queue] = turn
    const [waiter] = queue
    // To the end of the line, if there is more to come.
    this.#queues.delete(tenant)
    if (waiter === undefined) return
    queue.delete(waiter)
    this.#waiting--
    if (queue.size > 0) this.#queues.set(tenant, queue)
    waiter.settle(this.#give())
  }
}
