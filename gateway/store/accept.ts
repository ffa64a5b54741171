/** T0: a message becomes durable, once by its key. Reading messages is in message.ts. */
import type { Acceptance, AcceptanceResult, Envelope } from '#contract'
import { writeState } from './access.ts'
import type { TextChanges } from './access.ts'
import { emit } from './events.ts'
import { insertLetter } from './letter-row.ts'
import { sessionOf } from './session-row.ts'
import type { Sql } from './sql.ts'

/** As it travels between the threads: bytes are base64. */
export type AcceptanceText = Omit<Acceptance, 'state'> & { readonly state: TextChanges }

/** Of several in one transaction; the answers in their order. */
export const acceptAll = (sql: Sql, messages: readonly AcceptanceText[]): readonly AcceptanceResult[] =>
  messages.map((message) => accept(sql, message))

export function accept(sql: Sql, message: AcceptanceText): AcceptanceResult {
  const { envelope } = message
  const seen = message.key === null ? undefined : find(sql, envelope.channel, message.key)
  // The channel acknowledges whatever the result is, so its own values are kept whatever the result is.
  writeState(sql, envelope.channel, message.state)
  if (seen !== undefined) {
    const same = seen.fingerprint === null || message.fingerprint === null || seen.fingerprint === message.fingerprint
    const stored: Envelope = JSON.parse(seen.envelope)
    return same ? { status: 'duplicate', envelope: stored } : { status: 'conflict', id: stored.id }
  }
  const { dead } = message
  const isOver = dead !== null || message.isNews
  const session = message.session === null ? null : sessionOf(sql, message.session, message.acceptedAt)
  const seq = sql.insert(
    `INSERT INTO inbox (id, tenant, status, open, channel, agent, session, reason_code, reason_message, accepted_at, done_at, lane, dedupe_key,
     fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    envelope.id,
    message.tenant,
    dead !== null ? 'dead' : isOver ? 'done' : 'queued',
    isOver ? 0 : 1,
    envelope.channel,
    message.agent,
    session,
    dead?.reason.code ?? null,
    dead?.reason.message ?? null,
    message.acceptedAt,
    isOver ? message.acceptedAt : null,
    message.lane,
    message.key,
    message.fingerprint,
  )
  if (!message.isNews) tell(sql, message)
  sql.run('INSERT INTO inbox_content (seq, envelope, reply) VALUES (?, ?, ?)', seq, JSON.stringify(envelope), JSON.stringify(message.reply))
  if (dead !== null) {
    insertLetter(sql, {
      id: dead.id,
      tenant: message.tenant,
      kind: 'message',
      ref: envelope.id,
      channel: envelope.channel,
      session: message.session?.key ?? null,
      reason: dead.reason,
      attempts: 0,
      content: envelope,
      origin: dead.origin,
      now: message.acceptedAt,
    })
  }
  return { status: 'new' }
}

function tell(sql: Sql, { tenant, envelope, agent, session, dead, acceptedAt: now }: AcceptanceText): void {
  const told = {
    tenant,
    now,
    traceparent: envelope.metadata.traceparent,
    data: () => ({ message_id: envelope.id, channel: envelope.channel, agent, session: session?.key ?? null }),
  }
  emit(sql, { ...told, type: 'message.received' })
  if (dead === null) emit(sql, { ...told, type: 'message.queued' })
  else emit(sql, { ...told, type: 'message.failed', data: () => ({ ...told.data(), reason: dead.reason.code }) })
}

function find(sql: Sql, channel: string, key: string): { readonly fingerprint: string | null; readonly envelope: string } | undefined {
  return sql.get(
    'SELECT i.fingerprint, c.envelope FROM inbox i JOIN inbox_content c USING (seq) WHERE i.channel = ? AND i.dedupe_key = ?',
    channel,
    key,
  )
}
