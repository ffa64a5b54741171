/** T0: a message becomes durable, once by its key. Reading messages is in message.ts. */
import type { Acceptance, AcceptanceResult, Envelope, MessageId } from '#contract'
import { toText, writeState } from './access.ts'
import type { TextChanges } from './access.ts'
import { emit } from './events.ts'
import { insertLetter } from './letter-row.ts'
import { beginSession, findSession } from './session-row.ts'
import type { Sql } from './sql.ts'

/** As it travels between the threads: envelope and reply go beside it, as the texts that are stored; bytes are base64. */
export interface AcceptanceRow extends Omit<Acceptance, 'envelope' | 'reply' | 'state'> {
  readonly id: MessageId
  readonly channel: string
  readonly traceparent: string | null
  readonly state: TextChanges
}

export function rowOf(message: Acceptance): AcceptanceRow {
  const { tenant, envelope, key, fingerprint, lane, agent, session, acceptedAt, dead, isNews } = message
  const { id, channel, metadata } = envelope
  const { traceparent = null } = metadata
  return {
    id,
    channel,
    traceparent,
    tenant,
    key,
    fingerprint,
    lane,
    agent,
    session,
    acceptedAt,
    dead,
    isNews,
    state: toText(message.state),
  }
}

export const textsOf = ({ envelope, reply }: Acceptance): readonly string[] => [JSON.stringify(envelope), JSON.stringify(reply)]

/** Of several in one transaction; the answers in their order. Each has two texts: envelope and reply. */
export const acceptAll = (sql: Sql, messages: readonly AcceptanceRow[], texts: readonly string[]): readonly AcceptanceResult[] =>
  messages.map((message, at) => accept(sql, message, texts.slice(2 * at, 2 * at + 2)))

export function accept(sql: Sql, message: AcceptanceRow, [envelope = '', reply = '']: readonly string[]): AcceptanceResult {
  // The channel acknowledges whatever the result is, so its own values are kept whatever the result is.
  writeState(sql, message.channel, message.state)
  const known = message.session === null ? null : findSession(sql, message.session.key)
  // A repeated message must not begin a session.
  const seen = known === undefined ? find(sql, message) : undefined
  if (seen !== undefined) return repeated(seen, message)
  const session = message.session === null ? null : (known ?? beginSession(sql, message.session, message.acceptedAt))
  const seq = insert(sql, message, session)
  if (seq === null) return repeated(find(sql, message), message)
  const { dead } = message
  if (!message.isNews) tell(sql, message)
  sql.run('INSERT INTO inbox_content (seq, envelope, reply) VALUES (?, ?, ?)', seq, envelope, reply)
  if (dead !== null) {
    insertLetter(sql, {
      id: dead.id,
      tenant: message.tenant,
      kind: 'message',
      ref: message.id,
      channel: message.channel,
      session: message.session?.key ?? null,
      reason: dead.reason,
      attempts: 0,
      content: JSON.parse(envelope),
      origin: dead.origin,
      now: message.acceptedAt,
    })
  }
  return { status: 'new' }
}

/** Its running number; null: a message of that key is there. */
function insert(sql: Sql, message: AcceptanceRow, session: number | null): number | null {
  const { dead, acceptedAt } = message
  const isOver = dead !== null || message.isNews
  return sql.insertNew(
    `INSERT INTO inbox (id, tenant, status, open, channel, agent, session, reason_code, reason_message, accepted_at, done_at, lane, dedupe_key,
     fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (channel, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING`,
    message.id,
    message.tenant,
    dead !== null ? 'dead' : isOver ? 'done' : 'queued',
    isOver ? 0 : 1,
    message.channel,
    message.agent,
    session,
    dead?.reason.code ?? null,
    dead?.reason.message ?? null,
    acceptedAt,
    isOver ? acceptedAt : null,
    message.lane,
    message.key,
    message.fingerprint,
  )
}

function tell(sql: Sql, { tenant, id, channel, traceparent, agent, session, dead, acceptedAt: now }: AcceptanceRow): void {
  const told = {
    tenant,
    now,
    traceparent,
    data: () => ({ message_id: id, channel, agent, session: session?.key ?? null }),
  }
  emit(sql, { ...told, type: 'message.received' })
  if (dead === null) emit(sql, { ...told, type: 'message.queued' })
  else emit(sql, { ...told, type: 'message.failed', data: () => ({ ...told.data(), reason: dead.reason.code }) })
}

interface Seen {
  readonly fingerprint: string | null
  readonly envelope: string
}

function repeated(seen: Seen | undefined, { fingerprint }: AcceptanceRow): AcceptanceResult {
  if (seen === undefined) throw new Error('A message was not stored, and none of its key is there.')
  const stored: Envelope = JSON.parse(seen.envelope)
  const isSame = seen.fingerprint === null || fingerprint === null || seen.fingerprint === fingerprint
  return isSame ? { status: 'duplicate', envelope: stored } : { status: 'conflict', id: stored.id }
}

function find(sql: Sql, { channel, key }: AcceptanceRow): Seen | undefined {
  if (key === null) return undefined
  return sql.get(
    'SELECT i.fingerprint, c.envelope FROM inbox i JOIN inbox_content c USING (seq) WHERE i.channel = ? AND i.dedupe_key = ?',
    channel,
    key,
  )
}
