/**
 * How late the event loop was of late: a beat every second that notes by how much it came too late. For the probe that says whether the
 * process is well; the figures for metrics are process.ts's.
 */
import type { Clock, Lifecycle } from '#contract'

const BEAT_MS = 1_000
/** So long a standstill is remembered, that a probe which comes every few seconds sees it. */
const REMEMBERED_MS = 10_000

export class LoopLag implements Lifecycle {
  readonly #clock: Clock
  #cancel: (() => void) | null = null
  #worst = { lateMs: 0, at: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async start(): Promise<void> {
    if (this.#cancel === null) this.#beat()
  }

  async stop(): Promise<void> {
    this.#cancel?.()
    this.#cancel = null
  }

  /** The longest standstill that is remembered. */
  lateMs(): number {
    return this.#clock.now() - this.#worst.at <= REMEMBERED_MS ? this.#worst.lateMs : 0
  }

  #beat(): void {
    const dueAt = this.#clock.now() + BEAT_MS
    this.#cancel = this.#clock.after(BEAT_MS, () => {
      const now = this.#clock.now()
      const lateMs = now - dueAt
      if (lateMs >= this.lateMs()) this.#worst = { lateMs, at: now }
      this.#beat()
    })
  }
}
