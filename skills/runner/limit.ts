/**
 * How many runs there may be at once, and who is next. Tenants that wait take turns, so that one with many calls does not
 * hold up one with few; how many wait, and how long, is bounded.
 */
import type { Clock } from '#contract'

export interface Bounds {
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly queueMs: number
}

export type Place = { readonly is: 'had'; readonly release: () => void } | { readonly is: 'full' | 'late' | 'aborted' }

interface Waiter {
  readonly settle: (place: Place) => void
}

export class Limit {
  readonly #clock: Clock
  /** By tenant, in the order in which tenants take turns. Never holds an empty queue. */
  readonly #queues = new Map<string, Set<Waiter>>()
  #bounds: Bounds
  #running = 0
  #waiting = 0

  constructor(bounds: Bounds, clock: Clock) {
    this.#bounds = bounds
    this.#clock = clock
  }

  /** Those that wait keep the time that they were given; those that run, their place. */
  change(bounds: Bounds): void {
    this.#bounds = bounds
    while (this.#waiting > 0 && this.#running < bounds.maxConcurrent) this.#next()
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
    if (this.#running < this.#bounds.maxConcurrent) return this.#give()
    if (this.#waiting >= this.#bounds.maxQueued) return { is: 'full' }
    return this.#wait(tenant, signal)
  }

  #wait(tenant: string, signal: AbortSignal): Promise<Place> {
    const { queueMs } = this.#bounds
    return new Promise((resolve) => {
      const leave = (is: 'late' | 'aborted'): void => {
        this.#drop(tenant, waiter)
        waiter.settle({ is })
      }
      const onAbort = (): void => leave('aborted')
      const cancelTimer = this.#clock.after(queueMs, () => leave('late'))
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
    if (turn === undefined || this.#running >= this.#bounds.maxConcurrent) return
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
