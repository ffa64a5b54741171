/**
 * How many runs there may be at once, and who is next. Tenants that wait take turns, and so do the skills of a tenant, so that many calls of
 * the one do not hold up few of the other; how many wait, and how long, is bounded.
 */
import type { Clock } from '#contract'

export interface Bounds {
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly queueMs: number
}

export type Place = { readonly is: 'had'; readonly release: () => void } | { readonly is: 'full' | 'late' | 'aborted' }

/** Whose a call is. */
interface Claim {
  readonly tenant: string
  readonly skill: string
}

interface Waiter {
  readonly settle: (place: Place) => void
}

export class Limit {
  readonly #clock: Clock
  /** By tenant, by skill, each in the order in which they take turns. Holds nothing empty. */
  readonly #queues = new Map<string, Map<string, Set<Waiter>>>()
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
  take(claim: Claim, signal: AbortSignal): Promise<Place> | Place {
    if (signal.aborted) return { is: 'aborted' }
    if (this.#running < this.#bounds.maxConcurrent) return this.#give()
    if (this.#waiting >= this.#bounds.maxQueued) return { is: 'full' }
    return this.#wait(claim, signal)
  }

  #wait(claim: Claim, signal: AbortSignal): Promise<Place> {
    const { queueMs } = this.#bounds
    return new Promise((resolve) => {
      const leave = (is: 'late' | 'aborted'): void => {
        this.#drop(claim, waiter)
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
      const queues = this.#queues.get(claim.tenant) ?? new Map<string, Set<Waiter>>()
      const queue = queues.get(claim.skill) ?? new Set()
      this.#queues.set(claim.tenant, queues.set(claim.skill, queue.add(waiter)))
      this.#waiting++
    })
  }

  #drop({ tenant, skill }: Claim, waiter: Waiter): void {
    const queues = this.#queues.get(tenant)
    const queue = queues?.get(skill)
    if (queues === undefined || queue === undefined || !queue.delete(waiter)) return
    this.#waiting--
    if (queue.size === 0) queues.delete(skill)
    if (queues.size === 0) this.#queues.delete(tenant)
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
    const [tenant, queues] = turn
    const [turnOfSkill] = queues
    if (turnOfSkill === undefined) return
    const [skill, queue] = turnOfSkill
    const [waiter] = queue
    if (waiter === undefined) return
    queue.delete(waiter)
    this.#waiting--
    // To the end of the line, if there is more to come.
    queues.delete(skill)
    this.#queues.delete(tenant)
    if (queue.size > 0) queues.set(skill, queue)
    if (queues.size > 0) this.#queues.set(tenant, queues)
    waiter.settle(this.#give())
  }
}
