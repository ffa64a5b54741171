/**
 * Those who wait for a sandbox: bounded in number and time, in turn by group, so that a thousand calls of one skill hold up no other.
 * Who gets what is the pool's.
 */
import type { Clock } from '#contract'
import type { Profile } from './profile.ts'

export interface Claim {
  readonly profile: Profile
  /** What a member may be used again for; null: nothing, it is used once. */
  readonly lease: string | null
  /** Of one member under this lease. */
  readonly maxCalls: number
  /** Those who share a turn in the queue. */
  readonly group: string
  readonly signal: AbortSignal
}

export interface Waiter<R> {
  readonly claim: Claim
  readonly since: number
  waitedMs(): number
  /** Once. */
  readonly settle: (result: R) => void
}

export class Queue<R> {
  readonly #clock: Clock
  readonly #maxQueued: number
  readonly #queueMs: number
  /** In order of turn. */
  readonly #groups = new Map<string, Set<Waiter<R>>>()
  #size = 0

  constructor({ clock, maxQueued, queueMs }: { readonly clock: Clock; readonly maxQueued: number; readonly queueMs: number }) {
    this.#clock = clock
    this.#maxQueued = maxQueued
    this.#queueMs = queueMs
  }

  get size(): number {
    return this.#size
  }

  join(claim: Claim, refuse: (why: 'full' | 'late' | 'cancelled', waitedMs: number) => R): Promise<R> {
    if (claim.signal.aborted) return Promise.resolve(refuse('cancelled', 0))
    if (this.#size >= this.#maxQueued) return Promise.resolve(refuse('full', 0))
    const { promise, resolve } = Promise.withResolvers<R>()
    const since = this.#clock.now()
    const waitedMs = (): number => Math.max(0, this.#clock.now() - since)
    const leave = (why: 'late' | 'cancelled'): void => {
      this.#remove(waiter, claim.group)
      waiter.settle(refuse(why, waitedMs()))
    }
    const cancel = (): void => leave('cancelled')
    const disarm = this.#clock.after(this.#queueMs, () => leave('late'))
    claim.signal.addEventListener('abort', cancel, { once: true })
    const waiter: Waiter<R> = {
      claim,
      since,
      waitedMs,
      settle(result) {
        disarm()
        claim.signal.removeEventListener('abort', cancel)
        resolve(result)
      },
    }
    const group = this.#groups.get(claim.group) ?? new Set()
    group.add(waiter)
    this.#groups.set(claim.group, group)
    this.#size += 1
    return promise
  }

  /** Groups in turn, each with its waiters in the order in which they came. May be changed meanwhile. */
  turns(): readonly (readonly [group: string, waiters: readonly Waiter<R>[]])[] {
    return [...this.#groups].map(([group, waiters]) => [group, [...waiters]])
  }

  /** It got what it waited for, and its group goes to the end. */
  settle(waiter: Waiter<R>, group: string, result: R): void {
    const waiters = this.#groups.get(group)
    this.#remove(waiter, group)
    if (waiters !== undefined && waiters.size > 0) {
      this.#groups.delete(group)
      this.#groups.set(group, waiters)
    }
    waiter.settle(result)
  }

  refuse(which: (waiter: Waiter<R>) => boolean, result: (waiter: Waiter<R>) => R): void {
    for (const [group, waiters] of this.turns()) {
      for (const waiter of waiters.filter(which)) {
        this.#remove(waiter, group)
        waiter.settle(result(waiter))
      }
    }
  }

  #remove(waiter: Waiter<R>, group: string): void {
    const waiters = this.#groups.get(group)
    if (waiters?.delete(waiter)) this.#size -= 1
    if (waiters?.size === 0) this.#groups.delete(group)
  }
}
