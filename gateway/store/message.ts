/** Questions about messages: shown, listed, counted, waited for. Only read; T0 is in accept.ts. */
import { asSessionKey } from '#contract'
import type {
  InboxStore,
  JsonValue,
  MessageId,
  MessageStatus,
  MessageView,
  ReplyView,
  StepKind,
  StepStatus,
  StepView,
  TurnId,
} from '#contract'
import type { Handlers } from './command.ts'
import { INBOX_COLUMNS, toJson, toMessage } from './message-row.ts'
import type { InboxRow } from './message-row.ts'
import { replies } from './outbox.ts'
import type { Sql } from './sql.ts'

export const inboxReads: Handlers<Omit<InboxStore, 'accept' | 'acceptAll' | 'readySessions' | 'nextDue'>> = {
  get: find,
  whole(sql, tenant, id) {
    const message = find(sql, tenant, id)
    if (message === null) return null
    const { turn } = message
    return turn === null ? { message, steps: [], replies: [] } : { message, steps: steps(sql, turn), replies: repliesOf(sql, turn) }
  },
  list: (sql, filter, before, limit) =>
    sql
      .all<InboxRow>(
        `SELECT ${INBOX_COLUMNS} WHERE i.tenant = ?8 AND i.seq < ?1 AND (?2 IS NULL OR i.channel = ?2) AND (?3 IS NULL OR s.key = ?3)
         AND (?4 IS NULL OR i.status = ?4) AND (?5 IS NULL OR i.agent = ?5) AND (?6 IS NULL OR s.account = ?6) ORDER BY i.seq DESC LIMIT ?7`,
        before ?? Number.MAX_SAFE_INTEGER,
        filter.channel ?? null,
        filter.session ?? null,
        filter.status ?? null,
        filter.agent ?? null,
        filter.account ?? null,
        limit,
        filter.tenant,
      )
      .map(toMessage),
  steps,
  repliesOfTurn: repliesOf,
  repliesOfLane: (sql, channel, lane, afterSeq, limit) =>
    replies(sql, 'channel = ? AND lane = ? AND seq > ? AND session > 0 ORDER BY seq LIMIT ?', channel, lane, afterSeq, limit),
  pending: (sql) => sql.get<{ n: number }>('SELECT count(*) AS n FROM inbox WHERE open = 1')?.n ?? 0,
  ledger(sql) {
    const byStatus = { queued: 0, running: 0, waiting: 0, retrying: 0, done: 0, dead: 0 }
    let accepted = 0
    for (const row of sql.all<{ status: MessageStatus; count: number }>('SELECT status, count(*) AS count FROM inbox GROUP BY status')) {
      byStatus[row.status] = row.count
      accepted += row.count
    }
    const { queued, running, waiting, retrying, done, dead } = byStatus
    return { accepted, done, dead, pending: queued + running + waiting + retrying, byStatus }
  },
}

function find(sql: Sql, tenant: string, id: MessageId): MessageView | null {
  const row = sql.get<InboxRow>(`SELECT ${INBOX_COLUMNS} WHERE i.id = ? AND i.tenant = ?`, id, tenant)
  return row === undefined ? null : toMessage(row)
}

function repliesOf(sql: Sql, turn: TurnId): readonly ReplyView[] {
  const range = sql.get<{ first_reply: number; replies: number }>('SELECT first_reply, replies FROM turn WHERE id = ?', turn)
  if (range === undefined || range.replies === 0) return []
  return replies(sql, 'seq >= ? AND seq < ? ORDER BY seq', range.first_reply, range.first_reply + range.replies)
}

/** What the engine asks itself: small, and answered where it writes. */
export const inboxLooks: Handlers<Pick<InboxStore, 'readySessions' | 'nextDue'>> = {
  readySessions: (sql, { now, after, limit }) =>
    sql
      .all<{ seq: number; key: string; tenant: string; agent: string }>(READY, after, now, now, limit)
      .map((row) => ({ session: asSessionKey(row.key), tenant: row.tenant, agent: row.agent, seq: row.seq })),
  nextDue: (sql, now) =>
    sql.get<{ due: number | null }>(
      `SELECT min(t.due_at) AS due FROM inbox i JOIN session s ON s.seq = i.session JOIN turn t ON t.id = s.turn
       WHERE i.open = 1 AND t.status IN ('waiting', 'retrying') AND t.due_at > ?`,
      now,
    )?.due ?? null,
}

/** Each session stands at its oldest open message. Both walks are in indices that hold open messages only. */
const READY = `
  SELECT i.seq, s.key, s.tenant, s.agent FROM inbox i JOIN session s ON s.seq = i.session LEFT JOIN turn t ON t.id = s.turn
  WHERE i.open = 1 AND i.seq > ?
    AND s.lease_until <= ? AND (t.id IS NULL OR t.status = 'running' OR t.due_at <= ?)
    AND NOT EXISTS (SELECT 1 FROM inbox e WHERE e.open = 1 AND e.session = i.session AND e.seq < i.seq)
  ORDER BY i.seq LIMIT ?`

interface StepRow {
  readonly key: string
  readonly kind: StepKind
  readonly name: string
  readonly status: StepStatus
  readonly attempts: number
  readonly started_at: number | null
  readonly done_at: number | null
  readonly usage: string | null
  readonly input: string
  readonly result: string | null
}

function steps(sql: Sql, turn: string): readonly StepView[] {
  return sql
    .all<StepRow>(
      'SELECT key, kind, name, status, attempts, started_at, done_at, usage, input, result FROM step WHERE turn = ? ORDER BY seq',
      turn,
    )
    .map((row) => ({
      key: row.key,
      kind: row.kind,
      name: row.name,
      status: row.status,
      attempts: row.attempts,
      startedAt: row.started_at,
      doneAt: row.done_at,
      usage: row.usage === null ? null : JSON.parse(row.usage),
      input: toJson(row.input),
      output: outputOf(row),
    }))
}

/** A model call's result is its agent's own affair. */
const outputOf = (row: StepRow): JsonValue => (row.kind === 'skill' ? toJson(row.result) : null)
