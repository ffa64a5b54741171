/**
 * What one call says while it runs, as its caller is told it: text put together again from pieces, progress at most ten times a second
 * (the newest wins), nothing after the end.
 */
import { TextDecoder } from 'node:util'
import type { Clock, JsonValue, SkillEvent } from '#contract'

const PROGRESS_EVERY_MS = 100

const STREAMS: { readonly [first: number]: 'stdout' | 'stderr' | 'log' } = { 1: 'stdout', 2: 'stderr', 3: 'log' }

export class Telling {
  readonly #clock: Clock
  #tell: (event: SkillEvent) => void
  readonly #decoders = new Map<string, TextDecoder>()
  /** Told when the pause is over; undefined: nothing waits. */
  #next: JsonValue | undefined
  #endPause: (() => void) | null = null
  #isOver = false

  constructor(clock: Clock, tell: (event: SkillEvent) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** From now on it is told to somebody else. */
  redirect(tell: (event: SkillEvent) => void): void {
    this.#tell = tell
  }

  started(): void {
    this.#tell({ is: 'started' })
  }

  progress(data: JsonValue): void {
    if (this.#isOver) return
    if (this.#endPause !== null) this.#next = data
    else this.#report(data)
  }

  /** The payload of a LOG frame. False: it is none. */
  log(payload: Buffer): boolean {
    const stream = STREAMS[payload[0] ?? 0]
    if (stream === undefined) return false
    let decoder = this.#decoders.get(stream)
    if (decoder === undefined) this.#decoders.set(stream, (decoder = new TextDecoder()))
    const text = decoder.decode(payload.subarray(1), { stream: true })
    if (text !== '' && !this.#isOver) this.#tell({ is: 'log', stream, text })
    return true
  }

  end(): void {
    if (this.#isOver) return
    this.#endPause?.()
    this.#endPause = null
    if (this.#next !== undefined) this.#tell({ is: 'progress', data: this.#next })
    this.#isOver = true
  }

  #report(data: JsonValue): void {
    this.#next = undefined
    this.#endPause = this.#clock.after(PROGRESS_EVERY_MS, () => {
      this.#endPause = null
      if (this.#next !== undefined) this.#report(this.#next)
    })
    this.#tell({ is: 'progress', data })
  }
}
