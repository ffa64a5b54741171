/**
 * The way out for channels that push: which lane of which channel has something to send, and when to look. Each channel has a
 * queue of its own, so that none waits for another; a lane's parts go one at a time, in order. Posts what answers no message, and
 * takes what platforms say later. What happens to one part is sender.ts's.
 */
import { DEFAULT_TENANT, InvalidError, NotFoundError, describeError, newDeliveryId } from '#contract'
import type { Address, Clock, DeliveryId, DeliveryNews, Log, Metrics, Redact, Rendered, Store, Tracer } from '#contract'
import type { Channels } from './channels.ts'
import { LaneQueue } from './lane-queue.ts'
import type { Pace } from './lane-queue.ts'
import { News } from './news.ts'
import type { Patience } from './patience.ts'
import { Rates } from './rate.ts'
import type { RetryPolicy } from './retry.ts'
import { Sender } from './sender.ts'

export interface DeliverParts {
  readonly store: Store
  readonly channels: Channels
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly patience: Patience
  readonly random: () => number
  readonly tracer: Tracer
  /** For what platforms say of a failure. */
  readonly redact: Redact
}

export interface DeliverOptions {
  readonly retry: RetryPolicy
  /** Lanes of one channel that are worked on at once. */
  readonly maxConcurrent: number
  /** A platform call that takes longer is cut, its outcome unknown. */
  readonly sendTimeoutMs: number
}

/** What answers no message: a notice, a test, what an operator says. */
export type Posting = {
  readonly channel: string
  readonly lane: string
  readonly to: Address
  /** Of its first part. The same again is the same delivery. */
  readonly id?: DeliveryId
} & ({ readonly text: string } | { readonly rendered: Rendered })

interface Place {
  readonly channel: string
  readonly lane: string
  readonly isAdmitted: boolean
}

const PAGE = 16
const SCAN = 1_000
/** What may be missed is found again after so long. */
const SWEEP_MS = 30_000

export class Deliver {
  readonly #parts: DeliverParts
  readonly #queues: ReadonlyMap<string, LaneQueue>
  readonly #sender: Sender
  readonly #news: News
  #isOpen = false
  #wakeAt = Infinity
  #cancelWake: () => void = () => undefined
  #scanning: Promise<void> | null = null
  #isScanStale = false

  constructor(parts: DeliverParts, options: DeliverOptions) {
    this.#parts = parts
    const { channels, clock, metrics } = parts
    const rates = new Rates(metrics)
    this.#news = new News(parts)
    this.#sender = new Sender({ ...parts, rates, news: this.#news }, options)
    const queueOf = (channel: string): LaneQueue =>
      new LaneQueue({
        maxRunning: options.maxConcurrent,
        clock,
        admit: (to) => rates.take({ channel, to, rate: channels.sendable(channel)?.capabilities.rate }, clock.now()),
        work: (lane, isAdmitted) => this.#work({ channel, lane, isAdmitted }),
        onRoom: () => this.scan(),
      })
    this.#queues = new Map(channels.pushing().map((channel) => [channel, queueOf(channel)]))
    metrics
      .gauge({ name: 'openclaw_delivery_rate_waiting', help: 'Lanes that wait for what their platform allows.', labels: ['channel'] })
      .collect((set) => this.#queues.forEach((queue, channel) => set(queue.paced, [channel])))
  }

  get running(): number {
    let running = 0
    for (const queue of this.#queues.values()) running += queue.running
    return running
  }

  start(): void {
    this.#isOpen = true
    for (const queue of this.#queues.values()) queue.open()
    this.scan()
  }

  /** Begins no part more; those under way may end within `boundMs`, then they are cut. */
  async drain(boundMs: number): Promise<void> {
    this.#isOpen = false
    this.#cancelWake()
    const cancel = this.#parts.clock.after(boundMs, () => this.#sender.cut())
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()))
    cancel()
    await this.#scanning
  }

  /** This lane has something to send. */
  hint(channel: string, lane: string): void {
    this.#queues.get(channel)?.hint(lane)
  }

  /** Looks in the store for all that is due. */
  scan(): void {
    if (!this.#isOpen) return
    if (this.#scanning !== null) {
      // What fell due since that look began may have been passed by.
      this.#isScanStale = true
      return
    }
    this.#scanning = this.#scanAll().finally(() => {
      this.#scanning = null
      if (!this.#isScanStale) return
      this.#isScanStale = false
      this.scan()
    })
  }

  /**
   * Resolves when it is stored, with the id of its first part: it goes out after what the lane holds already. Rejects with
   * `NotFoundError`, `InvalidError`, or `UnavailableError` when nothing was stored.
   */
  async post(posting: Posting): Promise<DeliveryId> {
    const { store, channels, clock } = this.#parts
    const { channel, lane, to } = posting
    if (!this.#queues.has(channel)) {
      if (!channels.isCollected(channel))
        throw new NotFoundError(`There is no channel "${channel}". Look at the names under \`channels\`.`, { code: 'CHANNEL_UNKNOWN' })
      throw new InvalidError(`Channel "${channel}" sends nothing by itself: its replies are fetched.`, { code: 'CHANNEL_COLLECTED' })
    }
    const now = clock.now()
    const rendered = 'rendered' in posting ? [posting.rendered] : channels.render(channel, { text: posting.text })
    const id = posting.id ?? newDeliveryId(now)
    const tenant = channels.tenantOf(channel) ?? DEFAULT_TENANT
    const parts = rendered.map((part, index) => ({
      id: index === 0 ? id : newDeliveryId(now),
      tenant,
      channel,
      lane,
      to,
      rendered: part,
      index,
      of: rendered.length,
    }))
    if (parts.length === 0) throw new InvalidError('There is nothing to send: the text is empty.', { code: 'POSTING_EMPTY' })
    await store.outbox.post(parts, now)
    this.hint(channel, lane)
    return id
  }

  /** A platform says something of a part that was sent. Rejects with `UnavailableError` when it could not be stored. */
  update(channel: string, platformId: string, news: DeliveryNews): Promise<void> {
    return this.#news.tell(channel, platformId, news)
  }

  async #scanAll(): Promise<void> {
    const { store, channels, clock, log } = this.#parts
    const now = clock.now()
    // Whatever waits for a channel that is not there is looked for when it comes up.
    const names = [...this.#queues.keys()].filter((name) => channels.sendable(name) !== null)
    try {
      for (const name of names) {
        const heads = await store.outbox.heads({ channels: [name], now, limit: SCAN })
        const queue = this.#queues.get(name)
        for (const { lane } of heads) queue?.hint(lane)
        if (heads.length === SCAN) queue?.more()
      }
      const due = await store.outbox.nextDue(names, now)
      if (due !== null) this.#wake(due)
    } catch (error) {
      log.warn({ 'error.code': describeError(error).code }, 'Could not look for deliveries; it will be tried again.')
      this.#wake(clock.now() + 1_000)
    }
    if (this.#queues.size > 0) this.#wake(clock.now() + SWEEP_MS)
  }

  async #work(at: Place): Promise<Pace | null> {
    try {
      return await this.#lane(at)
    } catch (error) {
      const { log, clock } = this.#parts
      log.warn({ channel: at.channel, 'error.code': describeError(error).code }, 'A lane could not be delivered; it will be tried again.')
      this.#wake(clock.now() + 1_000)
      return null
    }
  }

  async #lane({ channel, lane, isAdmitted }: Place): Promise<Pace | null> {
    const { store, clock } = this.#parts
    let isNextAdmitted = isAdmitted
    for (;;) {
      const items = await store.outbox.lane(channel, lane, PAGE)
      for (const item of items) {
        if (!this.#isOpen) return null
        const settled = await this.#sender.settle(item, isNextAdmitted)
        isNextAdmitted = false
        switch (settled.is) {
          case 'over':
            break
          case 'later':
            if (settled.at > clock.now()) this.#wake(settled.at)
            else this.hint(channel, lane)
            return null
          case 'paced':
            return settled.pace
          case 'away':
            return null
        }
      }
      if (items.length < PAGE) return null
    }
  }

  #wake(at: number): void {
    if (!this.#isOpen || at >= this.#wakeAt) return
    this.#cancelWake()
    this.#wakeAt = at
    this.#cancelWake = this.#parts.clock.after(Math.max(1, at - this.#parts.clock.now()), () => {
      this.#wakeAt = Infinity
      this.scan()
    })
  }
}
