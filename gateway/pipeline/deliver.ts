/**
 * The way out (T6, T7) for channels that push: one part at a time per lane, in order, each attempt bracketed by two
 * rows. What a failure means is told by the channel's fault class; an outcome that nobody knows is never sent blindly
 * a second time, and never hidden.
 */
import { ChannelFault, describeError, newDeadLetterId } from '#contract'
import type { Channel, Clock, Counter, DeliveryEnd, Log, Metrics, OutboxItem, SendFault, Store } from '#contract'
import type { Channels } from './channels.ts'
import type { Patience } from './patience.ts'
import { backoffMs } from './retry.ts'
import type { RetryPolicy } from './retry.ts'

export interface DeliverParts {
  readonly store: Store
  readonly channels: Channels
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly patience: Patience
  readonly random: () => number
}

export interface DeliverOptions {
  readonly retry: RetryPolicy
  readonly maxConcurrent: number
  /** A platform call that takes longer is cut, its outcome unknown. */
  readonly sendTimeoutMs: number
}

const PAGE = 16
const SCAN = 1_000
const SWEEP_MS = 30_000
/** A channel that is stopped for its credentials is asked again so often. */
const REFUSED_MS = 60_000

interface Lane {
  readonly channel: string
  readonly lane: string
}

export class Deliver {
  readonly #parts: DeliverParts
  readonly #options: DeliverOptions
  readonly #waiting = new Map<string, Lane>()
  /** true: something came while it was worked on. */
  readonly #running = new Map<string, boolean>()
  /** Channels that asked for peace until then. */
  readonly #quiet = new Map<string, number>()
  readonly #messages: Counter
  readonly #retries: Counter
  readonly #stop = new AbortController()
  #isOpen = false
  #wakeAt = Infinity
  #cancelWake: () => void = () => undefined
  #isMore = false
  #idle: (() => void)[] = []

  constructor(parts: DeliverParts, options: DeliverOptions) {
    this.#parts = parts
    this.#options = options
    this.#messages = parts.metrics.counter({
      name: 'openclaw_messages_total',
      help: 'Messages by channel, direction and what became of them.',
      labels: ['channel', 'direction', 'status'],
    })
    this.#retries = parts.metrics.counter({ name: 'openclaw_retries_total', help: 'Attempts after the first.', labels: ['stage'] })
  }

  get running(): number {
    return this.#running.size
  }

  start(): void {
    this.#isOpen = true
    this.scan()
  }

  /** Begins no part more; those under way may end within `boundMs`, then they are cut. */
  async drain(boundMs: number): Promise<void> {
    this.#isOpen = false
    this.#cancelWake()
    if (this.#running.size === 0) return
    const cancel = this.#parts.clock.after(boundMs, () => this.#stop.abort())
    await new Promise<void>((resolve) => this.#idle.push(resolve))
    cancel()
  }

  /** This lane has something to send. */
  hint(channel: string, lane: string): void {
    const key = `${channel}\n${lane}`
    if (this.#running.has(key)) this.#running.set(key, true)
    else if (this.#waiting.size < SCAN * 10) this.#waiting.set(key, { channel, lane })
    else this.#isMore = true
    this.#fill()
  }

  /** Looks in the store for all that is due. */
  scan(): void {
    if (!this.#isOpen) return
    void this.#scan()
  }

  async #scan(): Promise<void> {
    const { store, channels, clock, log } = this.#parts
    const pushing = channels.pushing()
    if (pushing.length === 0) return
    const now = clock.now()
    try {
      const heads = await store.outbox.heads({ channels: pushing, now, limit: SCAN })
      if (heads.length === SCAN) this.#isMore = true
      for (const { channel, lane } of heads) this.hint(channel, lane)
      const due = await store.outbox.nextDue(pushing, now)
      if (due !== null) this.#wake(due)
    } catch (error) {
      log.warn({ 'error.code': describeError(error).code }, 'Could not look for deliveries; it will be tried again.')
      this.#wake(clock.now() + 1_000)
    }
    this.#wake(clock.now() + SWEEP_MS)
  }

  #fill(): void {
    for (const [key, lane] of this.#waiting) {
      if (!this.#isOpen || this.#running.size >= this.#options.maxConcurrent) return
      this.#waiting.delete(key)
      void this.#run(key, lane)
    }
    if (this.#isMore && this.#waiting.size === 0) {
      this.#isMore = false
      this.scan()
    }
  }

  async #run(key: string, lane: Lane): Promise<void> {
    this.#running.set(key, false)
    try {
      await this.#lane(lane)
    } catch (error) {
      this.#parts.log.warn(
        { channel: lane.channel, 'error.code': describeError(error).code },
        'A lane could not be delivered; it will be tried again.',
      )
      this.#wake(this.#parts.clock.now() + 1_000)
    }
    const again = this.#running.get(key) === true
    this.#running.delete(key)
    if (again && this.#isOpen) this.#waiting.set(key, lane)
    if (this.#running.size === 0) {
      for (const resolve of this.#idle) resolve()
      this.#idle = []
    }
    this.#fill()
  }

  async #lane({ channel, lane }: Lane): Promise<void> {
    const { store, clock } = this.#parts
    for (;;) {
      const items = await store.outbox.lane(channel, lane, PAGE)
      for (const item of items) {
        if (!this.#isOpen) return
        const at = Math.max(item.dueAt, this.#quiet.get(channel) ?? 0)
        if (at > clock.now()) {
          this.#wake(at)
          return
        }
        if (!(await this.#part(item))) return
      }
      if (items.length < PAGE) return
    }
  }

  /** True: it is settled, the next may go. */
  async #part(item: OutboxItem): Promise<boolean> {
    const { store, channels, clock, patience } = this.#parts
    // Not there yet, or stopped: it waits, and that is no attempt. The channel's coming up looks here again.
    const channel = channels.sendable(item.channel)
    if (channel === null) return false
    if (item.status === 'sending' && channel.capabilities.resend === 'none') {
      await this.#finish(item, this.#unknown('The gateway died while this part was being sent.'))
      return true
    }
    const attempt = await patience.persist(() => store.outbox.sending(item.id, clock.now()))
    try {
      const sent = await this.#send(channel, { ...item, attempt })
      await this.#finish(item, { status: 'sent', platformId: sent })
      channels.sent(item.channel)
      return true
    } catch (error) {
      const end = this.#after(error, { ...item, attempt }, channel)
      await this.#finish(item, end)
      if (end.status === 'retry' && end.at <= clock.now()) this.hint(item.channel, item.lane)
      return end.status !== 'retry'
    }
  }

  async #send(channel: Channel, item: OutboxItem): Promise<string | null> {
    const cut = new AbortController()
    const cancel = this.#parts.clock.after(this.#options.sendTimeoutMs, () => cut.abort(new Error('The platform did not answer in time.')))
    try {
      const sent = await channel.send(item, AbortSignal.any([cut.signal, this.#stop.signal]))
      return sent.id
    } finally {
      cancel()
    }
  }

  async #finish(item: OutboxItem, end: DeliveryEnd): Promise<void> {
    const { store, clock, log, patience } = this.#parts
    await patience.persist(() => store.outbox.finish(item.id, end, clock.now()))
    this.#messages.inc([item.channel, 'out', end.status])
    if (end.status === 'sent') return
    const fields = { channel: item.channel, delivery: item.id, message_id: item.messageId, 'error.code': end.failure.code }
    if (end.status === 'retry') {
      this.#retries.inc(['delivery'])
      this.#wake(end.at)
      log.warn({ ...fields, retry_in_ms: end.at - clock.now() }, `A part was not delivered and will be tried again: ${end.failure.message}`)
    } else log.error(fields, `A part was given up: ${end.failure.message}`)
  }

  #after(error: unknown, item: OutboxItem, channel: Channel): DeliveryEnd {
    const { clock, channels, random } = this.#parts
    const failure = describeError(error)
    // What is not a fault of the platform's telling may have happened on either side of the wire.
    const fault: SendFault = error instanceof ChannelFault ? error.fault : { is: 'transient', maybeSent: true }
    const dead: DeliveryEnd = { status: 'dead', failure, deadLetter: newDeadLetterId(clock.now()) }
    const again = { status: 'retry', at: clock.now(), failure, counted: true, to: null, plain: false } as const
    switch (fault.is) {
      case 'transient':
        if (fault.maybeSent && channel.capabilities.resend === 'none') return this.#unknown(failure.message)
        if (item.attempt >= this.#options.retry.attempts) return dead
        return { ...again, at: clock.now() + backoffMs(this.#options.retry, item.attempt, random) }
      case 'rate':
        if (fault.scope === 'account') this.#quiet.set(item.channel, clock.now() + fault.afterMs)
        return { ...again, at: clock.now() + fault.afterMs, counted: false }
      case 'format':
        return item.rendered.plain === undefined || item.rendered.plain === item.rendered.text ? dead : { ...again, plain: true }
      case 'moved':
        return { ...again, counted: false, to: { ...item.to, chat: fault.chat } }
      case 'auth':
      case 'config':
        channels.refuse(item.channel, failure.message)
        return { ...again, at: clock.now() + REFUSED_MS, counted: false }
      case 'permanent':
      case 'window':
        return dead
    }
  }

  #unknown(message: string): DeliveryEnd {
    const { clock } = this.#parts
    return {
      status: 'unknown',
      failure: {
        code: 'DELIVERY_UNKNOWN',
        message: `It may or may not have been sent, and a repeat would be a second message. ${message}`,
      },
      deadLetter: newDeadLetterId(clock.now()),
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
