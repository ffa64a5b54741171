/**
 * Puts runs on record after they have ended, in batches, so that nobody waits for the disk. What a crash takes with it are the last moments of
 * runs that nobody needs to find again. Bounded: when the store cannot be had for long, the oldest are dropped and counted.
 */
import type { Clock, Log, NewRun, RunEnd, RunId, RunStore } from '#contract'
import { describeError } from '#contract'

export interface EndedRun {
  readonly run: NewRun
  readonly end: RunEnd
  readonly startedAt: number
}

const FLUSH_MS = 200
const BATCH = 100
const MAX_HELD = 5_000

export class Recorder {
  readonly #store: Pick<RunStore, 'record'>
  readonly #clock: Clock
  readonly #log: Log
  #held: EndedRun[] = []
  #writing: readonly EndedRun[] = []
  #dropped = 0
  #cancelTimer: (() => void) | null = null
  #flushing: Promise<void> | null = null
  #isStopped = false

  constructor(options: { readonly store: Pick<RunStore, 'record'>; readonly clock: Clock; readonly log: Log }) {
    this.#store = options.store
    this.#clock = options.clock
    this.#log = options.log
  }

  add(run: EndedRun): void {
    if (this.#isStopped) return
    this.#held.push(run)
    if (this.#held.length > MAX_HELD) {
      this.#held.shift()
      this.#dropped++
    }
    if (this.#held.length >= BATCH) this.#flush()
    else this.#later()
  }

  /** One that is not written yet. */
  find(id: RunId): EndedRun | null {
    return this.#held.find(({ run }) => run.id === id) ?? this.#writing.find(({ run }) => run.id === id) ?? null
  }

  /** What is held is written first. */
  async stop(): Promise<void> {
    this.#stopTimer()
    while (this.#flushing !== null) await this.#flushing
    this.#isStopped = true
    this.#stopTimer()
    if (this.#held.length > 0) await this.#write()
  }

  #later(): void {
    if (this.#flushing !== null) return
    this.#cancelTimer ??= this.#clock.after(FLUSH_MS, () => this.#flush())
  }

  #flush(): void {
    this.#stopTimer()
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = null
      if (this.#held.length > 0 && !this.#isStopped) this.#later()
    })
  }

  #stopTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const batch = this.#held.splice(0, this.#isStopped ? MAX_HELD : BATCH)
    this.#writing = batch
    try {
      await this.#store.record(batch)
      if (this.#dropped > 0)
        this.#log.warn({ runs: this.#dropped }, 'Runs of skills were not recorded: the store could not be had for too long.')
      this.#dropped = 0
    } catch (error) {
      this.#log.warn({ 'error.code': describeError(error).code, runs: batch.length }, 'Runs of skills could not be recorded; tried again.')
      this.#held = [...batch, ...this.#held].slice(-MAX_HELD)
    }
    this.#writing = []
  }
}
