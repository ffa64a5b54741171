/**
 * Reads the queue over one connection: what has arrived together is accepted together, in order, and acknowledged after. While it is
 * not accepted nothing is acknowledged, and the prefetch keeps the broker from sending more. A lost connection is the channel's matter.
 */
import type { Channel, ConsumeMessage } from 'amqplib'
import { OpenClawError, describeError } from '#contract'
import type { Accepted, ChannelHost, Failure, Inbound } from '#contract'
import { inboundOf } from './inbound.ts'
import type { Settings } from './settings.ts'

export interface IntakeParts {
  readonly host: ChannelHost
  readonly settings: Settings
  readonly origin: string
  readonly channel: Channel
  /** The broker took the consumer away: the queue was deleted, or its node left. */
  readonly onCancelled: () => void
  /** Why nothing can be accepted now; null: it can again. */
  readonly onStuck: (why: string | null) => void
}

/** Read when it comes: while others are committed there is time for that, afterwards they would wait for it. */
interface Item {
  readonly message: ConsumeMessage
  readonly inbound: Inbound
}

export class Intake {
  readonly #parts: IntakeParts
  readonly #maxBatch: number
  #waiting: Item[] = []
  #consumerTag: string | null = null
  /** Of the last message that was acknowledged. */
  #settledTag = 0
  /** Tags of the messages at hand that were refused already. */
  readonly #refused = new Set<number>()
  #isTaking = false
  #working: Promise<void> | null = null
  #patience = new AbortController()
  /** Pauses and resumptions, one after the other. */
  #turn: Promise<void> = Promise.resolve()

  constructor(parts: IntakeParts) {
    this.#parts = parts
    // While one half of what may be under way is committed, the broker sends the other.
    this.#maxBatch = Math.min(MAX_BATCH, Math.ceil(parts.settings.prefetch / 2))
  }

  /** Rejects when the broker refuses, or the connection is lost; then there is nothing to be done here. */
  resume(): Promise<void> {
    this.#isTaking = true
    if (this.#patience.signal.aborted) this.#patience = new AbortController()
    return this.#next(async () => {
      if (!this.#isTaking || this.#consumerTag !== null) return
      const { channel, settings } = this.#parts
      await channel.prefetch(settings.prefetch)
      const { consumerTag } = await channel.consume(settings.queue, (message) => this.#hear(message))
      this.#consumerTag = consumerTag
      this.#work()
    })
  }

  /** Resolves when what was being accepted is settled and the rest is back in the queue. Rejects like `resume`. */
  pause(): Promise<void> {
    this.#isTaking = false
    this.#patience.abort()
    return this.#next(async () => {
      if (this.#isTaking || this.#consumerTag === null) return
      const { channel, settings } = this.#parts
      await channel.cancel(this.#consumerTag)
      this.#consumerTag = null
      await this.#working
      // What was acknowledged already cannot be given back.
      if (!settings.keepsUntilAccepted) return
      this.#waiting = []
      channel.nackAll(true)
    })
  }

  /** Its connection is lost. What the broker still has comes again over the next; what it has not is accepted from here. */
  async end(): Promise<void> {
    if (this.#parts.settings.keepsUntilAccepted) {
      this.#isTaking = false
      this.#waiting = []
      this.#patience.abort()
    }
    while (this.#working !== null) await this.#working
  }

  /** For good. Resolves when nothing more is accepted; the last acknowledgements are written, and maybe not yet on their way. */
  async stop(): Promise<void> {
    this.#isTaking = false
    this.#patience.abort()
    while (this.#working !== null) await this.#working
    if (this.#waiting.length > 0 && !this.#parts.settings.keepsUntilAccepted)
      this.#parts.host.log.error({ messages: this.#waiting.length }, 'Messages that were acknowledged unread (`ack: false`) are lost.')
  }

  #next(run: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(run)
    this.#turn = done.catch(() => {})
    return done
  }

  /** Must not throw: the library would take it for a fault of the connection. */
  #hear(message: ConsumeMessage | null): void {
    if (message === null) {
      this.#consumerTag = null
      this.#parts.onCancelled()
      return
    }
    const { host, settings, origin } = this.#parts
    this.#waiting.push({ message, inbound: inboundOf(message, { settings, origin, now: host.clock.now() }) })
    if (!settings.keepsUntilAccepted && this.#waiting.length <= settings.prefetch) this.#acknowledge(message)
    // What else is in the same read of the socket is handed in together with it.
    if (this.#working === null) queueMicrotask(() => this.#work())
  }

  #work(): void {
    if (this.#working !== null || !this.#isTaking || this.#waiting.length === 0) return
    this.#working = this.#drain().finally(() => {
      this.#working = null
      this.#work()
    })
  }

  async #drain(): Promise<void> {
    while (this.#isTaking && this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, this.#maxBatch)
      if (!(await this.#settle(batch))) return
      this.#waiting.splice(0, batch.length)
      for (const { message } of batch) this.#refused.delete(message.fields.deliveryTag)
    }
  }

  /** False: it has to wait. */
  async #settle(batch: readonly Item[]): Promise<boolean> {
    const items: Item[] = []
    for (const item of batch) {
      const { message, inbound } = item
      if (this.#refused.has(message.fields.deliveryTag)) continue
      if (inbound.dead === undefined || !this.#refuse(message, inbound.dead)) items.push(item)
    }
    if (items.length > 0 && !(await this.#accept(items))) return false
    // The broker closes the channel over a tag that it does not wait for.
    const last = items.findLast(({ message }) => !this.#refused.has(message.fields.deliveryTag))
    if (last !== undefined) this.#acknowledge(last.message)
    return true
  }

  async #accept(items: readonly Item[]): Promise<boolean> {
    const { host, onStuck } = this.#parts
    for (let attempt = 1; ; attempt++) {
      try {
        const answers = await this.#acceptAll(items)
        if (attempt > 1) onStuck(null)
        for (const [at, answer] of answers.entries()) await this.#told(items[at], answer)
        return true
      } catch (error) {
        const { code, message } = describeError(error)
        host.log.warn({ 'error.code': code, messages: items.length }, 'Messages could not be accepted; they stay unacknowledged.')
        onStuck(message)
        try {
          await host.backoff(attempt, this.#patience.signal)
        } catch {
          onStuck(null)
          return false
        }
      }
    }
  }

  async #acceptAll(items: readonly Item[]): Promise<readonly Accepted[]> {
    const { host } = this.#parts
    try {
      return await host.acceptAll(items.map(({ inbound }) => inbound))
    } catch (error) {
      if (isWorthWaiting(error)) throw error
      // One of them is at fault, and must not keep the others out.
      const answers: Accepted[] = []
      for (const { inbound } of items) answers.push(await this.#acceptOne(inbound))
      return answers
    }
  }

  async #acceptOne(inbound: Inbound): Promise<Accepted> {
    const { host } = this.#parts
    try {
      return await host.accept(inbound)
    } catch (error) {
      if (isWorthWaiting(error)) throw error
      return await host.accept({ ...inbound, dead: describeError(error) })
    }
  }

  /** Another message of the same id is no repeat of the first, and must not pass for one. */
  async #told(item: Item | undefined, answer: Accepted): Promise<void> {
    if (item === undefined || answer.status !== 'conflict') return
    const message = `Its message id was used for other content before, as ${answer.id}. A message id belongs to one message.`
    const dead: Failure = { code: 'AMQP_MESSAGE_ID_REUSED', message }
    if (!this.#refuse(item.message, dead)) await this.#parts.host.accept({ ...item.inbound, key: null, fingerprint: null, dead })
  }

  /** To the broker's dead letters. False: there are none, or it is not the broker's any more. */
  #refuse(message: ConsumeMessage, why: Failure): boolean {
    const { settings, channel, host } = this.#parts
    if (settings.deadLetterExchange === null || message.fields.deliveryTag <= this.#settledTag) return false
    try {
      channel.nack(message, false, false)
    } catch {
      // The connection is lost: it comes again.
    }
    this.#refused.add(message.fields.deliveryTag)
    host.log.warn({ 'error.code': why.code, exchange: settings.deadLetterExchange }, `A message was refused: ${why.message}`)
    return true
  }

  /** With all before it, which are settled. */
  #acknowledge(message: ConsumeMessage): void {
    const { deliveryTag } = message.fields
    if (deliveryTag <= this.#settledTag) return
    this.#settledTag = deliveryTag
    try {
      this.#parts.channel.ack(message, true)
    } catch {
      // The connection is lost: it comes again, and is known by its key.
    }
  }
}

const isWorthWaiting = (error: unknown): boolean => !(error instanceof OpenClawError) || error.retryable

/** Of what `acceptAll` takes. */
const MAX_BATCH = 500
