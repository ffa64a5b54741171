/**
 * Who gets which sandbox. Knows members only as things that can be made, asked whether they live, and destroyed. A budget bounds them all;
 * those waiting are served in turn by group; a member lent under a lease comes back and waits for the next call of the same lease. What
 * is kept ahead, and when a member has served its time, `parking.ts` says.
 */
import { describeError } from '#contract'
import type { Clock } from '#contract'
import { PULSE_MS, Parking, isStale } from './parking.ts'
import type { Profile } from './profile.ts'
import { Queue, type Claim, type Waiter } from './queue.ts'
import { Seats, type Seat } from './seats.ts'

export interface Member {
  /** Resolves when it is of no more use, for whatever reason. */
  readonly broken: Promise<unknown>
  /** False: it does not answer. */
  ping(): Promise<boolean>
  /** Resolves when nothing of it is left, however long that takes. Never rejects. Idempotent. */
  destroy(): Promise<void>
}

export interface PoolOptions<M extends Member> {
  /** `slot` is nobody else's until the member is destroyed, or its making failed. */
  readonly make: (profile: Profile, slot: number, signal: AbortSignal) => Promise<M>
  readonly clock: Clock
  /** Members at once, those that are just being made or destroyed included. */
  readonly max: number
  /** Made at the same time. */
  readonly starters: number
  /** Kept ahead for each profile in use, at least. */
  readonly parked: number
  readonly maxQueued: number
  readonly queueMs: number
}

export type Claimed<M> =
  /** `isBound`: it has served this lease before. */
  | { readonly is: 'given'; readonly member: M; readonly isBound: boolean; readonly queueMs: number; readonly startMs: number }
  | { readonly is: 'busy' | 'unavailable' | 'cancelled'; readonly message: string; readonly queueMs: number }

export interface Census {
  readonly starting: number
  readonly parked: number
  readonly leased: number
  readonly busy: number
  readonly ending: number
  readonly queued: number
}

/** With a member of the same lease at work, a call waits so long for it before another member is made. */
const GROW_MS = 150
const REST_MS = 15

export class Pool<M extends Member> {
  readonly #options: PoolOptions<M>
  readonly #clock: Clock
  readonly #seats: Seats<M>
  readonly #queue: Queue<Claimed<M>>
  readonly #parking: Parking
  readonly #making = new AbortController()
  #endPulse: (() => void) | null = null
  #endGrowth: (() => void) | null = null
  #endRest: (() => void) | null = null
  #isStopped = false
  #isServing = false
  readonly #gone = new Set<Promise<void>>()

  constructor(options: PoolOptions<M>) {
    this.#options = options
    this.#clock = options.clock
    this.#seats = new Seats({ clock: options.clock, max: options.max })
    this.#queue = new Queue({ clock: options.clock, maxQueued: options.maxQueued, queueMs: options.queueMs })
    this.#parking = new Parking({ clock: options.clock, parked: options.parked, max: options.max })
  }

  /** Never rejects. What is given is given back by `release`. */
  claim(claim: Claim): Promise<Claimed<M>> {
    if (this.#isStopped) return Promise.resolve({ is: 'unavailable', message: 'the gateway is stopping', queueMs: 0 })
    this.#parking.use(claim.profile)
    const claimed = this.#queue.join(claim, (is, queueMs) => refusal(is, queueMs))
    this.#serve()
    return claimed
  }

  /** `isReusable` false: whatever its lease, it is destroyed. */
  release(member: M, { isReusable }: { readonly isReusable: boolean }): void {
    const seat = this.#seats.of(member)
    if (seat?.is !== 'busy') return
    const now = this.#clock.now()
    seat.usedAt = now
    seat.heardAt = now
    if (isReusable && seat.lease !== null && seat.calls < seat.maxCalls && !isStale(seat, now)) {
      seat.is = 'leased'
      this.#serve()
    } else this.#end(seat)
  }

  /** One that was given back, and need not be kept. */
  retire(member: M): void {
    const seat = this.#seats.of(member)
    if (seat?.is === 'leased') this.#end(seat)
  }

  /** A slot that something else has; its uid is not given to another. False: it is not free. */
  occupy(slot: number, member: M, profile: Profile): boolean {
    const seat = this.#seats.take(profile, slot)
    if (seat === null) return false
    this.#settle(seat, member)
    seat.is = 'busy'
    return true
  }

  census(): Census {
    const seats = this.#seats
    return {
      starting: seats.count('starting'),
      parked: seats.count('parked'),
      leased: seats.count('leased'),
      busy: seats.count('busy'),
      ending: seats.count('ending'),
      queued: this.#queue.size,
    }
  }

  /** Resolves when every member is gone, or those who destroy them have given up. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#making.abort()
    this.#endPulse?.()
    this.#endGrowth?.()
    this.#queue.refuse(
      () => true,
      (waiter) => ({ is: 'unavailable', message: 'the gateway is stopping', queueMs: waiter.waitedMs() }),
    )
    for (const seat of this.#seats.all()) if (seat.is !== 'starting' && seat.is !== 'ending') this.#end(seat)
    while (this.#gone.size > 0) await Promise.all(this.#gone)
  }

  /** Gives what there is to those in turn, and has made, or makes room for, what there is not. */
  #serve(): void {
    // What is given, made or destroyed on the way may call this again.
    if (this.#isServing || this.#isStopped) return
    this.#isServing = true
    try {
      while (this.#round()) continue
      this.#refill()
    } finally {
      this.#isServing = false
    }
    this.#pulse()
  }

  /** One turn of each group. True: something was given, so that there may be more to give. */
  #round(): boolean {
    const coming = new Map<string, number>()
    let ending = 0
    for (const { is, profile } of this.#seats.all()) {
      if (is === 'starting') coming.set(profile.key, (coming.get(profile.key) ?? 0) + 1)
      if (is === 'ending') ending += 1
    }
    let hasGiven = false
    let nextGrowthMs = Number.POSITIVE_INFINITY
    for (const [group, waiters] of this.#queue.turns()) {
      for (const waiter of waiters) {
        const seat = this.#seats.find(waiter.claim)
        if (seat !== null) {
          this.#give(seat, waiter, group)
          hasGiven = true
          break
        }
        const { lease, profile } = waiter.claim
        const isServed = this.#seats.isServed(lease)
        // Also after a failure it can wait a while: its turn comes with the one at work, if not before.
        const patienceMs = isServed ? Math.max(GROW_MS - waiter.waitedMs(), this.#parking.restMs(profile)) : 0
        if (patienceMs > 0) {
          nextGrowthMs = Math.min(nextGrowthMs, patienceMs)
          break
        }
        const expected = coming.get(profile.key) ?? 0
        if (expected > 0) {
          // A lease that is served already grows by one at a time.
          if (!isServed) coming.set(profile.key, expected - 1)
        } else if (!this.#seats.isFull) {
          if (!this.#make(profile)) break
        } else if (ending > 0) ending -= 1
        else if (!this.#evict()) break
      }
    }
    this.#grow(nextGrowthMs)
    return hasGiven
  }

  #give(seat: Seat<M>, waiter: Waiter<Claimed<M>>, group: string): void {
    const { member } = seat
    if (member === null) return
    const waitedMs = waiter.waitedMs()
    const startMs = Math.min(waitedMs, seat.is === 'parked' ? Math.max(0, seat.bornAt - Math.max(seat.madeFrom, waiter.since)) : 0)
    const isBound = seat.is === 'leased'
    if (!isBound) this.#parking.took(seat.profile)
    seat.is = 'busy'
    seat.lease = waiter.claim.lease
    seat.maxCalls = waiter.claim.maxCalls
    seat.calls += 1
    this.#queue.settle(waiter, group, { is: 'given', member, isBound, queueMs: waitedMs - startMs, startMs })
  }

  /** False: as many are being made as may be at once. */
  #make(profile: Profile, starters = this.#options.starters): boolean {
    if (this.#seats.count('starting') >= starters) return false
    const seat = this.#seats.take(profile)
    if (seat === null) return false
    const { make } = this.#options
    this.#follow(async () => {
      try {
        this.#settle(seat, await make(profile, seat.slot, this.#making.signal))
        if (this.#isStopped) this.#end(seat)
      } catch (error) {
        this.#seats.leave(seat)
        this.#parking.failed(profile)
        this.#fail(profile, describeError(error).message)
      }
      this.#serve()
    })
    return true
  }

  /** Those who wait for nothing else learn why; whose lease is at work wait on. */
  #fail(profile: Profile, message: string): void {
    const atWork = this.#seats.leasesAtWork()
    this.#queue.refuse(
      ({ claim }) => claim.profile.key === profile.key && (claim.lease === null || !atWork.has(claim.lease)),
      (waiter) => ({ is: 'unavailable', message, queueMs: waiter.waitedMs() }),
    )
  }

  /** Of those that serve nobody, the one that did so longest. False: there is none. */
  #evict(): boolean {
    const oldest = this.#seats.oldest()
    if (oldest === null) return false
    this.#end(oldest)
    return true
  }

  /** A little later: the calls that took what is to be made again have the processors first. */
  #refill(): void {
    if (this.#endRest !== null || this.#queue.size > 0) return
    this.#endRest = this.#clock.after(REST_MS, () => {
      this.#endRest = null
      if (!this.#isStopped && this.#queue.size === 0) this.#fill()
    })
  }

  #fill(): void {
    // One place is left for who comes and waits.
    const starters = Math.max(1, this.#options.starters - 1)
    for (const { profile, target } of this.#parking.targets()) {
      let has = this.#seats.count('parked', profile) + this.#seats.count('starting', profile)
      while (has < target && this.#make(profile, starters)) has += 1
    }
  }

  #settle(seat: Seat<M>, member: M): void {
    this.#seats.settle(seat, member)
    // One at work is ended by whoever works with it.
    void member.broken.then(() => (seat.is === 'parked' || seat.is === 'leased' ? this.#end(seat) : undefined))
  }

  #end(seat: Seat<M>): void {
    const { member } = seat
    if (seat.is === 'ending' || member === null) return
    seat.is = 'ending'
    this.#follow(async () => {
      await member.destroy()
      this.#seats.leave(seat)
      this.#serve()
    })
  }

  /** `stop` waits for it. */
  #follow(run: () => Promise<void>): void {
    const followed = run().finally(() => this.#gone.delete(followed))
    this.#gone.add(followed)
  }

  #grow(ms: number): void {
    this.#endGrowth?.()
    this.#endGrowth = Number.isFinite(ms) ? this.#clock.after(ms, () => this.#serve()) : null
  }

  /** As long as there are members, looks after those that serve nobody. */
  #pulse(): void {
    if (this.#endPulse !== null || this.#isStopped || this.#seats.size === 0) return
    this.#endPulse = this.#clock.after(PULSE_MS, () => {
      this.#endPulse = null
      this.#tend()
      this.#serve()
    })
  }

  #tend(): void {
    const now = this.#clock.now()
    for (const seat of this.#seats.all()) {
      const { member } = seat
      if (member === null || (seat.is !== 'leased' && seat.is !== 'parked')) continue
      if (isStale(seat, now) || (seat.is === 'parked' && this.#parking.isIdle(seat.profile))) this.#end(seat)
      else if (this.#parking.isUnheard(seat)) {
        seat.heardAt = now
        this.#follow(async () => {
          if (!(await member.ping()) && seat.is !== 'busy') this.#end(seat)
        })
      }
    }
  }
}

const REFUSALS = {
  full: { is: 'busy', message: 'too many calls wait for a sandbox; try again later, or raise `skills.max_queued`' },
  late: { is: 'busy', message: 'no sandbox became free in time; try again later, or raise `skills.docker.max_containers`' },
  cancelled: { is: 'cancelled', message: 'it was stopped before it began' },
} as const

const refusal = <M>(is: keyof typeof REFUSALS, queueMs: number): Claimed<M> => ({ ...REFUSALS[is], queueMs })
