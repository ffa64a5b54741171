/**
 * What a run tells while it goes on, made fit for those outside: secrets taken out, progress at most ten times a second (the newest wins),
 * logs kept up to a bound.
 */
import type { Clock, JsonValue, SkillEvent } from '#contract'
import type { Redaction } from './redaction.ts'

const EVERY_MS = 100
/** Of each stream: what a sandbox keeps of it, and the line that says how much it dropped. */
const MAX_LOG_CHARS = 65_536 + 256

type Stream = Extract<SkillEvent, { is: 'log' }>['stream']
type Pieces = ReturnType<Redaction['stream']>

export interface TellingOptions {
  readonly clock: Clock
  readonly redaction: Redaction
  readonly watch: ((event: SkillEvent) => void) | undefined
}

export class Telling {
  readonly #clock: Clock
  readonly #redaction: Redaction
  readonly #watch: (event: SkillEvent) => void
  readonly #streams: ReadonlyMap<Stream, Pieces>
  readonly #left = new Map<Stream, number>()
  #logs = ''
  #dropped = 0
  #latest: { readonly data: JsonValue } | null = null
  #toldAt = -Infinity
  #cancelTimer: (() => void) | null = null

  constructor({ clock, redaction, watch }: TellingOptions) {
    this.#clock = clock
    this.#redaction = redaction
    this.#watch = watch ?? (() => undefined)
    this.#streams = new Map((['stdout', 'stderr', 'log'] as const).map((stream) => [stream, redaction.stream()]))
  }

  tell(event: SkillEvent): void {
    if (event.is === 'started') this.#watch(event)
    else if (event.is === 'log') this.#log(event.stream, this.#streams.get(event.stream)?.push(event.text) ?? '')
    else this.#progress(event.data)
  }

  /** Nothing more comes: what was held back is told. Answers what the run wrote. */
  end(): string {
    for (const [stream, pieces] of this.#streams) this.#log(stream, pieces.end())
    this.#flush()
    return this.#dropped === 0 ? this.#logs : `${this.#logs}\n[${this.#dropped} more characters were dropped]\n`
  }

  #log(stream: Stream, text: string): void {
    if (text === '') return
    const room = this.#left.get(stream) ?? MAX_LOG_CHARS
    const kept = text.slice(0, room)
    this.#left.set(stream, room - kept.length)
    this.#logs += kept
    this.#dropped += text.length - kept.length
    this.#watch({ is: 'log', stream, text })
  }

  #progress(data: JsonValue): void {
    this.#latest = { data }
    const waitMs = this.#toldAt + EVERY_MS - this.#clock.now()
    if (waitMs <= 0) this.#flush()
    else this.#cancelTimer ??= this.#clock.after(waitMs, () => this.#flush())
  }

  #flush(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    if (this.#latest === null) return
    const { data } = this.#latest
    this.#latest = null
    this.#toldAt = this.#clock.now()
    this.#watch({ is: 'progress', data: this.#redaction.value(data) })
  }
}
