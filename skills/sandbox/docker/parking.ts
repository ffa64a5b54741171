/**
 * How many sandboxes are kept ready ahead, and how long any is kept. A profile is kept ahead from its first use, by how
 * fast members of it were taken lately; ten minutes without use and nothing is kept any more.
 */
import type { Clock } from '#contract'
import type { Grade } from '../../settings.ts'
import type { Profile } from './profile.ts'

/** How often the pool looks after members that serve nobody. */
export const PULSE_MS = 30_000
const MAX_CALLS = 100
const MAX_RESIDENT_CALLS = 100_000
const MAX_IDLE_MS = 600_000
const MAX_AGE_MS = 3_600_000
/** A supervisor that hears nothing for ten minutes ends. */
const UNHEARD_MS = 180_000
const RATE_WINDOW_MS = 10_000
/** To make one, and three times that for luck. */
const COVER_S = 0.75
/** After one could not be made, none is made ahead for so long. */
const FAILED_MS = 5_000
const MAX_PROFILES = 64

/** How many calls one member serves. To replace it costs the processors as much as a thousand calls in a process that stays. */
export const maxCallsOf = (grade: Grade, { language }: Pick<Profile, 'language'>): number =>
  // Of a shell no process stays, whatever the grade.
  grade === 'resident' && language !== 'shell' ? MAX_RESIDENT_CALLS : MAX_CALLS

interface Use {
  readonly profile: Profile
  usedAt: number
  failedAt: number
  /** When members were taken, newest last. */
  readonly taken: number[]
}

interface Aging {
  readonly is: string
  readonly bornAt: number
  readonly usedAt: number
  readonly heardAt: number
}

/** A leased one that nobody asked for, and any that is old. */
export const isStale = ({ is, bornAt, usedAt }: Aging, now: number): boolean =>
  now - bornAt > MAX_AGE_MS || (is === 'leased' && now - usedAt > MAX_IDLE_MS)

export class Parking {
  readonly #clock: Clock
  readonly #parked: number
  readonly #max: number
  /** Least recently used first. */
  readonly #uses = new Map<string, Use>()

  constructor({ clock, parked, max }: { readonly clock: Clock; readonly parked: number; readonly max: number }) {
    this.#clock = clock
    this.#parked = parked
    this.#max = max
  }

  use(profile: Profile): void {
    const use = this.#use(profile)
    use.usedAt = this.#clock.now()
  }

  took(profile: Profile): void {
    const { taken } = this.#use(profile)
    taken.push(this.#clock.now())
    if (taken.length > 1_000) taken.shift()
  }

  failed(profile: Profile): void {
    this.#use(profile).failedAt = this.#clock.now()
  }

  /** How long after a failure none should be made that can be done without; 0: there was none lately. */
  restMs({ key }: Profile): number {
    const failedAt = this.#uses.get(key)?.failedAt ?? Number.NEGATIVE_INFINITY
    return Math.max(0, failedAt + FAILED_MS - this.#clock.now())
  }

  isIdle({ key }: Profile): boolean {
    const use = this.#uses.get(key)
    return use === undefined || this.#clock.now() - use.usedAt > MAX_IDLE_MS
  }

  isUnheard({ heardAt }: Aging): boolean {
    return this.#clock.now() - heardAt > UNHEARD_MS
  }

  /** Those used last first, because there may not be room for all. */
  targets(): readonly { readonly profile: Profile; readonly target: number }[] {
    const now = this.#clock.now()
    return [...this.#uses.values()].toReversed().flatMap(({ profile, taken }) => {
      if (this.isIdle(profile) || this.restMs(profile) > 0) return []
      while (taken[0] !== undefined && now - taken[0] > RATE_WINDOW_MS) taken.shift()
      const rate = taken.length / (RATE_WINDOW_MS / 1_000)
      // Half of the budget at most: the other half is for those at work.
      const target = Math.min(Math.max(this.#parked, this.#parked > 0 ? Math.ceil(rate * COVER_S) : 0), Math.ceil(this.#max / 2))
      return target > 0 ? [{ profile, target }] : []
    })
  }

  #use(profile: Profile): Use {
    const use = this.#uses.get(profile.key) ?? {
      profile,
      usedAt: this.#clock.now(),
      failedAt: Number.NEGATIVE_INFINITY,
      taken: [],
    }
    this.#uses.delete(profile.key)
    this.#uses.set(profile.key, use)
    for (const key of this.#uses.keys()) {
      if (this.#uses.size <= MAX_PROFILES) break
      this.#uses.delete(key)
    }
    return use
  }
}
