/**
 * What a PUBLISH becomes: who said it, in which conversation, and where its reply goes. User properties are what senders can say beside
 * the payload (MQTT 5 §3.3.2.3.7); a 3.1.1 sender has only topic and payload.
 */
import { hash } from 'node:crypto'
import type { IPublishPacket } from 'mqtt'
import { isTraceparent, readContent, readName } from '#contract'
import type { Inbound, JsonValue, Metadata } from '#contract'
import type { Settings } from './settings.ts'

/** On everything we send: the part's id, and whose it is. */
export const DELIVERY = 'openclaw-delivery'
export const ORIGIN = 'openclaw-origin'

export interface Around {
  readonly settings: Settings
  /** Of this gateway's own sends. */
  readonly origin: string
  readonly now: number
}

export const bytesOf = ({ payload }: IPublishPacket): Buffer => (typeof payload === 'string' ? Buffer.from(payload) : payload)

/** What tells one message from another, whatever session it comes by. No topic has the character between them (MQTT 5 §4.7.3). */
export const digestOf = (packet: IPublishPacket): string =>
  hash('sha256', Buffer.concat([Buffer.from(`${packet.topic}\0`), bytesOf(packet)]), 'base64url')

export function inboundOf(packet: IPublishPacket, { settings, origin, now }: Around): Inbound {
  const { properties, topic } = packet
  const content = readContent({
    bytes: bytesOf(packet),
    contentType: properties?.contentType ?? null,
    contentEncoding: null,
    maxBytes: settings.maxBytes,
  })
  const headers = { ...headersOf(properties?.userProperties), ...content.publish?.metadata.headers }
  const metadata = metadataOf(content.publish?.metadata ?? {}, headers, packet)
  const user = content.publish?.sender ?? metadata.user_id ?? named(headers['sender'])
  const conversation = metadata.session_id ?? named(headers['lane']) ?? user ?? `topic:${topic}`
  const correlation = properties?.correlationData?.toString('base64')
  const id = content.publish?.key ?? named(headers['id']) ?? (correlation === undefined ? null : `correlation:${correlation}`)
  const expiry = properties?.messageExpiryInterval
  return {
    key: id === null ? null : `${encodeURIComponent(topic)}:${id}`,
    fingerprint: id === null ? null : digestOf(packet),
    lane: conversation,
    account: settings.username ?? 'mqtt',
    peer: { kind: 'direct', id: conversation, thread: null },
    sender: user ?? `topic:${topic}`,
    author: headers[ORIGIN] === origin ? 'self' : headers[DELIVERY] === undefined ? 'person' : 'bot',
    ...(content.flaw === null ? {} : { dead: content.flaw }),
    at: content.publish?.at ?? now,
    payload: content.payload,
    metadata,
    agent: null,
    reply: {
      // Empty: the message names no topic for its reply.
      chat: properties?.responseTopic ?? '',
      ...(correlation === undefined ? {} : { correlation }),
      ...(expiry === undefined ? {} : { expiresAt: now + expiry * 1_000 }),
    },
  }
}

/** Several of one conversation as one; the newest says where the reply goes. */
export function batched(all: readonly Inbound[]): Inbound | undefined {
  const last = all.at(-1)
  if (last === undefined || all.length === 1) return last
  const messages: readonly JsonValue[] = all.map(({ payload, metadata, at }) => ({
    payload: { ...payload },
    topic: metadata['mqtt_topic'] ?? '',
    timestamp: at,
  }))
  return { ...last, key: null, fingerprint: null, payload: { json: { messages } } }
}

function metadataOf(said: Metadata, headers: { readonly [name: string]: string }, { topic, retain, properties }: IPublishPacket): Metadata {
  const user = said.user_id ?? named(headers['user_id']) ?? named(headers['x-user-id'])
  const session = said.session_id ?? named(headers['session_id'])
  // The levels of a topic are the words of a route's pattern.
  const words = named(topic.replaceAll('/', '.'))
  const traceparent = said.traceparent ?? headers['traceparent']
  return {
    ...said,
    ...(user === undefined ? {} : { user_id: user }),
    ...(session === undefined ? {} : { session_id: session }),
    ...(said.topic === undefined && words !== undefined ? { topic: words } : {}),
    ...(traceparent !== undefined && isTraceparent(traceparent) ? { traceparent } : {}),
    headers: { ...headers, ...(properties?.contentType === undefined ? {} : { 'content-type': properties.contentType }) },
    mqtt_topic: topic,
    ...(retain ? { retained: true } : {}),
  }
}

function headersOf(given: { readonly [name: string]: string | readonly string[] } | undefined): { readonly [name: string]: string } {
  const headers: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(given ?? {})) {
    const lower = name.toLowerCase()
    if (FORBIDDEN.has(lower)) continue
    headers[lower] = typeof value === 'string' ? value : value.join(', ')
  }
  return headers
}

const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const named = (value: unknown): string | undefined => (typeof value === 'string' ? (readName(value, '#', []) ?? undefined) : undefined)
