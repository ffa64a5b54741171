/**
 * What a record becomes as a message, and what it cannot become. Pure; when to hand it in and what to do with the rest is `intake.ts`.
 */
import { createHash } from 'node:crypto'
import { fingerprint, isTraceparent, readContent, readName } from '#contract'
import type { Address, Failure, Inbound, JsonValue, Metadata, Payload, Publish } from '#contract'
import type { KafkaRecord } from './seam.ts'

/** By this header consumers know a repeat of our replies, and we our own words. */
export const DELIVERY_HEADER = 'openclaw-delivery'

/** Of a record, and of what is batched into one message. */
export const MAX_BYTES: number = 1024 * 1024

export interface ReadOptions {
  readonly account: string
  readonly replyTopic: string | null
  readonly mayReplyTo: (topic: string) => boolean
}

export type Reading = { readonly message: Inbound } | { readonly unfit: Failure }

export function readRecord(record: KafkaRecord, options: ReadOptions): Reading {
  const headers = textHeaders(record)
  const bytes = record.value ?? Buffer.alloc(0)
  const content = readContent({ bytes, contentType: headers['content-type'] ?? null, contentEncoding: null, maxBytes: MAX_BYTES })
  if (content.flaw !== null) return { unfit: content.flaw }
  const { payload, metadata, sender, at, key: idOfBody } = content.publish ?? { ...UNSAID, payload: content.payload }
  const named = nameOf(record.key)
  const conversation = named ?? metadata.session_id ?? metadata.user_id ?? `${record.topic}-${record.partition}`
  const id = nameIn(headers['id']) ?? nameIn(headers['idempotency-key']) ?? idOfBody
  return {
    message: {
      key: id === null ? placeOf(record) : `id:${encodeURIComponent(named ?? '')}:${id}`,
      fingerprint: id === null ? null : fingerprint({ payload, metadata, sender, at }),
      lane: conversation,
      account: options.account,
      peer: { kind: 'direct', id: conversation, thread: null },
      sender: sender ?? metadata.user_id ?? named ?? record.topic,
      author: DELIVERY_HEADER in headers ? 'self' : 'person',
      at: at ?? record.timestamp,
      payload,
      metadata: metadataOf(record, metadata, headers),
      agent: null,
      reply: addressOf(headers, options),
    },
  }
}

/** For what has to be kept whole although nobody can make anything of it. */
export function unfitMessage(record: KafkaRecord, account: string, unfit: Failure): Inbound {
  const lane = nameOf(record.key) ?? `${record.topic}-${record.partition}`
  return {
    key: placeOf(record),
    fingerprint: null,
    lane,
    account,
    peer: { kind: 'direct', id: lane, thread: null },
    sender: lane,
    dead: unfit,
    at: record.timestamp,
    payload: { binary: (record.value ?? Buffer.alloc(0)).toString('base64'), media_type: 'application/octet-stream' },
    metadata: metadataOf(record, {}, textHeaders(record)),
    agent: null,
    reply: { chat: '' },
  }
}

/** The value of a record within a batch: JSON as it is, text as text. */
export function batchedValue(payload: Payload): JsonValue {
  if ('json' in payload) return payload.json
  return 'text' in payload ? payload.text : { binary: payload.binary, media_type: payload.media_type }
}

const UNSAID: Omit<Publish, 'payload'> = { metadata: {}, sender: null, at: null, key: null }

/** Offsets begin again in a topic that was deleted and made anew; the time makes the difference. */
export const placeOf = ({ topic, partition, offset, timestamp }: KafkaRecord): string => `at:${topic}-${partition}-${offset}-${timestamp}`

const MAX_KEY_CHARS = 200

/** The key as a name: text as it is, anything else by a digest. null: it has none. */
function nameOf(key: Buffer | null): string | null {
  if (key === null || key.length === 0) return null
  const text = utf8(key)
  if (text !== null && text.length <= MAX_KEY_CHARS && readName(text, '', []) !== null) return text
  return `sha256:${createHash('sha256').update(key).digest('hex')}`
}

const nameIn = (text: string | undefined): string | null => (text === undefined ? null : readName(text, '', []))

function addressOf(headers: TextHeaders, { replyTopic, mayReplyTo }: ReadOptions): Address {
  const asked = headers['reply-topic']
  const chat = asked !== undefined && mayReplyTo(asked) ? asked : (replyTopic ?? '')
  const correlation = headers['correlation-id']
  return { chat, ...(correlation === undefined ? {} : { correlation }) }
}

function metadataOf({ topic, partition, offset }: KafkaRecord, said: Metadata, headers: TextHeaders): Metadata {
  const traceparent = said.traceparent ?? headers['traceparent']
  return {
    ...said,
    topic,
    partition,
    offset,
    headers: { ...headers, ...said.headers },
    ...(traceparent !== undefined && isTraceparent(traceparent) ? { traceparent } : {}),
  }
}

type TextHeaders = { readonly [name: string]: string }
const MAX_HEADERS = 64
const MAX_HEADER_BYTES = 4_096
const NOT_CARRIED = /authorization|cookie|secret|passw|token/

/** Those that are text; of several with one name the last. */
function textHeaders({ headers }: KafkaRecord): TextHeaders {
  const texts: { [name: string]: string } = Object.create(null)
  for (const [name, value] of headers.slice(0, MAX_HEADERS)) {
    const known = name.toLowerCase()
    const text = value.length > MAX_HEADER_BYTES || NOT_CARRIED.test(known) ? null : utf8(value)
    if (text !== null) texts[known] = text
  }
  return texts
}

const decoder = new TextDecoder('utf-8', { fatal: true })
function utf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}
