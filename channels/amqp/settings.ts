/**
 * The settings of an account and what they come to: which broker and queue, what is bound to it, where refused messages and replies
 * go. That they are of the right form was checked by the schema; what cannot go together is refused here.
 */
import { ChannelFault, isJsonObject, matchesAny } from '#contract'
import type { JsonObject, JsonValue } from '#contract'

export interface Settings {
  readonly url: string
  readonly queue: string
  readonly queueType: 'quorum' | 'classic'
  readonly durable: boolean
  /** What the gateway may not create is used as it is. */
  readonly declares: boolean
  readonly binding: Binding | null
  readonly prefetch: number
  /** The broker keeps a message until it is accepted; else only until it is in memory. */
  readonly keepsUntilAccepted: boolean
  readonly retryCount: number
  readonly deadLetterExchange: string | null
  readonly maxBytes: number
  /** Queues that a message may name for its reply. */
  readonly mayReplyTo: (queue: string) => boolean
  /** Where the reply to a message goes that names none; null: nowhere. */
  readonly replies: { readonly exchange: string; readonly routingKey: string } | null
}

export interface Binding {
  readonly exchange: string
  readonly type: 'topic' | 'direct' | 'fanout' | 'headers'
  readonly routingKeys: readonly string[]
  /** Of a headers exchange. */
  readonly headers: JsonObject
}

const name = (description: string): JsonObject => ({ type: 'string', minLength: 1, maxLength: 255, description })

export const settingsSchema: JsonObject = {
  type: 'object',
  required: ['url', 'queue'],
  properties: {
    url: {
      type: 'string',
      pattern: '^amqps?://',
      description: 'Broker: `amqp://user:password@host:5672/vhost`, or `amqps://` over TLS; `?heartbeat=SECONDS` overrides the 10 s',
    },
    queue: name('Queue that is read; made when it is not there'),
    queue_type: {
      type: 'string',
      enum: ['quorum', 'classic'],
      description: 'Type of the queue. Default: quorum when durable, else classic',
    },
    durable: { type: 'boolean', default: true, description: 'The queue survives a restart of the broker' },
    declare: { type: 'boolean', default: true, description: 'Make queue, exchange and bindings; false: use the queue as it is' },
    exchange: name('Exchange that the queue is bound to; made when it is not there. Default: none'),
    exchange_type: {
      type: 'string',
      enum: ['topic', 'direct', 'fanout', 'headers'],
      default: 'topic',
      description: 'Type of that exchange',
    },
    routing_key: {
      type: ['string', 'array'],
      items: { type: 'string', maxLength: 255 },
      default: '#',
      description: 'What of the exchange the queue gets: one routing key or several',
    },
    headers: {
      type: 'object',
      additionalProperties: { type: ['string', 'number', 'boolean'] },
      description: 'Headers that a message must have (headers exchange); `x-match: any` for one of them',
    },
    prefetch: { type: 'integer', minimum: 1, maximum: 10_000, default: 500, description: 'Messages under way at once' },
    ack: {
      type: 'boolean',
      default: true,
      description: 'Acknowledge when a message is durable; false: when it is read, so that a crash loses what is in memory',
    },
    retryCount: {
      type: 'integer',
      minimum: 0,
      maximum: 127,
      default: 3,
      description: 'Redeliveries until the broker moves a message to `deadLetterExchange` (quorum queue)',
    },
    deadLetterExchange: name('Exchange for messages that can never be handled. Default: none, they become dead letters of the gateway'),
    max_bytes: { type: 'integer', minimum: 1, maximum: 134_217_728, default: 1_048_576, description: 'Largest message handled' },
    reply_allow: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: ['amq.rabbitmq.reply-to.*', 'amq.gen-*'],
      description: 'Queues that a message may name in `reply_to`; `*` stands for any characters',
    },
    reply_exchange: name('Exchange for replies to messages without `reply_to`. Default: the default exchange'),
    reply_routing_key: name('Routing key, or queue, for replies to messages without `reply_to`. Default: such replies stay in the gateway'),
  },
  additionalProperties: false,
}

/** @throws ChannelFault of kind config */
export function readSettings(given: JsonObject): Settings {
  const durable = given['durable'] !== false
  const queueType = given['queue_type'] ?? (durable ? 'quorum' : 'classic')
  const exchange = text(given['exchange'])
  const headers = isJsonObject(given['headers']) ? given['headers'] : {}
  const replyExchange = text(given['reply_exchange'])
  const replyRoutingKey = text(given['reply_routing_key'])
  const type = typeOf(given['exchange_type'])
  if (queueType === 'quorum' && !durable)
    throw wrong('A quorum queue is always durable. Remove `durable: false`, or set `queue_type: classic`.')
  if (Object.keys(headers).length > 0 && (exchange === null || type !== 'headers'))
    throw wrong('`headers` needs an `exchange` with `exchange_type: headers`.')
  return {
    url: text(given['url']) ?? '',
    queue: text(given['queue']) ?? '',
    queueType: queueType === 'classic' ? 'classic' : 'quorum',
    durable,
    declares: given['declare'] !== false,
    binding: exchange === null ? null : { exchange, type, headers, routingKeys: texts(given['routing_key'], '#') },
    prefetch: whole(given['prefetch'], 500),
    keepsUntilAccepted: given['ack'] !== false,
    retryCount: whole(given['retryCount'], 3),
    deadLetterExchange: text(given['deadLetterExchange']),
    maxBytes: whole(given['max_bytes'], 1_048_576),
    mayReplyTo: matchesAny(given['reply_allow'] === undefined ? DEFAULT_REPLY_ALLOW : texts(given['reply_allow'])),
    replies:
      replyExchange === null && replyRoutingKey === null ? null : { exchange: replyExchange ?? '', routingKey: replyRoutingKey ?? '' },
  }
}

const DEFAULT_REPLY_ALLOW = ['amq.rabbitmq.reply-to.*', 'amq.gen-*']

const wrong = (message: string): ChannelFault => new ChannelFault(message, { code: 'AMQP_SETTINGS', fault: { is: 'config' } })

const text = (value: JsonValue | undefined): string | null => (typeof value === 'string' && value !== '' ? value : null)
const whole = (value: JsonValue | undefined, fallback: number): number => (typeof value === 'number' ? value : fallback)

function texts(value: JsonValue | undefined, fallback?: string): readonly string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'string')
  return fallback === undefined ? [] : [fallback]
}

function typeOf(value: JsonValue | undefined): Binding['type'] {
  return value === 'direct' || value === 'fanout' || value === 'headers' ? value : 'topic'
}
