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
/** Inputs, outputs and logs together, as they are written. */
const MAX_HELD_CHARS = 64 * 1_048_576

interface Held extends EndedRun {
  readonly chars: number
}

export class Recorder {
  readonly #store: Pick<RunStore, 'record'>
  readonly #clock: Clock
  readonly #log: Log
  #held: Held[] = []
  #chars = 0
  #writing: readonly Held[] = []
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
    const chars = charsOf(run)
    // What cannot be written would keep all that is written with it from being so.
    if (chars === null) this.#dropped++
    else this.#hold([{ ...run, chars }])
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

  /** The oldest go when there are too many, or they are too large. */
  #hold(runs: readonly Held[], where: 'before' | 'behind' = 'behind'): void {
    if (where === 'behind') this.#held.push(...runs)
    else this.#held.unshift(...runs)
    this.#chars += runs.reduce((sum, { chars }) => sum + chars, 0)
    while (this.#held.length > MAX_HELD || (this.#chars > MAX_HELD_CHARS && this.#held.length > 1)) {
      this.#chars -= this.#held.shift()?.chars ?? 0
      this.#dropped++
    }
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
    this.#chars -= batch.reduce((sum, { chars }) => sum + chars, 0)
    try {
      await this.#store.record(batch.map(({ run, end, startedAt }) => ({ run, end, startedAt })))
      if (this.#dropped > 0)
        this.#log.warn({ runs: this.#dropped }, 'Runs of skills were not recorded: the store could not be had for too long.')
      this.#dropped = 0
    } catch (error) {
      this.#log.warn({ 'error.code': describeError(error).code, runs: batch.length }, 'Runs of skills could not be recorded; tried again.')
      this.#hold(batch, 'before')
    }
    this.#writing = []
  }
}

/** null: it is nested too deeply to be written. */
function charsOf({ run, end }: EndedRun): number | null {
  try {
    return JSON.stringify([run.input, end.outcome]).length + end.logs.length
  } catch {
    return null
  }
}
