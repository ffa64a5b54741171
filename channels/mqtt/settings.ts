/**
 * The settings of an account and what they come to: which broker, what is subscribed to, where replies and refused messages go. That they are
 * of the right form was checked by the schema.
 */
import { isJsonObject, matchesAny } from '#contract'
import type { JsonObject, JsonValue } from '#contract'

export interface Settings {
  readonly url: string
  readonly topics: readonly string[]
  readonly username: string | undefined
  readonly password: string | undefined
  /** null: made once and kept with the account, because the session on the broker hangs on it. */
  readonly clientId: string | null
  readonly qos: 0 | 1
  /** What is tried first. */
  readonly version: 4 | 5
  readonly receiveMaximum: number
  readonly maxBytes: number
  /** For messages that name no response topic; null: such replies stay in the gateway. */
  readonly replyTopic: string | null
  readonly mayReplyTo: (topic: string) => boolean
  readonly deadTopic: string | null
  /** null: each message is an envelope of its own. */
  readonly batch: { readonly size: number; readonly waitMs: number } | null
}

const TOPIC = { type: 'string', minLength: 1, maxLength: 65_535 } as const

export const settingsSchema: JsonObject = {
  type: 'object',
  required: ['url', 'topic'],
  properties: {
    url: { type: 'string', pattern: '^(mqtts?|wss?)://', description: 'Broker: `mqtt://host:1883`, `mqtts://` or `wss://` over TLS' },
    topic: {
      type: ['string', 'array'],
      items: TOPIC,
      description: 'Topic filters that are read: one or several; `$share/<group>/<filter>` shares them among gateways',
    },
    username: { type: 'string', description: 'User on the broker' },
    password: { type: 'string', description: 'Its password' },
    client_id: {
      type: 'string',
      minLength: 1,
      description: 'Name of the session on the broker. Default: one that is made once and kept',
    },
    qos: { type: 'integer', minimum: 0, maximum: 1, default: 1, description: 'Quality of service asked for; with 0 nothing is promised' },
    protocol_version: {
      enum: [4, 5],
      type: 'integer',
      default: 5,
      description: '5, falling back to 3.1.1 where the broker refuses it; 4: 3.1.1',
    },
    receive_maximum: { type: 'integer', minimum: 1, maximum: 1_000, default: 500, description: 'Messages under way at once (MQTT 5)' },
    max_bytes: { type: 'integer', minimum: 1, maximum: 268_435_455, default: 1_048_576, description: 'Largest message handled' },
    reply_topic: {
      ...TOPIC,
      description: 'Topic for replies to messages without a response topic. Default: such replies stay in the gateway',
    },
    reply_allow: {
      type: 'array',
      items: TOPIC,
      default: [],
      description: 'Response topics that a message may name; `*` stands for any characters. Default: none but `reply_topic`',
    },
    dead_topic: {
      ...TOPIC,
      description: 'Topic for messages that can never be handled. Default: they become dead letters of the gateway alone',
    },
    batch: {
      type: 'object',
      properties: {
        size: { type: 'integer', minimum: 2, maximum: 1_000, description: 'Messages in one envelope at most' },
        wait: { type: 'integer', minimum: 1, maximum: 60_000, default: 1_000, description: 'Milliseconds after which fewer will do' },
      },
      required: ['size'],
      additionalProperties: false,
      description: 'Several messages of one conversation become one envelope, whose payload is a list',
    },
  },
  additionalProperties: false,
}

export function readSettings(given: JsonObject): Settings {
  const replyTopic = text(given['reply_topic'])
  const allowed = Array.isArray(given['reply_allow']) ? given['reply_allow'].filter((pattern) => typeof pattern === 'string') : []
  const isAllowed = matchesAny(allowed)
  const batch = given['batch']
  return {
    url: text(given['url']) ?? '',
    topics: typeof given['topic'] === 'string' ? [given['topic']] : texts(given['topic']),
    username: text(given['username']) ?? undefined,
    password: text(given['password']) ?? undefined,
    clientId: text(given['client_id']),
    qos: given['qos'] === 0 ? 0 : 1,
    version: given['protocol_version'] === 4 ? 4 : 5,
    receiveMaximum: whole(given['receive_maximum'], 500),
    maxBytes: whole(given['max_bytes'], 1_048_576),
    replyTopic,
    mayReplyTo: (topic) => !/[+#\0]/.test(topic) && (topic === replyTopic || isAllowed(topic)),
    deadTopic: text(given['dead_topic']),
    batch: isJsonObject(batch) ? { size: whole(batch['size'], 50), waitMs: whole(batch['wait'], 1_000) } : null,
  }
}

const text = (value: JsonValue | undefined): string | null => (typeof value === 'string' && value !== '' ? value : null)
const texts = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
const whole = (value: JsonValue | undefined, fallback: number): number => (typeof value === 'number' ? value : fallback)
