/**
 * The budget of a pool as a table: so many seats, who sits on each, and what they do. Finds and counts; what becomes of whom, the pool says.
 */
import type { Clock } from '#contract'
import type { Profile } from './profile.ts'
import type { Claim } from './queue.ts'

/** A place in the budget, and who sits there. */
export interface Seat<M> {
  readonly slot: number
  readonly profile: Profile
  readonly madeFrom: number
  is: 'starting' | 'parked' | 'leased' | 'busy' | 'ending'
  member: M | null
  lease: string | null
  calls: number
  maxCalls: number
  bornAt: number
  /** When it was last heard of, and when it was last of use. */
  heardAt: number
  usedAt: number
}

export class Seats<M> {
  readonly #clock: Clock
  readonly #max: number
  /** By slot, those taken first before others. */
  readonly #seats = new Map<number, Seat<M>>()
  readonly #byMember = new Map<M, Seat<M>>()

  constructor({ clock, max }: { readonly clock: Clock; readonly max: number }) {
    this.#clock = clock
    this.#max = max
  }

  get size(): number {
    return this.#seats.size
  }

  get isFull(): boolean {
    return this.#seats.size >= this.#max
  }

  all(): Iterable<Seat<M>> {
    return this.#seats.values()
  }

  of(member: M): Seat<M> | null {
    return this.#byMember.get(member) ?? null
  }

  count(is: Seat<M>['is'], profile?: Profile): number {
    let count = 0
    for (const seat of this.#seats.values()) if (seat.is === is && (profile === undefined || seat.profile.key === profile.key)) count += 1
    return count
  }

  /** For one that is being made. `slot`: this one and no other. null: it is taken, or all are. */
  take(profile: Profile, slot: number = this.#free()): Seat<M> | null {
    if (this.#seats.has(slot) || slot < 0 || slot >= this.#max) return null
    const now = this.#clock.now()
    const times = { madeFrom: now, bornAt: now, heardAt: now, usedAt: now }
    const seat: Seat<M> = { slot, profile, is: 'starting', member: null, lease: null, calls: 0, maxCalls: 1, ...times }
    this.#seats.set(slot, seat)
    return seat
  }

  settle(seat: Seat<M>, member: M): void {
    const now = this.#clock.now()
    Object.assign(seat, { member, is: 'parked', bornAt: now, heardAt: now, usedAt: now })
    this.#byMember.set(member, seat)
  }

  leave({ slot, member }: Seat<M>): void {
    this.#seats.delete(slot)
    if (member !== null) this.#byMember.delete(member)
  }

  /** Its own lease's before a fresh one; of those the oldest, in which what was started ahead has come up. */
  find({ profile, lease }: Claim): Seat<M> | null {
    let found: Seat<M> | null = null
    for (const seat of this.#seats.values()) {
      if (seat.is === 'leased' && lease !== null && seat.lease === lease) return seat
      if (seat.is === 'parked' && seat.profile.key === profile.key && (found === null || seat.bornAt < found.bornAt)) found = seat
    }
    return found
  }

  isServed(lease: string | null): boolean {
    return lease !== null && this.#seats.values().some((seat) => seat.lease === lease && seat.is !== 'ending')
  }

  /** Leases at work. */
  leasesAtWork(): ReadonlySet<string> {
    return new Set(this.#seats.values().flatMap(({ is, lease }) => (is === 'busy' && lease !== null ? [lease] : [])))
  }

  /** Of those that serve nobody, the one that did so longest. */
  oldest(): Seat<M> | null {
    const idle = this.#seats.values().filter(({ is }) => is === 'leased' || is === 'parked')
    return idle.reduce<Seat<M> | null>((oldest, seat) => (oldest === null || seat.usedAt < oldest.usedAt ? seat : oldest), null)
  }

  #free(): number {
    return Array.from({ length: this.#max }, (_, slot) => slot).find((slot) => !this.#seats.has(slot)) ?? -1
  }
}
