/**
 * What a message of the queue becomes: who said it, in which conversation, under which key, and where its reply goes. Properties that the
 * broker vouches for win over headers, which anybody can write.
 */
import { hash } from 'node:crypto'
import type { ConsumeMessage } from 'amqplib'
import { isTraceparent, readContent, readName } from '#contract'
import type { Address, Inbound, Metadata } from '#contract'
import type { Settings } from './settings.ts'

/** On everything we send: the part's id, and whose it is. */
export const DELIVERY_HEADER = 'x-openclaw-delivery'
export const ORIGIN_HEADER = 'x-openclaw-origin'

export interface Around {
  readonly settings: Settings
  /** Of this gateway's own sends. */
  readonly origin: string
  readonly now: number
}

export function inboundOf(message: ConsumeMessage, { settings, origin, now }: Around): Inbound {
  const { queue, maxBytes } = settings
  const { fields, properties, content: bytes } = message
  const contentType = text(properties.contentType)
  const { payload, publish, flaw } = readContent({ bytes, contentType, contentEncoding: text(properties.contentEncoding), maxBytes })
  const headers = headersOf(message, publish?.metadata.headers)
  const metadata = metadataOf(publish?.metadata ?? {}, headers, fields.routingKey)
  const user = publish?.sender ?? metadata.user_id ?? named(properties.userId)
  const conversation = metadata.session_id ?? named(headers['x-lane']) ?? user ?? `topic:${metadata.topic ?? ''}`
  const id = publish?.key ?? text(properties.messageId)
  // One queue may serve several applications that count from one.
  const namespace = [queue, text(properties.userId) ?? '', text(properties.appId) ?? '']
  return {
    key: id === null ? null : [...namespace, id].map(encodeURIComponent).join(':'),
    fingerprint: id === null ? null : hash('sha256', bytes, 'base64url'),
    lane: conversation,
    account: queue,
    peer: { kind: 'direct', id: conversation, thread: null },
    sender: user ?? named(properties.appId) ?? queue,
    author: headers[ORIGIN_HEADER] === origin ? 'self' : headers[DELIVERY_HEADER] === undefined ? 'person' : 'bot',
    ...(flaw === null ? {} : { dead: flaw }),
    at: publish?.at ?? timeOf(properties.timestamp) ?? now,
    payload,
    metadata,
    agent: null,
    reply: addressOf(message, now),
  }
}

/** An empty chat: the message names no queue for its reply. */
function addressOf({ properties }: ConsumeMessage, now: number): Address {
  // As JMS has it: without a correlation id of its own a reply carries the request's id.
  const correlation = text(properties.correlationId) ?? text(properties.messageId)
  const livesMs = Number(text(properties.expiration) ?? Number.NaN)
  return {
    chat: text(properties.replyTo) ?? '',
    ...(correlation === null ? {} : { correlation }),
    ...(Number.isFinite(livesMs) && livesMs >= 0 ? { expiresAt: now + livesMs } : {}),
  }
}

type Headers = { readonly [name: string]: string }

function metadataOf(said: Metadata, headers: Headers, routingKey: string): Metadata {
  const session = said.session_id ?? named(headers['x-session-id']) ?? named(headers['session_id'])
  const user = said.user_id ?? named(headers['x-user-id']) ?? named(headers['user_id'])
  const label = said.channel_id ?? named(headers['x-channel-id'])
  const topic = said.topic ?? named(routingKey)
  const traceparent = said.traceparent ?? headers['traceparent']
  return {
    ...said,
    ...(session === undefined ? {} : { session_id: session }),
    ...(user === undefined ? {} : { user_id: user }),
    ...(label === undefined ? {} : { channel_id: label }),
    ...(topic === undefined ? {} : { topic }),
    ...(traceparent !== undefined && isTraceparent(traceparent) ? { traceparent } : {}),
    headers,
  }
}

/** What the message says beside its body, names in lower case. Properties win over what the body says, and that over the table of headers, which anybody can write. */
function headersOf({ fields, properties }: ConsumeMessage, said: Headers | undefined): Headers {
  const headers: { [name: string]: string } = {}
  const table: { readonly [name: string]: unknown } = properties.headers ?? {}
  for (const name of Object.keys(table)) {
    const [key, value] = [name.toLowerCase(), table[name]]
    // What is no text, as `x-death` is, in JSON.
    if (!FORBIDDEN.has(key)) headers[key] = typeof value === 'string' ? value : inJson(value)
  }
  if (said !== undefined) Object.assign(headers, said)
  for (const [name, property] of PROPERTIES) {
    const value: unknown = properties[property]
    if (isWord(value) && value !== '') headers[name] = String(value)
  }
  if (fields.exchange !== '') headers['exchange'] = fields.exchange
  if (fields.redelivered) headers['redelivered'] = 'true'
  return headers
}

/** What the protocol says beside the headers (AMQP 0-9-1 §4.2.6.1), under the names of its own. */
const PROPERTIES = [
  ['content-type', 'contentType'],
  ['message-id', 'messageId'],
  ['correlation-id', 'correlationId'],
  ['reply-to', 'replyTo'],
  ['type', 'type'],
  ['user-id', 'userId'],
  ['app-id', 'appId'],
  ['priority', 'priority'],
  ['expiration', 'expiration'],
] as const

const isWord = (value: unknown): value is string | number => typeof value === 'string' || typeof value === 'number'
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** Seconds by the protocol; some send milliseconds. */
function timeOf(value: unknown): number | null {
  const stated = Number(value ?? Number.NaN)
  if (!Number.isSafeInteger(stated) || stated <= 0) return null
  const ms = stated > LAST_SECOND ? stated : stated * 1_000
  return ms <= LAST_DATE ? ms : null
}

/** In the year 5138; as milliseconds it was in 1973. */
const LAST_SECOND = 100_000_000_000
/** The last instant that a Date can hold. */
const LAST_DATE = 8.64e15

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
const named = (value: unknown): string | undefined => (typeof value === 'string' ? (readName(value, '#', []) ?? undefined) : undefined)

/** Bytes among the values are shown as text, as most clients mean them. */
const inJson = (value: unknown): string =>
  JSON.stringify(value, (_name, member: unknown) => (isBytes(member) ? Buffer.from(member.data).toString() : member)) ?? ''

const isBytes = (value: unknown): value is { readonly data: readonly number[] } =>
  typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value && Array.isArray(value.data)
