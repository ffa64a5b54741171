/**
 * The forms in which a message may be handed in, the same over HTTP, WebSocket and brokers, and their one reading:
 *   {"channel_id","payload","metadata"} · {"topic","payload","idempotency_key"} · {"channel","content"} · a whole envelope.
 * What the transport adds (headers, who is asking) and what it makes of it is left to the channel.
 */
import { canonicalDigest } from './canonical.ts'
import { isJsonObject } from './envelope.ts'
import type { JsonObject, JsonValue, Metadata, Payload } from './envelope.ts'
import { InvalidError } from './errors.ts'
import type { Fault } from './errors.ts'
import { nearest } from './nearest.ts'
import { pointerToken, readMetadata, readName, readPayload } from './payload.ts'

export interface Publish {
  readonly payload: Payload
  /** With `channel_id`, `topic`, `agent_id` and `session_id`, wherever in the body they stood. */
  readonly metadata: Metadata
  /** Who the body says that said it. */
  readonly sender: string | null
  /** Epoch milliseconds, of a whole envelope. */
  readonly at: number | null
  /** `idempotency_key`, or else the id of a whole envelope. */
  readonly key: string | null
}

/** @throws InvalidError with every fault and its pointer */
export function parsePublish(body: JsonValue | undefined): Publish {
  if (!isJsonObject(body)) throw refusal([{ pointer: '#', detail: 'The body must be a JSON object with a payload.' }])
  const faults: Fault[] = []
  for (const name in body) if (!MEMBERS.has(name)) faults.push(unknownMember(name, '#', MEMBERS))
  refuseBoth(body, 'payload', 'content', faults)
  refuseBoth(body, 'channel_id', 'channel', faults)
  const payload =
    body['payload'] === undefined && body['content'] !== undefined
      ? readPayload(body['content'], '#/content', faults)
      : readPayload(body['payload'], '#/payload', faults)

  const metadata = readMetadata(body['metadata'] ?? undefined, '#/metadata', faults)
  // null is how many clients write "none".
  const name = (member: string): string | undefined => {
    const value = body[member] ?? undefined
    return value === undefined ? undefined : (readName(value, `#/${member}`, faults) ?? undefined)
  }
  const [label, alias, id, session] = [name('channel_id'), name('channel'), name('id'), name('session')]
  const publish = {
    metadata: withNames(metadata, {
      channel_id: label ?? metadata.channel_id ?? alias,
      topic: name('topic') ?? metadata.topic,
      agent_id: name('agent_id') ?? metadata.agent_id,
      session_id: metadata.session_id ?? session,
    }),
    sender: name('sender_id') ?? null,
    at: readTime(body['timestamp'] ?? null, faults),
    key: name('idempotency_key') ?? id ?? null,
  }
  if (body['version'] !== undefined && body['version'] !== 1) {
    faults.push({ pointer: '#/version', detail: 'Only envelopes of version 1 are known.' })
  }
  if (payload === null || faults.length > 0) throw refusal(faults)
  return { payload, ...publish }
}

/** What was said, without the key it was said under: the same key with another fingerprint is a mistake of the caller. */
export const fingerprint = (said: Omit<Publish, 'key'>): string =>
  canonicalDigest({ payload: said.payload, metadata: said.metadata, sender: said.sender, at: said.at })

export function unknownMember(name: string, parent: string, known: Iterable<string>): Fault {
  const meant = nearest(name, known)
  return {
    pointer: `${parent}/${pointerToken(name)}`,
    detail: `"${name.slice(0, 64)}" is not known here.${meant === null ? '' : ` Did you mean "${meant}"?`}`,
  }
}

const MEMBERS: ReadonlySet<string> = new Set([
  'payload',
  'content',
  'metadata',
  'channel_id',
  'channel',
  'topic',
  'agent_id',
  'sender_id',
  'idempotency_key',
  'version',
  'id',
  'timestamp',
  'session',
])

/** The last instant that a Date can hold. */
const LAST_DATE = 8.64e15

function refuseBoth(body: JsonObject, name: string, alias: string, faults: Fault[]): void {
  if (body[name] === undefined || body[alias] === undefined) return
  faults.push({ pointer: `#/${alias}`, detail: `Another name of "${name}", which is there too. Send one of them.` })
}

type Named = { readonly [name in 'channel_id' | 'topic' | 'agent_id' | 'session_id']: string | undefined }

function withNames(metadata: Metadata, named: Named): Metadata {
  let whole: { -readonly [member in keyof Metadata]: Metadata[member] } | null = null
  for (const [name, value] of Object.entries(named)) {
    if (value === undefined || metadata[name] === value) continue
    whole ??= { ...metadata }
    whole[name] = value
  }
  return whole ?? metadata
}

function readTime(value: JsonValue, faults: Fault[]): number | null {
  if (value === null) return null
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LAST_DATE) return value
  faults.push({ pointer: '#/timestamp', detail: 'Must be epoch milliseconds.' })
  return null
}

function refusal(faults: readonly Fault[]): InvalidError {
  const [first] = faults
  const rest = faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''
  return new InvalidError(`The message was refused at ${first?.pointer}: ${first?.detail}${rest}`, { code: 'SCHEMA_VIOLATION', faults })
}
