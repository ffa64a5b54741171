/**
 * When what was proven ends: by its time, or because somebody ended what it stands on. Whoever keeps a connection open by it is told. What
 * ended is remembered for a while too, because a proof may be under way between the moment it was made and the moment it is used.
 */
import type { Clock } from '#contract'

/** Something that was proven, as it stands here. */
export interface Ending {
  readonly endsWith: readonly string[]
  readonly expiresAt: number | null
  /** The `count` at which it was known to hold. */
  readonly heldAt: number
}

/** Timers hold 2^31 ms at most; what expires later is looked at again. */
const MAX_TIMER_MS = 3_600_000
/** Ids that ended, remembered. What was proven before the oldest of them counts as ended, if nobody looked at it since. */
const MAX_ENDED = 4_096

interface Watch {
  readonly endsWith: readonly string[]
  expiresAt: number | null
  readonly gone: () => void
}

export class Endings {
  readonly #clock: Clock
  readonly #watches = new Set<Watch>()
  /** The newest last. */
  readonly #ended = new Map<string, { readonly count: number; readonly at: number }>()
  /** Ends up to this one are forgotten. */
  #forgotten = 0
  #count = 0
  #cancelTimer: (() => void) | null = null
  /** When the timer goes off. */
  #armedFor = Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many times something was ended. */
  get count(): number {
    return this.#count
  }

  holds(ending: Ending): boolean {
    return (this.#endOf(ending) ?? Infinity) > this.#clock.now()
  }

  /** Calls `gone` once when it ends, soon if it has ended, until the returned function is called. */
  onEnd(ending: Ending, gone: () => void): () => void {
    const watch: Watch = { endsWith: ending.endsWith, expiresAt: this.#endOf(ending), gone }
    this.#watches.add(watch)
    // Not before it is returned how to let go.
    if (watch.expiresAt === -Infinity) queueMicrotask(() => this.#fire(watch))
    else if (watch.expiresAt !== null && watch.expiresAt < this.#armedFor) this.#arm(watch.expiresAt)
    return () => {
      this.#watches.delete(watch)
      if (this.#watches.size === 0) this.#disarm()
    }
  }

  /** null: at once. */
  end(id: string, at: number | null): void {
    this.#count++
    const before = this.#ended.get(id)
    this.#ended.delete(id)
    this.#ended.set(id, { count: this.#count, at: Math.min(before?.at ?? Infinity, at ?? -Infinity) })
    if (this.#ended.size > MAX_ENDED) this.#forget()
    for (const watch of this.#watches) {
      if (!watch.endsWith.includes(id)) continue
      if (at === null) this.#fire(watch)
      else if (at < (watch.expiresAt ?? Infinity)) {
        watch.expiresAt = at
        if (at < this.#armedFor) this.#arm(at)
      }
    }
  }

  stop(): void {
    this.#disarm()
    this.#watches.clear()
  }

  /** -Infinity: it has been ended. null: it has no end yet. */
  #endOf({ endsWith, expiresAt, heldAt }: Ending): number | null {
    if (heldAt === this.#count) return expiresAt
    if (heldAt < this.#forgotten) return -Infinity
    let end = expiresAt ?? Infinity
    for (const id of endsWith) {
      const ended = this.#ended.get(id)
      if (ended !== undefined && ended.count > heldAt) end = Math.min(end, ended.at)
    }
    return end === Infinity ? null : end
  }

  #forget(): void {
    const [oldest] = this.#ended
    if (oldest === undefined) return
    this.#ended.delete(oldest[0])
    this.#forgotten = oldest[1].count
  }

  #fire(watch: Watch): void {
    if (this.#watches.delete(watch)) watch.gone()
  }

  #arm(at: number): void {
    this.#disarm()
    this.#armedFor = at
    this.#cancelTimer = this.#clock.after(Math.min(Math.max(at - this.#clock.now(), 0), MAX_TIMER_MS), () => this.#expire())
  }

  #expire(): void {
    const now = this.#clock.now()
    let next = Infinity
    for (const watch of this.#watches) {
      if (watch.expiresAt === null) continue
      if (watch.expiresAt <= now) this.#fire(watch)
      else next = Math.min(next, watch.expiresAt)
    }
    if (next === Infinity) this.#disarm()
    else this.#arm(next)
  }

  #disarm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    this.#armedFor = Infinity
  }
}
