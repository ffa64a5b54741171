/**
 * What platforms say of parts after they were sent. A webhook may be faster than the answer to the call it is about, so news of an id
 * that is not known yet are kept for a while, until the part that bears it is known to be sent.
 */
import { newDeadLetterId } from '#contract'
import type { Clock, Counter, DeliveryNews, Log, Metrics, Store } from '#contract'
import type { Patience } from './patience.ts'

export interface NewsParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly patience: Patience
}

interface Early {
  readonly news: DeliveryNews
  readonly until: number
}

/** Longer than any call to a platform may take. */
const KEPT_MS = 60_000
const MAX_KEPT = 1_000

export class News {
  readonly #parts: NewsParts
  /** By channel and platform id, oldest first. */
  readonly #early = new Map<string, Early>()
  readonly #told: Counter

  constructor(parts: NewsParts) {
    this.#parts = parts
    this.#told = parts.metrics.counter({
      name: 'openclaw_delivery_news_total',
      help: 'What platforms said of parts that were sent.',
      labels: ['channel', 'state'],
    })
  }

  /** Resolves when it is stored, or kept because nobody knows the id yet. */
  async tell(channel: string, platformId: string, news: DeliveryNews): Promise<void> {
    const key = keyOf(channel, platformId)
    // Before the store is asked: whatever becomes known meanwhile finds it.
    const early = this.#keep(key, news)
    const result = await this.#note(channel, platformId, news)
    if (result !== 'unknown' && this.#early.get(key) === early) this.#early.delete(key)
  }

  /** A part is durably sent under this id: what came before it was known counts now. */
  async sent(channel: string, platformId: string | null): Promise<void> {
    if (platformId === null) return
    const key = keyOf(channel, platformId)
    const early = this.#early.get(key)
    if (early === undefined) return
    this.#early.delete(key)
    if (early.until <= this.#parts.clock.now()) return
    await this.#parts.patience.persist(() => this.#note(channel, platformId, early.news))
  }

  async #note(channel: string, platformId: string, news: DeliveryNews): Promise<'noted' | 'repeated' | 'unknown'> {
    const { store, clock, log } = this.#parts
    const now = clock.now()
    const result = await store.outbox.news({ channel, platformId, news, deadLetter: newDeadLetterId(now), now })
    if (result !== 'noted') return result
    this.#told.inc([channel, news.state])
    if (news.state === 'failed')
      log.error({ channel, 'error.code': news.failure.code }, `A part that was sent did not arrive: ${news.failure.message}`)
    return result
  }

  #keep(key: string, news: DeliveryNews): Early {
    const now = this.#parts.clock.now()
    for (const [old, { until }] of this.#early) {
      if (until > now && this.#early.size < MAX_KEPT) break
      this.#early.delete(old)
    }
    const known = this.#early.get(key)
    // That it failed is the last word.
    if (known?.news.state === 'failed') return known
    const early = { news, until: now + KEPT_MS }
    this.#early.delete(key)
    this.#early.set(key, early)
    return early
  }
}

const keyOf = (channel: string, platformId: string): string => `${channel}\n${platformId}`
