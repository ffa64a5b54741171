/**
 * What a record becomes as a message, and what it cannot become. Pure; when to hand it in and what to do with the rest is `intake.ts`.
 */
import { createHash } from 'node:crypto'
import { InvalidError, fingerprint, isJsonObject, isTraceparent, parsePublish, readName, readPayload } from '#contract'
import type { Address, Failure, Fault, Inbound, JsonValue, Metadata, Payload, Publish } from '#contract'
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
  const said = readValue(record)
  if ('unfit' in said) return said
  const headers = textHeaders(record)
  const { payload, metadata, sender, at, key: idOfBody } = said.publish
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

type Value = { readonly publish: Publish } | { readonly unfit: Failure }

function readValue(record: KafkaRecord): Value {
  const { value } = record
  if (value === null || value.length === 0) return unfit('KAFKA_RECORD_EMPTY', 'The record has no value, so there is nothing to answer.')
  if (value.length > MAX_BYTES) return unfit('KAFKA_RECORD_TOO_LARGE', `The record has ${value.length} bytes; ${MAX_BYTES} are taken.`)
  const declared = textHeaders(record)['content-type'] ?? ''
  const text = utf8(value)
  if (text === null || IS_BINARY.test(declared)) {
    const mediaType = MEDIA_TYPE.test(declared) ? declared : 'application/octet-stream'
    return published({ binary: value.toString('base64'), media_type: mediaType })
  }
  if (declared.startsWith('text/')) return published({ text })
  const isJson = /\bjson\b/.test(declared)
  if (!isJson && !/^\s*[[{]/.test(text)) return published({ text })
  return readJson(text, isJson)
}

function readJson(text: string, isDeclared: boolean): Value {
  let json: JsonValue
  try {
    json = JSON.parse(text) as JsonValue
  } catch {
    return isDeclared ? unfit('KAFKA_RECORD_UNREADABLE', 'The record says that it is JSON, and is not.') : published({ text })
  }
  if (typeof json !== 'object' || json === null) return published(typeof json === 'string' && json !== '' ? { text: json } : { json })
  const publish = isJsonObject(json) ? publishOf(json) : null
  if (publish !== null) return { publish }
  const faults: Fault[] = []
  const payload = readPayload(json, '#', faults)
  if (payload !== null && faults.length === 0) return published(payload)
  return unfit('KAFKA_RECORD_UNREADABLE', `The record is JSON that is not taken, at ${faults[0]?.pointer}: ${faults[0]?.detail}`)
}

/** null: not one of our forms, like the bodies of many producers that also have a member called payload. */
function publishOf(json: JsonValue): Publish | null {
  if (!isJsonObject(json) || (json['payload'] === undefined && json['content'] === undefined)) return null
  try {
    return parsePublish(json)
  } catch (error) {
    if (error instanceof InvalidError) return null
    throw error
  }
}

const published = (payload: Payload): Value => ({ publish: { payload, metadata: {}, sender: null, at: null, key: null } })
const unfit = (code: UnfitCode, message: string): { readonly unfit: Failure } => ({ unfit: { code, message } })
type UnfitCode = 'KAFKA_RECORD_EMPTY' | 'KAFKA_RECORD_TOO_LARGE' | 'KAFKA_RECORD_UNREADABLE'

const IS_BINARY = /^(?:image|audio|video)\/|octet-stream|avro|protobuf/
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/

const decoder = new TextDecoder('utf-8', { fatal: true })
function utf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}
