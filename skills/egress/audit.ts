/**
 * What went out, and what did not: one line in the log and one count for every request, without path, headers or body. A Tally keeps the
 * counts of one call and says when it has had its share of bytes.
 */
import type { Counter, Log, Metrics } from '#contract'
import type { EgressCall, EgressReport } from './egress.ts'
import { authority } from './match.ts'
import type { Target } from './match.ts'

/** A closed set: it is a label. */
export type Verdict =
  | 'allowed'
  | 'denied_host'
  | 'denied_address'
  /** It had more than its share of bytes. */
  | 'limit'
  | 'unresolved'
  | 'unreachable'
  | 'malformed'
  /** No call is running. */
  | 'closed'

export interface Passage {
  readonly target: Target
  readonly verdict: Verdict
  /** A sentence for people; null where it was let through. */
  readonly why: string | null
  readonly up: number
  readonly down: number
}

const MAX_LINES = 64
const MAX_DENIALS = 8

export class Audit {
  readonly #log: Log
  readonly #total: Counter

  constructor({ log, metrics }: { readonly log: Log; readonly metrics: Metrics }) {
    this.#log = log
    this.#total = metrics.counter({
      name: 'openclaw_egress_total',
      help: 'Requests of skills to the outside, by what became of them.',
      labels: ['verdict'],
    })
  }

  tally({ skill, key, onDenied = () => {} }: Pick<EgressCall, 'skill' | 'key' | 'onDenied'>, maxBytes: number): Tally {
    return new Tally({ log: this.#log.child({ skill, key }), total: this.#total, maxBytes, onDenied })
  }

  count(verdict: Verdict): void {
    this.#total.inc([verdict])
  }
}

export class Tally {
  readonly #log: Log
  readonly #total: Counter
  readonly #maxBytes: number
  readonly #denials = new Set<string>()
  readonly #onDenied: (why: string) => void
  #allowed = 0
  #denied = 0
  #up = 0
  #down = 0
  #lines = 0
  #isClosed = false

  constructor(options: {
    readonly log: Log
    readonly total: Counter
    readonly maxBytes: number
    readonly onDenied: (why: string) => void
  }) {
    this.#log = options.log
    this.#total = options.total
    this.#maxBytes = options.maxBytes
    this.#onDenied = options.onDenied
  }

  /** A request is let through. What became of it is recorded when it is over, which may be after the call. */
  admit(): void {
    this.#allowed++
  }

  /** False: that is more than a call may send or receive. */
  bytes(way: 'up' | 'down', count: number, target: Target): boolean {
    const sum = way === 'up' ? (this.#up += count) : (this.#down += count)
    if (sum <= this.#maxBytes) return true
    this.#deny(`${authority(target)}: a call may send and receive at most ${this.#maxBytes} bytes.`)
    return false
  }

  /** Once for each request, when all is over. */
  record({ target, verdict, why, up, down }: Passage): void {
    this.#total.inc([verdict])
    if (why !== null && (verdict === 'denied_host' || verdict === 'denied_address')) this.#deny(why)
    // Who asks ten thousand times is told of, not ten thousand times.
    if (++this.#lines <= MAX_LINES) this.#log.info({ host: target.host, port: target.port, verdict, up, down }, 'egress')
  }

  /** The end of the call. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#denied > this.#denials.size) this.#onDenied(`It was denied ${this.#denied} times in all.`)
    if (this.#lines > MAX_LINES) this.#log.info({ requests: this.#lines - MAX_LINES }, 'egress: more requests of the same call')
  }

  report(): EgressReport {
    return { allowed: this.#allowed, denied: this.#denied, denials: [...this.#denials], bytesUp: this.#up, bytesDown: this.#down }
  }

  #deny(why: string): void {
    // What is still under way when the call ends is no part of it.
    if (this.#isClosed) return
    this.#denied++
    if (this.#denials.has(why) || this.#denials.size === MAX_DENIALS) return
    this.#denials.add(why)
    this.#onDenied(why)
  }
}
