/** The settings of an account: their schema, and their reading into what the rest of the folder works with. */
import { ChannelFault, isJsonObject, matchesAny } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import type { ClientOptions } from './seam.ts'

export interface KafkaSettings {
  readonly brokers: readonly string[]
  readonly topics: readonly string[]
  readonly group: string
  readonly fromBeginning: boolean
  readonly batchSize: number
  readonly replyTopic: string | null
  /** Whether a record may ask for its answer in this topic. */
  readonly mayReplyTo: (topic: string) => boolean
  readonly deadLetterTopic: (topic: string) => string
  readonly ssl: ClientOptions['ssl']
  readonly sasl: ClientOptions['sasl']
}

/** What Kafka takes as the name of a topic (org.apache.kafka.common.internals.Topic). */
const TOPIC = { type: 'string', pattern: '^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,249}$' } as const

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

export const schema: JsonObject = {
  type: 'object',
  required: ['brokers'],
  properties: {
    brokers: {
      type: 'array',
      minItems: 1,
      items: { type: 'string', pattern: '^(\\[[0-9A-Fa-f:.]+\\]|[^\\s:/@]+):[0-9]{1,5}$' },
      description: 'Addresses to begin with, `host:port`; the others are learnt from them.',
    },
    topic: { ...TOPIC, description: 'What is read. `topic` or `topics` is needed.' },
    topics: { type: 'array', minItems: 1, items: TOPIC, description: 'What is read, several.' },
    group: {
      type: 'string',
      minLength: 1,
      maxLength: 249,
      description: 'The consumer group. Default: `openclaw-` and the name of the account.',
    },
    from_beginning: {
      type: 'boolean',
      default: false,
      description: 'A group that is new begins with the oldest record there is, and not with what comes from now on.',
    },
    batchSize: {
      type: 'integer',
      minimum: 1,
      maximum: 500,
      default: 1,
      description:
        'Up to so many records of the same key, or of the same partition where they have none, become one message, a JSON array.',
    },
    reply_topic: { ...TOPIC, description: 'Where replies go, unless the record names another that `reply_allow` allows.' },
    reply_allow: {
      type: 'array',
      items: { type: 'string', pattern: '^[A-Za-z0-9._*-]{1,249}$' },
      default: [],
      description: 'Topics that the header `reply-topic` of a record may name; `*` stands for any letters.',
    },
    dead_letter_topic: {
      ...TOPIC,
      description: 'Where records go that can never be handled. Default: the name of their topic and `.dlt`.',
    },
    ssl: {
      type: ['boolean', 'object'],
      properties: {
        ca: { type: 'string', description: 'Certificates of the authorities to trust, PEM.' },
        cert: { type: 'string', description: 'Our own certificate, PEM.' },
        private_key: { type: 'string', description: 'Its private key, PEM.' },
      },
      additionalProperties: false,
      default: false,
      description: 'TLS; a mapping where the certificates are not those that Node knows.',
    },
    sasl: {
      type: 'object',
      required: ['mechanism', 'username', 'password'],
      properties: {
        mechanism: { enum: MECHANISMS },
        username: { type: 'string', minLength: 1 },
        password: { type: 'string', minLength: 1 },
      },
      additionalProperties: false,
      description: 'How we sign in. `plain` sends the password as it is, so use it with `ssl` only.',
    },
  },
  additionalProperties: false,
}

/** @throws ChannelFault when nothing is to be read, or a record would go in circles */
export function readSettings(name: string, settings: JsonObject): KafkaSettings {
  const topics = [...new Set([...texts(settings['topics']), ...texts([settings['topic'] ?? null])])]
  const deadLetterTopic = text(settings['dead_letter_topic'])
  if (topics.length === 0) throw mistake(`Channel "${name}" has nothing to read. Set \`channels.${name}.topic\` or \`topics\`.`)
  if (deadLetterTopic !== null && topics.includes(deadLetterTopic))
    throw mistake(
      `Channel "${name}" reads the topic "${deadLetterTopic}", to which it writes what it cannot read. Set \`channels.${name}.dead_letter_topic\` to another.`,
    )
  const { batchSize, from_beginning: fromBeginning } = settings
  const isAllowed = matchesAny(texts(settings['reply_allow']))
  return {
    brokers: texts(settings['brokers']),
    topics,
    group: text(settings['group']) ?? `openclaw-${name}`,
    fromBeginning: fromBeginning === true,
    batchSize: typeof batchSize === 'number' ? batchSize : 1,
    replyTopic: text(settings['reply_topic']),
    mayReplyTo: (topic) => TOPIC_NAME.test(topic) && isAllowed(topic),
    deadLetterTopic: (topic) => deadLetterTopic ?? `${topic}.dlt`,
    ssl: tlsOf(settings['ssl']),
    sasl: saslOf(settings['sasl']),
  }
}

/** What Kafka takes as a name. */
const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/

const mistake = (message: string): ChannelFault => new ChannelFault(message, { code: 'KAFKA_REFUSED', fault: { is: 'config' } })

const text = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null)
const texts = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((item: JsonValue) => typeof item === 'string') : []

function tlsOf(value: JsonValue | undefined): KafkaSettings['ssl'] {
  if (!isJsonObject(value)) return value === true
  const [ca, cert, key] = [text(value['ca']), text(value['cert']), text(value['private_key'])]
  return { ...(ca === null ? {} : { ca }), ...(cert === null ? {} : { cert }), ...(key === null ? {} : { key }) }
}

function saslOf(value: JsonValue | undefined): KafkaSettings['sasl'] {
  if (!isJsonObject(value)) return null
  const [username, password] = [text(value['username']) ?? '', text(value['password']) ?? '']
  const mechanism = MECHANISMS.find((known) => known === value['mechanism']) ?? 'plain'
  return { mechanism, username, password }
}
