/** What a running skill says of itself: held to its bounds, gathered, and told at most ten times a second. */
import { MAX_PROGRESS_BYTES } from '../frame.ts'
import { MAX_FLOOD_BYTES, MAX_LOG_BYTES, TELL_EVERY_MS } from './wire.ts'

export type Stream = 'stdout' | 'stderr' | 'log'
export type Said =
  | { readonly is: 'log'; readonly stream: Stream; readonly text: string }
  | { readonly is: 'progress'; readonly text: string }

export class Tally {
  readonly #tell: (said: Said) => void
  readonly #now: () => number
  readonly #streams: { readonly [stream in Stream]: { left: number; text: string } }
  #progress: string | null = null
  #toldAt: number
  #bytes = 0

  constructor(options: { readonly tell: (said: Said) => void; readonly now: () => number }) {
    this.#tell = options.tell
    this.#now = options.now
    this.#toldAt = this.#now() - TELL_EVERY_MS
    const stream = (): { left: number; text: string } => ({ left: MAX_LOG_BYTES, text: '' })
    this.#streams = { stdout: stream(), stderr: stream(), log: stream() }
  }

  get isFlood(): boolean {
    return this.#bytes > MAX_FLOOD_BYTES
  }

  /** Counted in UTF-16 units here and never more bytes than promised: what is kept is cut by bytes. */
  log(stream: Stream, text: string): void {
    this.#bytes += text.length
    const kept = this.#streams[stream]
    if (kept.left > 0) {
      const cut = cutBytes(text, kept.left)
      kept.left = cut.length < text.length ? 0 : kept.left - Buffer.byteLength(cut)
      kept.text += kept.left > 0 ? cut : `${cut}\n[the rest is dropped]\n`
    }
    this.#tellInTime()
  }

  /** Of several between two tellings the last stands. */
  progress(text: string): void {
    if (Buffer.byteLength(text) > MAX_PROGRESS_BYTES) throw new RangeError(`progress is larger than ${MAX_PROGRESS_BYTES} bytes`)
    this.#bytes += 1
    this.#progress = text
    this.#tellInTime()
  }

  get hasNews(): boolean {
    return this.#progress !== null || Object.values(this.#streams).some(({ text }) => text !== '')
  }

  flush(): void {
    this.#toldAt = this.#now()
    for (const stream of ['stdout', 'stderr', 'log'] as const) {
      const kept = this.#streams[stream]
      if (kept.text === '') continue
      const { text } = kept
      kept.text = ''
      this.#tell({ is: 'log', stream, text })
    }
    if (this.#progress === null) return
    const text = this.#progress
    this.#progress = null
    this.#tell({ is: 'progress', text })
  }

  #tellInTime(): void {
    if (this.#now() - this.#toldAt >= TELL_EVERY_MS) this.flush()
  }
}

function cutBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes) return text
  const bytes = Buffer.from(text.slice(0, maxBytes)).subarray(0, maxBytes)
  return bytes.toString().replace(/\uFFFD+$/, '')
}
