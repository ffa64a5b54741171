/** One timer for many times: it rings at the first of those that were asked for. Whoever needs the others asks again. */
import type { Clock } from '#contract'

export class Alarm {
  readonly #clock: Clock
  readonly #ring: () => void
  #set: { readonly at: number; readonly cancel: () => void } | null = null

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** Rings at once where that time has come. */
  at(time: number): void {
    const inMs = time - this.#clock.now()
    if (inMs <= 0) return this.#ring()
    if (this.#set !== null && this.#set.at <= time) return
    this.#set?.cancel()
    const cancel = this.#clock.after(inMs, () => {
      this.#set = null
      this.#ring()
    })
    this.#set = { at: time, cancel }
  }

  off(): void {
    this.#set?.cancel()
    this.#set = null
  }
}
