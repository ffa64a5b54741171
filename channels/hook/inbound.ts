/**
 * What a signed request becomes as a message. Without a map it is the body, from the channel, in one conversation; a map says where sender,
 * words, conversation, agent and metadata stand. What an event does not have falls back to that: nothing signed is ever thrown away.
 */
import { hash } from 'node:crypto'
import { isTraceparent, readMetadata, readName, readPayload } from '#contract'
import type { Failure, HttpRequest, Inbound, JsonValue, Metadata, Payload } from '#contract'
import { readJson } from './scheme.ts'
import type { Claim } from './scheme.ts'
import type { FieldMap, Settings } from './settings.ts'
import { textAt, valueAt } from './template.ts'
import type { Source } from './template.ts'

export interface Proven extends Pick<HttpRequest, 'headers' | 'raw'> {
  /** Name of the hook. */
  readonly channel: string
  readonly claim: Claim
  readonly now: number
}

export function inboundOf({ channel, headers, raw, claim, now }: Proven, { map, scheme }: Settings): Inbound {
  const source: Source = { body: readJson(raw), headers }
  const said = map.sender === null ? null : name(textAt(map.sender, source))
  const sender = said ?? channel
  const lane = (map.lane === null ? null : name(textAt(map.lane, source))) ?? sender
  const { payload, dead } = payloadOf(map, source, raw)
  return {
    key: claim.key(source.body),
    // The same event may be written anew at each attempt, with another time in it.
    fingerprint: null,
    lane,
    account: channel,
    peer: { kind: 'direct', id: lane, thread: null },
    sender,
    ...(dead === null ? {} : { dead }),
    at: claim.at === null ? now : claim.at * 1_000,
    payload,
    metadata: { ...(said === null ? {} : { user_id: said }), ...mapped(map, source), ...carried(headers, scheme.carries) },
    agent: map.agent === null ? null : name(textAt(map.agent, source)),
    reply: { chat: lane },
  }
}

function payloadOf(
  { text, json }: FieldMap,
  source: Source,
  raw: Uint8Array,
): { readonly payload: Payload; readonly dead: Failure | null } {
  const words = text === null ? null : textAt(text, source)
  if (words !== null && words !== '') return { payload: { text: words }, dead: null }
  const part = json === null ? undefined : valueAt(json, source)
  if (part !== undefined) return { payload: { json: part }, dead: null }
  return whole(source.body, raw)
}

function whole(body: JsonValue | undefined, raw: Uint8Array): { readonly payload: Payload; readonly dead: Failure | null } {
  if (raw.byteLength === 0) return { payload: { text: '' }, dead: { code: 'MESSAGE_EMPTY', message: 'The message has no body.' } }
  const read = typeof body === 'object' && body !== null ? readPayload({ json: body }, '#', []) : null
  if (read !== null) return { payload: read, dead: null }
  try {
    // Also JSON of more members than the hub takes in one piece: as words it does no harm.
    return { payload: { text: new TextDecoder('utf-8', { fatal: true }).decode(raw) }, dead: null }
  } catch {
    return { payload: { binary: Buffer.from(raw).toString('base64'), media_type: 'application/octet-stream' }, dead: null }
  }
}

/** Too long a name is still a name: two of them must not become one conversation. */
function name(text: string | null): string | null {
  if (text === null || text === '') return null
  return readName(text, '#', []) ?? `sha256:${hash('sha256', text, 'base64url')}`
}

function mapped({ metadata }: FieldMap, source: Source): Metadata {
  const found = metadata.flatMap(([key, from]) => {
    const value = valueAt(from, source)
    if (value === undefined) return []
    const faults: { pointer: string; detail: string }[] = []
    readMetadata({ [key]: value }, '#', faults)
    return faults.length === 0 ? [[key, value] as const] : []
  })
  return Object.fromEntries(found)
}

const MAX_CARRIED_CHARS = 1_024

function carried(headers: HttpRequest['headers'], names: readonly string[]): Metadata {
  const kept = names.flatMap((each) => {
    const value = headers[each]
    return value === undefined || value.length > MAX_CARRIED_CHARS ? [] : [[each, value] as const]
  })
  const { traceparent } = headers
  return {
    ...(kept.length === 0 ? {} : { headers: Object.fromEntries(kept) }),
    ...(traceparent !== undefined && isTraceparent(traceparent) ? { traceparent } : {}),
  }
}
