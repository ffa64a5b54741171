/**
 * Reads the queue over one connection: what has arrived together is accepted together, in order, and acknowledged after; while it is committed
 * the next is handed in. What is not accepted is not acknowledged, and the prefetch keeps the broker from sending more. A lost connection is the
 * channel's matter.
 */
import type { Channel, ConsumeMessage } from 'amqplib'
import { describeError } from '#contract'
import type { Accepted, ChannelHost, Failure, Inbound } from '#contract'
import { acceptAgain, isWorthWaiting } from './again.ts'
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

interface Batch {
  readonly items: readonly Item[]
  /** null: it failed, or one before it, and is handed in again when it is its turn. */
  answers: Promise<readonly Accepted[]> | null
}

export class Intake {
  readonly #parts: IntakeParts
  #waiting: Item[] = []
  /** Handed in, in their order, and not settled. */
  #underWay: Batch[] = []
  /** Something is tried again: what comes meanwhile waits, so that it does not pass it. */
  #isHeld = false
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
      this.#forget()
      channel.nackAll(true)
    })
  }

  /** Its connection is lost. What the broker still has comes again over the next; what it has not is accepted from here. */
  async end(): Promise<void> {
    const { keepsUntilAccepted } = this.#parts.settings
    if (keepsUntilAccepted) {
      this.#isTaking = false
      this.#waiting = []
      this.#patience.abort()
    }
    while (this.#working !== null) await this.#working
    if (keepsUntilAccepted) this.#forget()
  }

  /** For good. Resolves when nothing more is accepted; the last acknowledgements are written, and maybe not yet on their way. */
  async stop(): Promise<void> {
    this.#isTaking = false
    this.#patience.abort()
    while (this.#working !== null) await this.#working
    if (this.#unsettled > 0 && !this.#parts.settings.keepsUntilAccepted)
      this.#parts.host.log.error({ messages: this.#unsettled }, 'Messages that were acknowledged unread (`ack: false`) are lost.')
  }

  get #unsettled(): number {
    return this.#underWay.reduce((sum, { items }) => sum + items.length, this.#waiting.length)
  }

  #forget(): void {
    this.#waiting = []
    this.#underWay = []
    this.#isHeld = false
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
    if (!settings.keepsUntilAccepted && this.#unsettled <= settings.prefetch) this.#acknowledge(message)
    // What else is in the same read of the socket is handed in together with it.
    if (this.#waiting.length === 1) queueMicrotask(() => this.#work())
  }

  #work(): void {
    if (!this.#isTaking) return
    while (!this.#isHeld && this.#waiting.length > 0 && this.#underWay.length < MOST_UNDER_WAY)
      this.#handIn(this.#waiting.splice(0, MAX_BATCH))
    if (this.#working !== null || this.#underWay.length === 0) return
    this.#working = this.#drain().finally(() => {
      this.#working = null
      this.#work()
    })
  }

  #handIn(given: readonly Item[]): void {
    const items = given.filter(({ message, inbound: { dead } }) => dead === undefined || !this.#refuse(message, dead))
    if (items.length === 0) return
    const answers = this.#parts.host.acceptAll(inboundsOf(items), {}, { inOrder: true })
    // That it failed is seen when it is its turn.
    answers.catch(() => {})
    this.#underWay.push({ items, answers })
  }

  async #drain(): Promise<void> {
    for (let [first] = this.#underWay; first !== undefined; [first] = this.#underWay) {
      if (!(await this.#settle(first))) return
      this.#underWay.shift()
      this.#isHeld = this.#underWay.some(({ answers }) => answers === null)
      this.#work()
    }
  }

  /** False: it has to wait. */
  async #settle(batch: Batch): Promise<boolean> {
    if (!(await this.#accept(batch))) return false
    // The broker closes the channel over a tag that it does not wait for.
    const last = batch.items.findLast(({ message }) => !this.#refused.has(message.fields.deliveryTag))
    if (last !== undefined) this.#acknowledge(last.message)
    for (const { message } of batch.items) this.#refused.delete(message.fields.deliveryTag)
    return true
  }

  async #accept(batch: Batch): Promise<boolean> {
    const { host, onStuck } = this.#parts
    for (let attempt = 1; ; attempt++) {
      try {
        const answers = await (batch.answers ?? acceptAgain(host, inboundsOf(batch.items)))
        if (attempt > 1) onStuck(null)
        for (const [at, answer] of answers.entries()) await this.#told(batch.items[at], answer)
        return true
      } catch (error) {
        await this.#recall()
        // Then it is one of them, and is found.
        if (attempt === 1 && !isWorthWaiting(error)) continue
        const { code, message } = describeError(error)
        host.log.warn({ 'error.code': code, messages: batch.items.length }, 'Messages could not be accepted; they stay unacknowledged.')
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

  /** What failed, with all that failed after it, is handed in again one by one. */
  async #recall(): Promise<void> {
    this.#isHeld = true
    for (const batch of this.#underWay) {
      try {
        await batch.answers
      } catch {
        batch.answers = null
      }
    }
  }

  /** Another message of the same id is no repeat of the first, and must not pass for one. */
  async #told(item: Item | undefined, answer: Accepted): Promise<void> {
    if (item === undefined || answer.status !== 'conflict') return
    const message = `Its message id was used for other content before, as ${answer.id}. A message id belongs to one message.`
    const dead: Failure = { code: 'AMQP_MESSAGE_ID_REUSED', message }
    if (this.#refuse(item.message, dead)) this.#refused.add(item.message.fields.deliveryTag)
    else await this.#parts.host.accept({ ...item.inbound, key: null, fingerprint: null, dead })
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

const inboundsOf = (items: readonly Item[]): readonly Inbound[] => items.map(({ inbound }) => inbound)

/** Of what `acceptAll` takes. */
const MAX_BATCH = 500
/** One is committed, the others lie ready for the writer: more would be smaller, and each costs a message between the threads. */
const MOST_UNDER_WAY = 3
