/**
 * The envelope: a message in canonical form, the same JSON over HTTP, WebSocket and brokers, in the database and in
 * the API. Member names are those of the wire (snake_case), so that no layer translates.
 */
import type { MessageId, SessionKey } from './ids.ts'

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [member: string]: JsonValue }
export type JsonObject = { readonly [member: string]: JsonValue }

/** What was said. Exactly one of the three members tells the kind. */
export type Payload =
  | { readonly text: string }
  | { readonly json: JsonValue }
  /** `binary` is base64 (RFC 4648 §4), `media_type` as in RFC 9110 §8.3.1. */
  | { readonly binary: string; readonly media_type: string }

/**
 * What is known about a message beside its words. Free members are kept as they came; those named here have a meaning:
 * `channel_id` (label the sender gave), `user_id`, `session_id`, `agent_id` (agent asked for), `topic`,
 * `headers` (lower-case names), `traceparent` (W3C Trace Context), `media` (what came with it), `event` and `of` (it is news
 * of an earlier message, whose dedupe key that is).
 */
export interface Metadata {
  readonly channel_id?: string
  readonly user_id?: string
  readonly session_id?: string
  readonly agent_id?: string
  readonly topic?: string
  readonly headers?: { readonly [name: string]: string }
  readonly traceparent?: string
  readonly media?: readonly MediaRef[]
  readonly event?: 'edit' | 'delete' | 'reaction'
  readonly of?: string
  readonly [member: string]: JsonValue | undefined
}

/** Something that came with a message and stays where it is until somebody asks for it. */
export type MediaRef = {
  /** What the channel fetches it by. */
  readonly id: string
  /** As the platform says (RFC 9110 §8.3.1). */
  readonly media_type: string
  readonly bytes?: number
  readonly name?: string
}

export interface Envelope {
  readonly version: 1
  readonly id: MessageId
  /** Name of the configured account that it came in by. */
  readonly channel: string
  /** Who said it, in the channel's own terms. */
  readonly sender_id: string
  /** When it was said, epoch milliseconds, by the channel's clock. */
  readonly timestamp: number
  readonly payload: Payload
  readonly metadata: Metadata
  /** The session it was routed to; null while it is not routed. */
  readonly session: SessionKey | null
}

/** The words of a payload as a model reads them: text as it is, JSON serialised, binary named by type and size. */
export function payloadText(payload: Payload): string {
  if ('text' in payload) return payload.text
  if ('json' in payload) return JSON.stringify(payload.json)
  return `[${payload.media_type}, ${Math.floor((payload.binary.length * 3) / 4)} bytes]`
}

/** What a model reads of a message: its words, and a line for each thing that came with it, counted from 0 as the API counts. */
export function envelopeText({ payload, metadata }: Pick<Envelope, 'payload' | 'metadata'>): string {
  // Free members are kept as they came, so this may be anything.
  const media: unknown = metadata.media
  if (!Array.isArray(media)) return payloadText(payload)
  const lines = media.map((given: unknown, index) => {
    const ref = isJsonObject(given) ? given : {}
    const size = typeof ref['bytes'] === 'number' ? `, ${ref['bytes']} bytes` : ''
    return `[attachment ${index}: ${typeof ref['name'] === 'string' ? `${ref['name']}, ` : ''}${typeof ref['media_type'] === 'string' ? ref['media_type'] : 'unknown'}${size}]`
  })
  return [payloadText(payload), ...lines].filter((line) => line !== '').join('\n')
}

/** A text as it is; whatever else, nothing. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

export const isJsonObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value)
