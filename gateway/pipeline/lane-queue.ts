/**
 * Who is next among the lanes of one channel that have something to send: each is worked on by one at a time, so many at
 * once, and those that have to wait for the channel's rate wait here, in line, without holding another. Keeps hints, never work:
 * what does not fit is found again in the store.
 */
import type { Address, Clock } from '#contract'

/** A lane whose next part may not be sent before `at`. */
export interface Pace {
  readonly to: Address
  readonly at: number
}

export interface LaneQueueOptions {
  readonly maxRunning: number
  readonly clock: Clock
  /** Asked for a lane that waited. null: its next send may be made now and is counted already; else when to ask again. */
  readonly admit: (to: Address) => number | null
  /** Does what can be done in a lane now; `isAdmitted`: its first send is counted. null: no more until a hint. Must not reject. */
  readonly work: (lane: string, isAdmitted: boolean) => Promise<Pace | null>
  /** There is room for lanes that were turned away. */
  readonly onRoom: () => void
}

/** Lanes kept that wait for a place, and as many that wait for the rate. */
const MAX_KEPT = 10_000
/** With fewer left the store is asked for those that were turned away. */
const ROOM = 500

export class LaneQueue {
  readonly #options: LaneQueueOptions
  readonly #waiting = new Set<string>()
  readonly #paced = new Map<string, Pace>()
  /** true: something came while it was worked on. */
  readonly #running = new Map<string, boolean>()
  /** When the first of those paced may be asked for. */
  #nextAt = Infinity
  #cancelTimer: () => void = () => undefined
  #isMore = false
  #isOpen = false
  #idle: (() => void)[] = []

  constructor(options: LaneQueueOptions) {
    this.#options = options
  }

  get running(): number {
    return this.#running.size
  }

  /** How many wait for the rate. */
  get paced(): number {
    return this.#paced.size
  }

  open(): void {
    this.#isOpen = true
  }

  /** Begins nothing more; resolves when what runs has ended. */
  close(): Promise<void> {
    this.#isOpen = false
    this.#cancelTimer()
    if (this.#running.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** This lane may have something to send. Cheap, and harmless if it has not. */
  hint(lane: string): void {
    if (this.#paced.has(lane)) return
    if (this.#running.has(lane)) this.#running.set(lane, true)
    else if (this.#waiting.size < MAX_KEPT) this.#waiting.add(lane)
    else this.#isMore = true
    this.#fill()
  }

  /** There is more in the store than was told. */
  more(): void {
    this.#isMore = true
  }

  #fill(): void {
    if (!this.#isOpen) return
    if (this.#nextAt <= this.#options.clock.now()) this.#admit()
    for (const lane of this.#waiting) {
      if (this.#isFull()) break
      this.#waiting.delete(lane)
      void this.#run(lane, false)
    }
    if (this.#isMore && this.#waiting.size + this.#paced.size < ROOM) {
      this.#isMore = false
      this.#options.onRoom()
    }
  }

  #isFull(): boolean {
    return this.#running.size >= this.#options.maxRunning
  }

  async #run(lane: string, isAdmitted: boolean): Promise<void> {
    this.#running.set(lane, false)
    const pace = await this.#options.work(lane, isAdmitted)
    const again = this.#running.get(lane) === true
    this.#running.delete(lane)
    if (pace !== null) this.#pace(lane, pace)
    else if (again) this.#waiting.add(lane)
    if (this.#running.size === 0) {
      for (const resolve of this.#idle) resolve()
      this.#idle = []
    }
    this.#fill()
  }

  #pace(lane: string, pace: Pace): void {
    if (this.#paced.size >= MAX_KEPT) {
      this.#isMore = true
      return
    }
    this.#paced.set(lane, pace)
    if (pace.at < this.#nextAt) this.#askAt(pace.at)
  }

  /** Lets go who may, in the order in which they came, as far as there are places. */
  #admit(): void {
    const now = this.#options.clock.now()
    let next = Infinity
    for (const [lane, pace] of this.#paced) {
      let { at } = pace
      if (at <= now && !this.#isFull()) {
        const again = this.#options.admit(pace.to)
        if (again === null) {
          this.#paced.delete(lane)
          void this.#run(lane, true)
          continue
        }
        at = again
        this.#paced.set(lane, { ...pace, at })
      }
      next = Math.min(next, at)
    }
    this.#askAt(next)
  }

  #askAt(at: number): void {
    this.#cancelTimer()
    this.#nextAt = at
    const waitMs = at - this.#options.clock.now()
    // Where it is time and no place is free, the next that becomes free asks.
    if (!this.#isOpen || at === Infinity || (waitMs <= 0 && this.#isFull())) return
    this.#cancelTimer = this.#options.clock.after(Math.max(1, waitMs), () => {
      // A timer may come a moment before the clock says so; then this asks again.
      this.#admit()
      this.#fill()
    })
  }
}
