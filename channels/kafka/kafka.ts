/**
 * The channel of Apache Kafka: one account is one member of a consumer group, and one producer. Joins, comes back after every crash of the
 * client, sends replies. What a record means is `record.ts`, its way in `intake.ts`, the library `client.ts`.
 */
import { ChannelFault, UnavailableError } from '#contract'
import type { Capabilities, Channel, ChannelHost, ChannelKind, Clock, JsonObject, Part, Sent } from '#contract'
import { KafkaClient } from './client.ts'
import type { Consumption } from './seam.ts'
import { faultOf } from './fault.ts'
import { Intake } from './intake.ts'
import { DELIVERY_HEADER } from './record.ts'
import { readSettings, schema } from './settings.ts'
import type { KafkaSettings } from './settings.ts'

export const kafka: ChannelKind = {
  schema,
  create: (name, settings) => new KafkaChannel(name, settings),
}

/** What a broker takes by default (message.max.bytes), less what headers and framing need. */
const MAX_TEXT_BYTES = 1_000_000
/** A membership that lasted so long was good: the next failure is a first one. */
const GOOD_MS = 30_000
/** A line that swallows everything is noticed by the library after a minute or never. By now the group has given us up anyhow. */
const SILENCE_MS = 15_000
const LOOK_MS = 2_500

class KafkaChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    resend: 'id',
    text: { max: MAX_TEXT_BYTES, unit: 'bytes', dialect: null },
    strangers: false,
    typingMs: null,
    threads: false,
    groups: false,
    media: false,
  }
  readonly #name: string
  readonly #given: JsonObject
  #client: KafkaClient | null = null
  #settings: KafkaSettings | null = null
  #membership: Consumption | null = null
  #life: Promise<void> = Promise.resolve()
  readonly #stop = new AbortController()
  #isPaused = false

  constructor(name: string, settings: JsonObject) {
    this.#name = name
    this.#given = settings
  }

  /** Resolves when we are a member of the group for the first time, however long the brokers are away. */
  async start(host: ChannelHost, signal: AbortSignal): Promise<void> {
    const settings = readSettings(this.#name, this.#given)
    this.#settings = settings
    this.#client = new KafkaClient({ ...settings, name: `openclaw-${this.#name}`, log: host.log, now: () => host.clock.now() })
    const usable = Promise.withResolvers<void>()
    this.#life = this.#live(host, AbortSignal.any([signal, this.#stop.signal]), usable)
    await usable.promise
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#life
    await this.#client?.close()
    this.#client = null
  }

  async send(part: Part, signal: AbortSignal): Promise<Sent> {
    const { chat: topic, correlation } = part.to
    if (topic === '')
      throw new ChannelFault(
        `There is no topic for replies on channel "${this.#name}". Set \`channels.${this.#name}.reply_topic\`, or let records name one that \`reply_allow\` allows.`,
        { code: 'KAFKA_NO_REPLY_TOPIC', fault: { is: 'permanent' } },
      )
    const { client } = this.#open()
    const headers: [string, string][] = [
      ['content-type', 'text/plain; charset=utf-8'],
      [DELIVERY_HEADER, part.id],
    ]
    if (correlation !== undefined) headers.push(['correlation-id', correlation])
    if (part.messageId !== null) headers.push(['openclaw-message', part.messageId])
    if (part.traceparent !== undefined) headers.push(['traceparent', part.traceparent])
    if (part.of > 1) headers.push(['openclaw-part', `${part.index + 1}/${part.of}`])
    try {
      return { id: await client.produce({ topic, key: part.lane, value: part.rendered.text, headers }, signal) }
    } catch (error) {
      throw this.#faultOf(error, topic)
    }
  }

  pause(): void {
    this.#isPaused = true
    this.#membership?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#membership?.resume()
  }

  /** From one membership to the next, until `signal` aborts or the brokers say that there is no use in it. */
  async #live(host: ChannelHost, signal: AbortSignal, usable: PromiseWithResolvers<void>): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      const begunAt = host.clock.now()
      try {
        await this.#belong(host, signal, usable)
      } catch (error) {
        if (signal.aborted) break
        const fault = this.#faultOf(error, null)
        if (!fault.retryable) {
          host.status('stopped', fault.message)
          usable.reject(fault)
          return
        }
        host.status('connecting', fault.message)
        if (host.clock.now() - begunAt >= GOOD_MS) attempt = 1
        await host.backoff(attempt, signal).catch(() => {})
      }
    }
    usable.resolve()
  }

  /** One membership, to its end: rejects with what ended it, or because `signal` aborted. */
  async #belong(host: ChannelHost, signal: AbortSignal, usable: PromiseWithResolvers<void>): Promise<void> {
    const { client, settings } = this.#open()
    const { group, topics, fromBeginning, batchSize, deadLetterTopic, replyTopic, mayReplyTo } = settings
    const intake = new Intake({
      host,
      signal,
      batchSize,
      deadLetterTopic,
      reading: { account: this.#name, replyTopic, mayReplyTo },
      produce: (record, cut) => client.produce(record, cut),
      faultOf: (error, topic) => this.#faultOf(error, topic),
      isPaused: () => this.#isPaused,
    })
    const membership = await client.consume({ group, topics, fromBeginning, signal, take: (batch) => intake.take(batch) })
    this.#membership = membership
    const watch = new AbortController()
    try {
      if (this.#isPaused) membership.pause()
      host.status('open')
      usable.resolve()
      throw await Promise.race([membership.ended, silenceOf(membership, host.clock, watch.signal), abortOf(signal, watch.signal)])
    } finally {
      watch.abort()
      this.#membership = null
      await membership.stop()
    }
  }

  #open(): { readonly client: KafkaClient; readonly settings: KafkaSettings } {
    if (this.#client === null || this.#settings === null)
      throw new UnavailableError(`Channel "${this.#name}" is not started.`, { code: 'CHANNEL_CLOSED' })
    return { client: this.#client, settings: this.#settings }
  }

  #faultOf(error: unknown, topic: string | null): ChannelFault {
    return faultOf(error, { account: this.#name, brokers: this.#settings?.brokers ?? [], topic })
  }
}

/** Resolves when the membership has given no sign of life for too long. */
function silenceOf(membership: Consumption, clock: Clock, until: AbortSignal): Promise<Error> {
  return new Promise((resolve) => {
    let cancel = (): void => {}
    const look = (): void => {
      if (clock.now() - membership.seenAt() >= SILENCE_MS) resolve(new Error('the consumer gave no sign of life'))
      else cancel = clock.after(LOOK_MS, look)
    }
    look()
    until.addEventListener('abort', () => cancel(), { once: true })
  })
}

function abortOf(signal: AbortSignal, until: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true, signal: until })
  })
}
