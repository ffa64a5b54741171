/**
 * The frames of `openclaw.v1`: JSON objects told apart by `type`. What a client sends is read strictly, because a misspelt
 * member that is passed over would send a message to the wrong conversation.
 */
import {
  InvalidError,
  describeError,
  isJsonObject,
  nearest,
  OpenClawError,
  readMetadata,
  readName,
  readPayload,
  UnavailableError,
  unknownMember,
} from '#contract'
import type { Fault, JsonObject, JsonValue, MessageId, MessageStatus, Metadata, Payload } from '#contract'

export type ClientFrame =
  | { readonly type: 'auth'; readonly token: string }
  | MessageFrame
  /** `since` null: only what comes from now on. */
  | { readonly type: 'subscribe'; readonly conversation: string; readonly since: number | null }
  | { readonly type: 'ping' }

export interface MessageFrame {
  readonly type: 'message'
  /** The client's own, the same when it sends the message again. */
  readonly id: string
  readonly conversation: string
  readonly payload: Payload
  /** With `agent_id`, wherever it stood. */
  readonly metadata: Metadata
}

export type ServerFrame =
  | { readonly type: 'ready'; readonly principal: string; readonly ping_ms: number }
  | { readonly type: 'pong' }
  | {
      readonly type: 'ack'
      readonly id: string
      readonly message_id: MessageId
      readonly conversation: string
      readonly status: 'queued'
      readonly duplicate: boolean
    }
  | { readonly type: 'subscribed'; readonly conversation: string; readonly last_seq: number }
  | ErrorFrame
  | {
      readonly type: 'status'
      readonly message_id: MessageId
      readonly conversation: string
      readonly status: MessageStatus
      readonly reason: string | null
    }
  | { readonly type: 'delta'; readonly message_id: MessageId; readonly conversation: string; readonly text: string | null }
  /** A skill tells how far it is; for show. */
  | {
      readonly type: 'skill.progress'
      readonly message_id: MessageId
      readonly conversation: string
      readonly skill: string
      readonly call: string
      readonly progress: JsonValue
    }
  | {
      readonly type: 'reply'
      readonly seq: number
      readonly message_id: MessageId
      readonly conversation: string
      readonly index: number
      readonly of: number
      readonly text: string
    }

export interface ErrorFrame {
  readonly type: 'error'
  /** Of the message it is about. */
  readonly id: string | null
  readonly code: string
  readonly detail: string
  readonly retryable: boolean
  readonly retry_after_ms?: number
}

export type ReadValue =
  | { readonly is: 'frame'; readonly frame: ClientFrame }
  /** It is one, but it says something wrong. */
  | { readonly is: 'faulty'; readonly id: string | null; readonly error: InvalidError }
/** garbage: it is none. */
export type ReadFrame = ReadValue | { readonly is: 'garbage' }

export function readFrame(text: string): ReadFrame {
  const value = parse(text)
  return isJsonObject(value) ? readValue(value) : { is: 'garbage' }
}

export function readValue(value: JsonObject): ReadValue {
  const faults: Fault[] = []
  const frame = readTyped(value, faults)
  if (frame !== null && faults.length === 0) return { is: 'frame', frame }
  const id = typeof value['id'] === 'string' && value['id'].length <= MAX_ID_CHARS ? value['id'] : null
  const detail = faults.map((fault) => `${fault.pointer}: ${fault.detail}`).join(' ')
  return { is: 'faulty', id, error: new InvalidError(detail, { code: 'SCHEMA_VIOLATION', faults }) }
}

export function errorFrame(id: string | null, error: unknown): ErrorFrame {
  const { code, message } = describeError(error)
  // What is not ours may hold anything.
  const detail = error instanceof OpenClawError ? message : 'Something went wrong here. Try again.'
  const retryable = error instanceof OpenClawError ? error.retryable : true
  const retry = error instanceof UnavailableError ? { retry_after_ms: error.retryAfterMs } : {}
  return { type: 'error', id, code, detail, retryable, ...retry }
}

/** Messages count as requests do, and are refused as those are: not taken in, to be said again later. null: it is taken. */
export function tooMuchOf(frame: ClientFrame, waitOf: () => number | null): ErrorFrame | null {
  const seconds = frame.type === 'message' ? waitOf() : null
  if (seconds === null || frame.type !== 'message') return null
  const error = new UnavailableError('Too many messages with one credential. Send this one again later.', {
    code: 'RATE_LIMITED',
    retryAfterMs: seconds * 1_000,
  })
  return errorFrame(frame.id, error)
}

const MAX_ID_CHARS = 128
const MEMBERS: { readonly [type: string]: ReadonlySet<string> } = {
  auth: new Set(['type', 'token']),
  message: new Set(['type', 'id', 'conversation', 'payload', 'metadata', 'agent']),
  subscribe: new Set(['type', 'conversation', 'since']),
  ping: new Set(['type']),
}

function parse(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

function readTyped(value: JsonObject, faults: Fault[]): ClientFrame | null {
  const type = value['type']
  const known = typeof type === 'string' && Object.hasOwn(MEMBERS, type) ? MEMBERS[type] : undefined
  if (known === undefined) {
    const meant = typeof type === 'string' ? nearest(type, Object.keys(MEMBERS)) : null
    faults.push({
      pointer: '#/type',
      detail: `Must be one of ${Object.keys(MEMBERS).join(', ')}.${meant === null ? '' : ` Did you mean "${meant}"?`}`,
    })
    return null
  }
  for (const name in value) if (!known.has(name)) faults.push(unknownMember(name, '#', known))
  if (type === 'ping') return { type }
  if (type === 'auth') return readAuth(value, faults)
  const conversation = readName(value['conversation'] ?? 'main', '#/conversation', faults, MAX_ID_CHARS) ?? ''
  return type === 'subscribe'
    ? { type, conversation, since: readSince(value['since'] ?? null, faults) }
    : readMessage(value, conversation, faults)
}

function readAuth({ token }: JsonObject, faults: Fault[]): ClientFrame | null {
  if (typeof token === 'string') return { type: 'auth', token }
  faults.push({ pointer: '#/token', detail: 'Must be text.' })
  return null
}

function readSince(since: JsonValue, faults: Fault[]): number | null {
  if (since === null || (typeof since === 'number' && Number.isSafeInteger(since) && since >= 0)) return since
  faults.push({ pointer: '#/since', detail: 'Must be the highest "seq" that you have, or 0.' })
  return null
}

function readMessage(value: JsonObject, conversation: string, faults: Fault[]): MessageFrame | null {
  const id = readName(value['id'], '#/id', faults, MAX_ID_CHARS)
  const payload = readPayload(value['payload'], '#/payload', faults)
  const metadata = readMetadata(value['metadata'] ?? undefined, '#/metadata', faults)
  const asked = value['agent'] ?? undefined
  const agent = asked === undefined ? null : readName(asked, '#/agent', faults)
  if (id === null || payload === null) return null
  return { type: 'message', id, conversation, payload, metadata: agent === null ? metadata : { ...metadata, agent_id: agent } }
}
