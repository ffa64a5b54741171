/** Time that moves only when a test says so. Timers fire in order of their time; what a timer does may set new ones. */
import type { Clock } from '#contract'

interface Timer {
  readonly at: number
  readonly run: () => void
}

/** Of real time. */
const WATCH_LIMIT_MS = 10_000

export class FakeClock implements Clock {
  #now: number
  readonly #timers = new Set<Timer>()
  readonly #watchers = new Set<() => void>()
  /** How long each timer was set for, in the order in which they were set. */
  readonly waits: number[] = []

  constructor(now = 1_800_000_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    this.waits.push(ms)
    for (const watch of this.#watchers) watch()
    return () => this.#timers.delete(timer)
  }

  get pending(): number {
    return this.#timers.size
  }

  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
    }
    this.#now = end
  }

  /** Resolves when the next timer is set. */
  nextTimer(): Promise<void> {
    return this.#watch(() => true, 'any timer')
  }

  /** Resolves when a timer is set that is due at this time, at once if there is one. */
  timerAt(time: number): Promise<void> {
    const isSet = (): boolean => [...this.#timers].some(({ at }) => at === time)
    return isSet() ? Promise.resolve() : this.#watch(isSet, `a timer in ${time - this.#now} ms`)
  }

  #watch(holds: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const watch = (): void => {
        if (!holds()) return
        clearTimeout(bound)
        this.#watchers.delete(watch)
        resolve()
      }
      const bound = setTimeout(() => {
        this.#watchers.delete(watch)
        const due = [...this.#timers].map(({ at }) => at - this.#now).sort((a, b) => a - b)
        reject(new Error(`nobody set ${what}; those set are due in ${due.join(', ')} ms`))
      }, WATCH_LIMIT_MS)
      this.#watchers.add(watch)
    })
  }
}
