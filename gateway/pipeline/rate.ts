/**
 * Keeps to what platforms allow before anything is sent: so many sends within any stretch of so many milliseconds, counted by chat
 * and by account, and the peace that a platform asked for itself. In memory: a gateway that comes up has sent nothing yet, and
 * where that is wrong the platform says so. Who waits, and how, is lane-queue.ts's.
 */
import type { Address, Capabilities, Counter, Metrics, Rate } from '#contract'

interface Bucket {
  /** When the latest sends were made, oldest first, no more of them than count. */
  times: readonly number[]
  /** How long the latest of them counts. */
  perMs: number
  /** The platform asked for peace until then. */
  heldUntil: number
}

export interface Send {
  readonly channel: string
  readonly to: Address
  readonly rate: Capabilities['rate']
}

/** Chats beyond these are forgotten, those first that were sent to longest ago. */
const MAX_KEPT = 10_000

export class Rates {
  /** Those last that were used last. */
  readonly #buckets = new Map<string, Bucket>()
  readonly #maxKept: number
  readonly #forgotten: Counter

  constructor(metrics: Metrics, maxKept: number = MAX_KEPT) {
    this.#maxKept = maxKept
    metrics
      .gauge({ name: 'openclaw_delivery_rate_buckets', help: 'Chats and accounts whose latest sends are remembered.' })
      .collect((set) => set(this.#buckets.size))
    this.#forgotten = metrics.counter({
      name: 'openclaw_delivery_rate_forgotten_total',
      help: 'Chats and accounts whose sends were forgotten too early, because there were too many.',
    })
  }

  /** null: it may be made now, and counts as made. Else the time from which it may be asked for again. */
  take({ channel, to, rate }: Send, now: number): number | null {
    this.#forgetIdle(now)
    const account = { key: channel, rate: rate?.account }
    const chat = { key: keyOf(channel, to.chat), rate: ofChat(rate, to) }
    const at = Math.max(this.#freeAt(account.key, account.rate, now), this.#freeAt(chat.key, chat.rate, now))
    if (at > now) return at
    this.#count(account.key, account.rate, now)
    this.#count(chat.key, chat.rate, now)
    return null
  }

  /** The platform's own word, which counts beside the rates: nothing to this chat, null: on the whole account, before `until`. */
  hold(channel: string, chat: string | null, until: number): void {
    const key = chat === null ? channel : keyOf(channel, chat)
    const bucket = this.#buckets.get(key) ?? { times: [], perMs: 0, heldUntil: 0 }
    this.#keep(key, { ...bucket, heldUntil: Math.max(bucket.heldUntil, until) })
  }

  /** Until when the platform wants peace there; 0: it does not. */
  heldUntil(channel: string, to: Address): number {
    return Math.max(this.#buckets.get(channel)?.heldUntil ?? 0, this.#buckets.get(keyOf(channel, to.chat))?.heldUntil ?? 0)
  }

  #freeAt(key: string, rate: Rate | undefined, now: number): number {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return 0
    const first = rate === undefined ? undefined : bucket.times.at(-sizeOf(rate))
    if (rate === undefined || first === undefined) return bucket.heldUntil
    // No longer than a whole stretch, should the clock have been set back.
    return Math.max(bucket.heldUntil, Math.min(first, now) + rate.perMs)
  }

  #count(key: string, rate: Rate | undefined, now: number): void {
    if (rate === undefined) return
    const { times, heldUntil } = this.#buckets.get(key) ?? { times: [], heldUntil: 0 }
    this.#keep(key, { times: [...times, now].slice(-sizeOf(rate)), perMs: rate.perMs, heldUntil })
  }

  #keep(key: string, bucket: Bucket): void {
    this.#buckets.delete(key)
    if (this.#buckets.size >= this.#maxKept) this.#forgetOldest()
    this.#buckets.set(key, bucket)
  }

  /** What counts for nothing any more, as far as it lies in front. */
  #forgetIdle(now: number): void {
    for (const [key, { times, perMs, heldUntil }] of this.#buckets) {
      if (heldUntil > now || (times.at(-1) ?? -Infinity) + perMs > now) return
      this.#buckets.delete(key)
    }
  }

  #forgetOldest(): void {
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest)
      this.#forgotten.inc()
      return
    }
  }
}

const sizeOf = (rate: Rate): number => Math.max(1, rate.count)
const keyOf = (channel: string, chat: string): string => `${channel}\n${chat}`

/** Where a group has no limit of its own, that of a chat counts. */
const ofChat = (rate: Capabilities['rate'], to: Address): Rate | undefined =>
  to.kind === 'group' || to.kind === 'channel' ? (rate?.group ?? rate?.chat) : rate?.chat
