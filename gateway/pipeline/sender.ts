/**
 * One part and its platform (T6, T7): sent, asked after, or given up, each attempt bracketed by two rows. An outcome that
 * nobody knows is never sent blindly a second time, and never hidden. Which part is next is deliver.ts's and lane-queue.ts's.
 */
import { ChannelFault, describeError, timeOf, traceFields } from '#contract'
import type {
  Capabilities,
  Channel,
  Clock,
  Counter,
  DeliveryEnd,
  Histogram,
  Log,
  Metrics,
  OutboxItem,
  Redact,
  Store,
  Tracer,
} from '#contract'
import type { Channels } from './channels.ts'
import { CONFIRM_AFTER_MS, afterAnswer, afterSend, afterSilence, expired, faultOf, unknown } from './delivery-end.ts'
import type { EndContext } from './delivery-end.ts'
import { messageLatency } from './latency.ts'
import type { Pace } from './lane-queue.ts'
import type { News } from './news.ts'
import type { Patience } from './patience.ts'
import type { Rates } from './rate.ts'
import type { RetryPolicy } from './retry.ts'

export interface SenderParts {
  readonly store: Store
  readonly channels: Channels
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly patience: Patience
  readonly random: () => number
  readonly redact: Redact
  readonly rates: Rates
  readonly news: News
  readonly tracer: Tracer
}

export interface SenderOptions {
  readonly retry: RetryPolicy
  /** A platform call that takes longer is cut, its outcome unknown. */
  readonly sendTimeoutMs: number
}

export type Settled =
  /** The next of the lane may go. */
  | { readonly is: 'over' }
  | { readonly is: 'later'; readonly at: number }
  /** It waits for the rate: nothing was written, and it is no attempt. */
  | { readonly is: 'paced'; readonly pace: Pace }
  /** Its channel is not there. The channel's coming up looks here again. */
  | { readonly is: 'away' }

const OVER: Settled = { is: 'over' }

export class Sender {
  readonly #parts: SenderParts
  readonly #options: SenderOptions
  readonly #startedAt: number
  readonly #messages: Counter
  readonly #retries: Counter
  readonly #confirmations: Counter
  readonly #latency: Histogram
  readonly #stop = new AbortController()

  constructor(parts: SenderParts, options: SenderOptions) {
    this.#parts = parts
    this.#options = options
    this.#startedAt = parts.clock.now()
    const { metrics } = parts
    this.#messages = metrics.counter({
      name: 'openclaw_messages_total',
      help: 'Messages by channel, direction and what became of them.',
      labels: ['channel', 'direction', 'status'],
    })
    this.#latency = messageLatency(metrics)
    this.#retries = metrics.counter({ name: 'openclaw_retries_total', help: 'Attempts after the first.', labels: ['stage'] })
    this.#retries.inc(['delivery'], 0)
    this.#confirmations = metrics.counter({
      name: 'openclaw_delivery_confirmations_total',
      help: 'How often a platform was asked what became of a part, by its answer.',
      labels: ['channel', 'outcome'],
    })
  }

  /** Cuts the calls under way. */
  cut(): void {
    this.#stop.abort(new ChannelFault('The gateway stopped before the platform answered.', { code: 'DELIVERY_CUT', fault: MAYBE }))
  }

  /** What can be done for the first part of a lane now. `isAdmitted`: the rate has counted it already. */
  async settle(item: OutboxItem, isAdmitted: boolean): Promise<Settled> {
    const { channels, clock, rates } = this.#parts
    const now = clock.now()
    if (item.dueAt > now) return { is: 'later', at: item.dueAt }
    const channel = channels.sendable(item.channel)
    if (channel === null) return { is: 'away' }
    const resend = resendOf(channel)
    if (item.status === 'sending' && resend === 'none')
      return this.#end(item, unknown('The gateway died while this part was being sent.', now))
    if (item.status === 'sending' && resend === 'confirm') return this.#confirm(channel, item)
    if (item.to.expiresAt !== undefined && item.to.expiresAt <= now) return this.#end(item, expired(now))
    const at = isAdmitted ? null : rates.take({ channel: item.channel, to: item.to, rate: channel.capabilities.rate }, now)
    if (at !== null) return { is: 'paced', pace: { to: item.to, at } }
    return this.#send(channel, item)
  }

  async #send(channel: Channel, item: OutboxItem): Promise<Settled> {
    const { store, clock, patience, tracer } = this.#parts
    const attempt = await patience.persist(() => store.outbox.sending(item.id, clock.now()))
    const attributes = {
      'openclaw.channel': item.channel,
      'openclaw.message.id': item.messageId ?? undefined,
      'openclaw.attempt': attempt,
      'openclaw.part': item.index + 1,
    }
    const span = tracer.span('channel.egress', { parent: item.traceparent, kind: 'producer', attributes })
    const { traceparent } = span
    const part = { ...item, attempt, ...(traceparent !== undefined && { traceparent }) }
    let end: DeliveryEnd
    try {
      const { id } = await this.#call((signal) => channel.send(part, signal))
      span.end()
      end = { status: 'sent', platformId: id }
    } catch (error) {
      span.end(describeError(error).code)
      this.#heed(error, part)
      end = afterSend(error, part, this.#context(channel))
    }
    return this.#end(part, end)
  }

  async #confirm(channel: Channel, item: OutboxItem): Promise<Settled> {
    const { clock, rates } = this.#parts
    // A former life may have ended a moment ago, in the middle of the call.
    const at = Math.max(this.#startedAt + CONFIRM_AFTER_MS, rates.heldUntil(item.channel, item.to))
    if (at > clock.now()) return { is: 'later', at }
    let end: DeliveryEnd
    try {
      const answer = await this.#call(async (signal) => (await channel.confirm?.(item, signal)) ?? NOBODY_KNOWS)
      this.#confirmations.inc([item.channel, answer.outcome])
      end = afterAnswer(answer, item, this.#context(channel))
    } catch (error) {
      this.#confirmations.inc([item.channel, 'failed'])
      this.#heed(error, item)
      end = afterSilence(error, item, this.#context(channel))
    }
    return this.#end(item, end)
  }

  /** Bounded whatever the channel does with the signal: no lane, and no stop of the gateway, waits for it for ever. */
  async #call<Answer>(run: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    const { clock } = this.#parts
    const cut = new AbortController()
    const signal = AbortSignal.any([cut.signal, this.#stop.signal])
    const gone = Promise.withResolvers<never>()
    let cancelGrace = (): void => undefined
    const abort = (): void => {
      cancelGrace = clock.after(GRACE_MS, () => gone.reject(signal.reason))
    }
    const cancel = clock.after(this.#options.sendTimeoutMs, () => cut.abort(late()))
    signal.addEventListener('abort', abort)
    try {
      signal.throwIfAborted()
      return await Promise.race([run(signal), gone.promise])
    } finally {
      cancel()
      cancelGrace()
      signal.removeEventListener('abort', abort)
    }
  }

  /** What a fault means for more than its part. */
  #heed(error: unknown, item: OutboxItem): void {
    const { channels, rates, clock } = this.#parts
    const fault = faultOf(error)
    if (fault.is === 'rate') rates.hold(item.channel, fault.scope === 'chat' ? item.to.chat : null, clock.now() + fault.afterMs)
    if (fault.is === 'auth' || fault.is === 'config') channels.refuse(item.channel, describeError(error).message)
  }

  #context(channel: Channel): EndContext {
    const { clock, random, redact } = this.#parts
    return {
      retry: this.#options.retry,
      resend: resendOf(channel),
      isDraining: this.#stop.signal.aborted,
      now: clock.now(),
      random,
      redact,
    }
  }

  async #end(item: OutboxItem, end: DeliveryEnd): Promise<Settled> {
    const { store, clock, patience, channels, news } = this.#parts
    await patience.persist(() => store.outbox.finish(item.id, end, clock.now()))
    this.#messages.inc([item.channel, 'out', end.status])
    if (end.status === 'sent') {
      this.#measure(item)
      channels.sent(item.channel)
      await news.sent(item.channel, end.platformId)
      return OVER
    }
    this.#tell(item, end)
    return end.status === 'retry' || end.status === 'confirm' ? { is: 'later', at: end.at } : OVER
  }

  #measure({ channel, messageId, index, of, createdAt }: OutboxItem): void {
    const now = this.#parts.clock.now()
    this.#latency.observe(Math.max(0, now - createdAt) / 1_000, [channel, 'deliver'])
    if (messageId === null || index < of - 1) return
    this.#latency.observe(Math.max(0, now - timeOf(messageId)) / 1_000, [channel, 'total'])
  }

  #tell(item: OutboxItem, end: Exclude<DeliveryEnd, { status: 'sent' }>): void {
    const { log, clock } = this.#parts
    const known = { channel: item.channel, delivery: item.id, message_id: item.messageId, 'error.code': end.failure.code }
    const fields = { ...known, ...traceFields(item.traceparent) }
    switch (end.status) {
      case 'retry':
        if (end.counted) this.#retries.inc(['delivery'])
        log.warn(
          { ...fields, retry_in_ms: end.at - clock.now() },
          `A part was not delivered and will be tried again: ${end.failure.message}`,
        )
        return
      case 'confirm':
        log.warn(
          { ...fields, ask_in_ms: end.at - clock.now() },
          `A part may have been delivered, and the platform will be asked: ${end.failure.message}`,
        )
        return
      case 'dead':
      case 'unknown':
        log.error(fields, `A part was given up: ${end.failure.message}`)
    }
  }
}

/** Whoever cannot be asked cannot confirm. */
function resendOf(channel: Channel): Capabilities['resend'] {
  const { resend } = channel.capabilities
  return resend === 'confirm' && channel.confirm === undefined ? 'none' : resend
}

/** A channel that was cut may still say how far it came. */
const GRACE_MS = 1_000
const MAYBE = { is: 'transient', maybeSent: true } as const
const NOBODY_KNOWS = { outcome: 'unknown' } as const
const late = (): ChannelFault => new ChannelFault('The platform did not answer in time.', { code: 'DELIVERY_TIMEOUT', fault: MAYBE })
