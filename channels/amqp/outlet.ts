/**
 * Sends replies over one connection: where each may go, published persistently, with the part's id as message id. Sent is what the
 * broker confirmed and did not return. Whether and when it is tried again is the hub's business.
 */
import type { ConfirmChannel, Options } from 'amqplib'
import { ChannelFault } from '#contract'
import type { ChannelHost, Part, SendFault, Sent } from '#contract'
import { brokerWords, unavailable } from './broker-fault.ts'
import type { Connection } from './connection.ts'
import { DELIVERY_HEADER, ORIGIN_HEADER } from './inbound.ts'
import type { Settings } from './settings.ts'

export interface OutletParts {
  readonly host: ChannelHost
  readonly settings: Settings
  readonly origin: string
  readonly connection: Connection
}

interface Target {
  readonly exchange: string
  readonly routingKey: string
}

export class Outlet {
  readonly #parts: OutletParts
  #channel: Promise<ConfirmChannel> | null = null
  /** Why the channel was closed, for those whose confirmation will not come. */
  #closedBy: unknown = null
  /** Message ids of what was returned and not confirmed yet. */
  readonly #returned = new Set<string>()
  #unblocked: (() => void)[] = []

  constructor(parts: OutletParts) {
    this.#parts = parts
  }

  /** The broker takes messages again. */
  wake(): void {
    for (const resolve of this.#unblocked.splice(0)) resolve()
  }

  async send(part: Part, signal: AbortSignal): Promise<Sent> {
    const { settings, host, connection } = this.#parts
    const { expiresAt } = part.to
    const target = targetOf(part, settings)
    if (target === null) return { id: null }
    const livesMs = expiresAt === undefined ? null : expiresAt - host.clock.now()
    if (livesMs !== null && livesMs <= 0)
      throw permanent('AMQP_REPLY_EXPIRED', 'Nobody waits for this reply any more: the time that its request allowed is over.')
    if (connection.blocked !== null) await this.#untilUnblocked(signal)
    const channel = await this.#open()
    await this.#publish({ channel, target, part, livesMs, signal })
    return { id: part.id }
  }

  async #publish(o: { channel: ConfirmChannel; target: Target; part: Part; livesMs: number | null; signal: AbortSignal }): Promise<void> {
    const { channel, target, part, livesMs, signal } = o
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const cut = (): void => reject(unavailable('The broker did not confirm in time.', { maybeSent: true }))
    const options: Options.Publish = {
      messageId: part.id,
      persistent: true,
      // A pseudo-queue counts as no queue: what is sent there as mandatory arrives and is returned all the same.
      mandatory: !target.routingKey.startsWith(DIRECT_REPLY),
      contentType: 'text/plain',
      contentEncoding: 'utf-8',
      timestamp: Math.floor(this.#parts.host.clock.now() / 1_000),
      appId: 'openclaw',
      headers: {
        [DELIVERY_HEADER]: part.id,
        [ORIGIN_HEADER]: this.#parts.origin,
        'x-openclaw-part': `${part.index + 1}/${part.of}`,
        ...(part.traceparent !== undefined && { traceparent: part.traceparent }),
      },
      ...(part.to.correlation === undefined ? {} : { correlationId: part.to.correlation }),
      ...(livesMs === null ? {} : { expiration: String(Math.ceil(livesMs)) }),
    }
    const confirmed = (error: unknown): void => {
      // The return comes before the confirmation.
      if (this.#returned.delete(part.id))
        reject(permanent('AMQP_NO_ROUTE', `The broker has no queue for "${target.routingKey}" (NO_ROUTE).`))
      else if (error === null) resolve()
      else reject(this.#unconfirmed(error))
    }
    try {
      channel.publish(target.exchange, target.routingKey, Buffer.from(part.rendered.text), options, confirmed)
    } catch (error) {
      throw error instanceof RangeError
        ? permanent('AMQP_REFUSED', `The reply cannot be written as AMQP: ${error.message}.`)
        : unavailable('The connection to the broker was lost before the reply was written.', { cause: error })
    }
    signal.addEventListener('abort', cut, { once: true })
    await promise.finally(() => signal.removeEventListener('abort', cut))
  }

  #open(): Promise<ConfirmChannel> {
    this.#channel ??= this.#make().catch((error: unknown) => {
      this.#channel = null
      throw notNow('There is no connection to the broker now.', error)
    })
    return this.#channel
  }

  async #make(): Promise<ConfirmChannel> {
    const channel = await this.#parts.connection.confirmChannel()
    this.#closedBy = null
    channel.on('error', (error) => (this.#closedBy = error))
    channel.on('close', () => (this.#channel = null))
    channel.on('return', ({ properties }) => this.#returned.add(String(properties.messageId)))
    return channel
  }

  /** The broker refused it (nack), or the channel ended: by the broker, over what it was told, or with the connection. */
  #unconfirmed(error: unknown): ChannelFault {
    if (this.#closedBy !== null) return permanent('AMQP_REFUSED', `The broker refused to publish: ${brokerWords(this.#closedBy)}`)
    return unavailable('The broker did not confirm the reply.', { cause: error, maybeSent: true })
  }

  /** A little; then the hub is told that it has to wait, which is no attempt. */
  async #untilUnblocked(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#unblocked.push(resolve)
    const cancel = this.#parts.host.clock.after(BLOCKED_MS, resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    cancel()
    const { blocked } = this.#parts.connection
    if (blocked !== null || signal.aborted) throw notNow(`The broker takes no messages now: ${blocked ?? 'stopping'}.`)
  }
}

/** null: to nobody; the reply stays where the gateway keeps it. */
function targetOf({ to }: Part, { replies, mayReplyTo }: Settings): Target | null {
  if (to.chat === '') return replies
  if (mayReplyTo(to.chat)) return { exchange: '', routingKey: to.chat }
  throw permanent('AMQP_REPLY_REFUSED', `No reply may go to the queue "${to.chat}". If it should, add it to \`reply_allow\`.`)
}

/** https://www.rabbitmq.com/docs/direct-reply-to */
const DIRECT_REPLY = 'amq.rabbitmq.reply-to.'
const BLOCKED_MS = 10_000
const AGAIN_MS = 1_000

const fault = (code: string, message: string, is: SendFault, cause?: unknown): ChannelFault =>
  new ChannelFault(message, { code, fault: is, cause })
const permanent = (code: string, message: string): ChannelFault => fault(code, message, { is: 'permanent' })
/** Waiting is no attempt. */
export const notNow = (message: string, cause?: unknown): ChannelFault =>
  fault('AMQP_UNREACHABLE', message, { is: 'rate', afterMs: AGAIN_MS, scope: 'account' }, cause)
