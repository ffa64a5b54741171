/** The inbox as rows: how messages of a turn change together, and how a row reads as a message. Leaves T0 to accept.ts. */
import { asMessageId, asSessionKey, asTurnId } from '#contract'
import type { ClaimedMessage, Failure, JsonValue, MessageStatus, MessageView } from '#contract'
import type { Sql } from './sql.ts'

export interface InboxRow {
  readonly seq: number
  readonly id: string
  readonly status: MessageStatus
  readonly channel: string
  readonly agent: string | null
  readonly session: string | null
  readonly turn: string | null
  readonly attempts: number
  readonly due_at: number | null
  readonly reason_code: string | null
  readonly reason_message: string | null
  readonly accepted_at: number
  readonly done_at: number | null
  readonly envelope: string
}

export const INBOX_COLUMNS = `i.seq, i.id, i.status, i.channel, i.agent, s.key AS session, i.turn, i.attempts, i.due_at, i.reason_code,
  i.reason_message, i.accepted_at, i.done_at, c.envelope FROM inbox i JOIN inbox_content c USING (seq) LEFT JOIN session s ON s.seq = i.session`

export function toMessage(row: InboxRow): MessageView {
  return {
    id: asMessageId(row.id),
    seq: row.seq,
    channel: row.channel,
    agent: row.agent,
    session: row.session === null ? null : asSessionKey(row.session),
    turn: row.turn === null ? null : asTurnId(row.turn),
    status: row.status,
    attempts: row.attempts,
    reason: toFailure(row.reason_code, row.reason_message),
    dueAt: row.due_at,
    acceptedAt: row.accepted_at,
    doneAt: row.done_at,
    envelope: JSON.parse(row.envelope),
  }
}

export const toFailure = (code: string | null, message: string | null): Failure | null =>
  code === null ? null : { code, message: message ?? '' }

export const toJson = (text: string | null): JsonValue => (text === null ? null : JSON.parse(text))

/** One message as a turn gets it. */
export interface QueuedRow {
  readonly seq: number
  readonly lane: string
  readonly envelope: string
  readonly reply: string
}

export const toClaimed = (row: QueuedRow): ClaimedMessage => ({
  envelope: JSON.parse(row.envelope),
  lane: row.lane,
  reply: JSON.parse(row.reply),
})

/** Those that wait in a session, in order; one more than `cap`, to see whether any are left behind. */
export function queued(sql: Sql, session: number, cap: number): { readonly taken: readonly QueuedRow[]; readonly more: boolean } {
  const rows = sql.all<QueuedRow>(
    `SELECT i.seq, i.lane, c.envelope, c.reply FROM inbox i JOIN inbox_content c USING (seq)
     WHERE i.session = ? AND i.open = 1 AND i.status = 'queued' ORDER BY i.seq LIMIT ?`,
    session,
    cap + 1,
  )
  return { taken: rows.slice(0, cap), more: rows.length > cap }
}

export const anyQueued = (sql: Sql, session: number): boolean =>
  sql.get(`SELECT 1 FROM inbox WHERE session = ? AND open = 1 AND status = 'queued' LIMIT 1`, session) !== undefined

export function messagesAt(sql: Sql, seqs: readonly number[]): readonly QueuedRow[] {
  return seqs.flatMap(
    (seq) =>
      sql.get<QueuedRow>('SELECT i.seq, i.lane, c.envelope, c.reply FROM inbox i JOIN inbox_content c USING (seq) WHERE i.seq = ?', seq) ??
      [],
  )
}

/** Into a turn, for the first time. */
export function takeUp(sql: Sql, seqs: readonly number[], turn: string): void {
  for (const seq of seqs) sql.run(`UPDATE inbox SET status = 'running', turn = ?, attempts = attempts + 1 WHERE seq = ?`, turn, seq)
}

/** On with a turn that stood; `counted`: as another attempt. */
export function goOn(sql: Sql, seqs: readonly number[], counted: boolean): void {
  for (const seq of seqs) {
    sql.run(
      `UPDATE inbox SET status = 'running', attempts = attempts + ?, due_at = NULL, reason_code = NULL, reason_message = NULL WHERE seq = ?`,
      counted ? 1 : 0,
      seq,
    )
  }
}

export function holdUp(
  sql: Sql,
  seqs: readonly number[],
  hold: { readonly status: 'waiting' | 'retrying'; readonly dueAt: number; readonly reason: Failure | null },
): void {
  for (const seq of seqs) {
    sql.run(
      'UPDATE inbox SET status = ?, due_at = ?, reason_code = ?, reason_message = ? WHERE seq = ?',
      hold.status,
      hold.dueAt,
      hold.reason?.code ?? null,
      hold.reason?.message ?? null,
      seq,
    )
  }
}

export function close(
  sql: Sql,
  seqs: readonly number[],
  end: { readonly status: 'done' | 'dead'; readonly reason: Failure | null; readonly now: number },
): void {
  for (const seq of seqs) {
    sql.run(
      'UPDATE inbox SET status = ?, open = 0, due_at = NULL, reason_code = ?, reason_message = ?, done_at = ? WHERE seq = ?',
      end.status,
      end.reason?.code ?? null,
      end.reason?.message ?? null,
      end.now,
      seq,
    )
  }
}
