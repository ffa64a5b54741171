/**
 * One request as a message: accepted durably, one turn, whatever becomes of the client. Which conversation it belongs to is decided here, always inside the
 * namespace of the principal who asks.
 */
import {
  CLIENT_TURN,
  ConflictError,
  DeniedError,
  InvalidError,
  asMessageId,
  canonicalDigest,
  isJsonObject,
  isTraceparent,
  namespaceOf,
  newMessageId,
  readIdempotencyKey,
} from '#contract'
import type {
  Accepted,
  ChannelHost,
  ClientTurn,
  HttpRequest,
  JsonObject,
  JsonValue,
  Message,
  MessageId,
  Metadata,
  Principal,
} from '#contract'

export interface Ask {
  readonly agent: string
  readonly user: string | null
  readonly labels: { readonly [name: string]: string }
  /** new: one of its own, for this request and those that say that they come after it. */
  readonly conversation:
    | { readonly is: 'new' }
    | { readonly is: 'named'; readonly name: string }
    | { readonly is: 'after'; readonly response: string }
  /** The client means to go on from here. */
  readonly isKept: boolean
  readonly turn: ClientTurn
  /** Where the client says in what form it wants the answer. */
  readonly formatAt: string
}

export type Stored = Exclude<Accepted, { status: 'conflict' | 'refused' }>

/** Of both: the letters and digits of the message's id. */
export const idAs = (prefix: string, message: string): string => prefix + message.replace(/^msg-/, '')

export async function accept(host: ChannelHost, request: HttpRequest, ask: Ask): Promise<Stored> {
  const { principal, headers, body } = request
  if (principal === null) throw new DeniedError('Say who you are.', { code: 'UNAUTHENTICATED', reason: 'unauthenticated' })
  const now = host.clock.now()
  const namespace = namespaceOf(principal)
  const key = keyOf(headers['idempotency-key'])
  const peer = await peerOf(host, { ask, principal, key, now })
  const accepted = await host.accept({
    key: key === null ? null : `${namespace}:${key}`,
    fingerprint: key === null ? null : canonicalDigest([request.params, headers['x-openclaw-session-key'] ?? null, body ?? null]),
    lane: `${namespace}/${peer}`,
    tenant: principal.tenant,
    account: principal.id,
    peer: { kind: 'direct', id: peer, thread: null, isApart: true },
    sender: ask.user ?? principal.id,
    at: now,
    payload: { text: ask.turn.messages.at(-1)?.text ?? '' },
    metadata: metadataOf(ask, { peer, principal, key, traceparent: headers['traceparent'] }),
    agent: ask.agent,
    reply: { chat: peer },
  })
  if (accepted.status === 'refused') throw new DeniedError('This is not taken in here.', { code: 'MESSAGE_REFUSED', reason: 'forbidden' })
  if (accepted.status !== 'conflict') return accepted
  throw new ConflictError('This Idempotency-Key was used for another request. Use a new key.', { code: 'IDEMPOTENCY_KEY_REUSED' })
}

function metadataOf(
  { user, labels, isKept, turn, conversation }: Ask,
  {
    peer,
    principal,
    key,
    traceparent,
  }: { readonly peer: string; readonly principal: Principal; readonly key: string | null; readonly traceparent: string | undefined },
): Metadata {
  const brought: JsonObject = {
    messages: turn.messages.map(withPlainCalls),
    instructions: turn.instructions,
    tools: turn.tools.map((tool) => ({ ...tool })),
    maxOutputTokens: turn.maxOutputTokens,
    ...(turn.choice !== 'auto' && { choice: turn.choice }),
    ...(turn.format !== null && { format: { ...turn.format } }),
  }
  return {
    session_id: peer,
    ...(user !== null && { user_id: user }),
    ...(Object.keys(labels).length > 0 && { labels }),
    asked_by: ownerOf(principal),
    is_kept: isKept,
    ...(conversation.is === 'after' && { comes_after: conversation.response, asked_under: key }),
    ...(traceparent !== undefined && isTraceparent(traceparent) && { traceparent }),
    [CLIENT_TURN]: brought,
  }
}

function withPlainCalls(message: Message): JsonObject {
  if (message.role !== 'assistant') return { ...message }
  const { role, text, calls = [] } = message
  return { role, text, ...(calls.length > 0 && { calls: calls.map((call) => ({ ...call })) }) }
}

const ownerOf = ({ tenant, id }: Principal): string => `${tenant}/${id}`

interface Asking {
  readonly ask: Ask
  readonly principal: Principal
  readonly key: string | null
  readonly now: number
}

async function peerOf(host: ChannelHost, asking: Asking): Promise<string> {
  const { conversation } = asking.ask
  switch (conversation.is) {
    case 'new':
      return `new:${newMessageId(asking.now)}`
    case 'named':
      return `named:${conversation.name}`
    case 'after':
      return peerAfter(host, conversation.response, asking)
  }
}

/** A session is one line: what comes after a response comes after the newest, or the model would be told another story than the client. */
async function peerAfter(host: ChannelHost, response: string, { principal, key }: Asking): Promise<string> {
  const id = /^resp_([0-9A-Z]{26})$/.exec(response)?.[1]
  const before = id === undefined ? null : await host.document(principal.tenant, asMessageId(`msg-${id}`))
  const metadata = isJsonObject(before?.['metadata']) ? before['metadata'] : {}
  const { session_id: peer, asked_by: owner, is_kept: isKept } = metadata
  if (before === null || typeof peer !== 'string' || owner !== ownerOf(principal) || isKept !== true || before['channel'] !== host.name) {
    throw after('There is no response of this id to go on from.', 'PREVIOUS_RESPONSE_NOT_FOUND')
  }
  const seq = seqOf(before['replies'])
  const [next] = seq === null ? [] : await host.replies(`${namespaceOf(principal)}/${peer}`, seq, 1)
  if (seq !== null && next === undefined) return peer
  // The request that is already answered, asked again: its key will tell.
  const { comes_after: afterwards, asked_under: under } =
    (key === null || next === undefined ? null : await metadataAt(host, principal.tenant, next.messageId)) ?? {}
  if (afterwards === response && under === key) return peer
  throw after('Only the newest response of a conversation, once it has ended, can be gone on from.', 'PREVIOUS_RESPONSE_NOT_LATEST')
}

async function metadataAt(host: ChannelHost, tenant: string, id: MessageId): Promise<JsonObject | null> {
  const metadata = (await host.document(tenant, id))?.['metadata']
  return isJsonObject(metadata) ? metadata : null
}

const after = (detail: string, code: 'PREVIOUS_RESPONSE_NOT_FOUND' | 'PREVIOUS_RESPONSE_NOT_LATEST'): InvalidError =>
  new InvalidError(detail, { code, faults: [{ pointer: '#/previous_response_id', detail }] })

function seqOf(replies: JsonValue | undefined): number | null {
  const last: JsonValue | undefined = Array.isArray(replies) ? replies.at(-1) : undefined
  return isJsonObject(last) && typeof last['seq'] === 'number' ? last['seq'] : null
}

function keyOf(header: string | undefined): string | null {
  if (header === undefined) return null
  const key = readIdempotencyKey(header)
  if (key !== null) return key
  const detail = 'must be 1 to 255 printable ASCII characters'
  throw new InvalidError(`Idempotency-Key ${detail}.`, {
    code: 'INVALID_IDEMPOTENCY_KEY',
    faults: [{ pointer: '#/headers/idempotency-key', detail }],
  })
}
