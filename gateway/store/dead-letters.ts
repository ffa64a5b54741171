/** What was given up: listed, shown, changed, brought back once, or given up for good. */
import { InvalidError, asDeadLetterId, asMessageId, asRunId, asSessionKey, asWebhookDeliveryId, payloadText } from '#contract'
import type {
  DeadLetterStatus,
  DeadLetterStore,
  DeadLetterView,
  Envelope,
  Origin,
  Payload,
  Replay,
  ReplayResult,
  SessionParts,
} from '#contract'
import type { Handlers } from './command.ts'
import { emit } from './events.ts'
import { MATCHES, matching } from './letter-plan.ts'
import { changeRunInput, requeueRun } from './run-row.ts'
import { sessionOf } from './session-row.ts'
import type { Sql } from './sql.ts'
import { leaveTurn } from './turn-row.ts'
import { reopen } from './webhook-log.ts'

interface LetterRow {
  readonly id: string
  readonly seq: number
  readonly tenant: string
  readonly kind: 'message' | 'delivery' | 'run' | 'webhook'
  readonly ref: string
  readonly status: DeadLetterStatus
  readonly channel: string
  readonly session: string | null
  readonly reason_code: string
  readonly reason_message: string
  readonly attempts: number
  readonly created_at: number
  readonly settled_at: number | null
  readonly replay_at: number | null
  readonly content: string
}

export const letterReads: Handlers<Pick<DeadLetterStore, 'list' | 'get' | 'origin' | 'open' | 'census'>> = {
  list: (sql, filter, before, limit) =>
    sql
      .all<LetterRow>(
        `SELECT * FROM dead_letter WHERE ${MATCHES} AND (?7 IS NULL OR status = ?7) AND seq < ?8 ORDER BY seq DESC LIMIT ?9`,
        ...matching(filter),
        filter.status ?? null,
        before ?? Number.MAX_SAFE_INTEGER,
        limit,
      )
      .map(toView),
  get(sql, tenant, id) {
    const row = find(sql, tenant, id)
    return row === undefined ? null : toView(row)
  },
  origin(sql, tenant, id) {
    const row = sql.get<OriginRow>(
      `SELECT c.envelope, d.origin, s.key, s.tenant AS session_tenant, s.agent AS session_agent, s.channel, s.account, s.peer_kind, s.peer, s.thread
       FROM dead_letter d JOIN inbox i ON i.id = d.ref JOIN inbox_content c ON c.seq = i.seq LEFT JOIN session s ON s.seq = i.session
       WHERE d.id = ? AND d.tenant = ? AND d.kind = 'message'`,
      id,
      tenant,
    )
    if (row === undefined) return null
    const envelope: Envelope = JSON.parse(row.envelope)
    const session = partsOf(row)
    if (session !== null) return { envelope, session, origin: null }
    const origin: Origin | null = JSON.parse(row.origin ?? 'null')
    return origin === null ? null : { envelope, session, origin }
  },
  open(sql) {
    const row = sql.get<{ count: number; oldest: number | null }>(
      `SELECT count(*) AS count, min(created_at) AS oldest FROM dead_letter WHERE status = 'open'`,
    )
    return { count: row?.count ?? 0, oldestAt: row?.oldest ?? null }
  },
  census(sql) {
    const open = { message: 0, delivery: 0, run: 0, webhook: 0 }
    const rows = sql.all<{ kind: DeadLetterView['kind']; count: number }>(
      `SELECT kind, count(*) AS count FROM dead_letter WHERE status = 'open' GROUP BY kind`,
    )
    for (const { kind, count } of rows) open[kind] = count
    // Numbers are never given twice (AUTOINCREMENT), so the last one counts those that retention took, too.
    const last = sql.get<{ seq: number }>(`SELECT seq FROM sqlite_sequence WHERE name = 'dead_letter'`)
    return { open, ever: last?.seq ?? 0 }
  },
}

const find = (sql: Sql, tenant: string, id: string): LetterRow | undefined =>
  sql.get<LetterRow>('SELECT * FROM dead_letter WHERE id = ? AND tenant = ?', id, tenant)

const toView = (row: LetterRow): DeadLetterView => ({
  id: asDeadLetterId(row.id),
  seq: row.seq,
  kind: row.kind,
  ref: row.ref,
  status: row.status,
  channel: row.channel,
  session: row.session === null ? null : asSessionKey(row.session),
  reason: { code: row.reason_code, message: row.reason_message },
  attempts: row.attempts,
  createdAt: row.created_at,
  settledAt: row.settled_at,
  replayAt: row.status === 'open' ? row.replay_at : null,
  content: JSON.parse(row.content),
})

interface OriginRow {
  readonly envelope: string
  readonly origin: string | null
  /** null with all that follows: it had no session. */
  readonly key: string | null
  readonly session_tenant: string
  readonly session_agent: string
  readonly channel: string
  readonly account: string
  readonly peer_kind: SessionParts['peerKind']
  readonly peer: string
  readonly thread: string | null
}

function partsOf(row: OriginRow): SessionParts | null {
  if (row.key === null) return null
  return {
    key: asSessionKey(row.key),
    tenant: row.session_tenant,
    agent: row.session_agent,
    channel: row.channel,
    account: row.account,
    peerKind: row.peer_kind,
    peer: row.peer,
    thread: row.thread,
  }
}

export const letterWrites: Handlers<Pick<DeadLetterStore, 'replay' | 'edit' | 'discard'>> = {
  replay(sql, replay) {
    const letter = find(sql, replay.tenant, replay.id)
    if (letter === undefined) return { status: 'missing' }
    if (letter.status !== 'open') return { status: 'settled', was: letter.status }
    if (letter.kind === 'run') return replayRun(sql, letter, replay)
    if (letter.kind === 'webhook') return replayWebhook(sql, letter, replay)
    return letter.kind === 'message' ? replayMessage(sql, letter, replay) : replayDelivery(sql, letter, replay)
  },
  edit(sql, tenant, id, payload) {
    const letter = find(sql, tenant, id)
    if (letter === undefined || letter.status !== 'open') return false
    if (letter.kind === 'message') editMessage(sql, letter, payload)
    else if (letter.kind === 'run') editRun(sql, letter, payload)
    else if (letter.kind === 'webhook') throw unchangeable()
    else editDelivery(sql, letter, payload)
    return true
  },
  discard(sql, tenant, id, now) {
    const letter = find(sql, tenant, id)
    if (letter === undefined) return 'missing'
    if (letter.status !== 'open') return 'settled'
    settle(sql, letter, 'discarded', now)
    return 'discarded'
  },
}

/** What belongs to a session that is being erased must not be brought into another. */
const NOT_ERASED = 'coalesce(session, 0) NOT IN (SELECT e.session FROM erasure e)'

/** It keeps its running number, and so its place before all that came later. */
function replayMessage(sql: Sql, letter: LetterRow, { route, now }: Replay): ReplayResult {
  const row = sql.get<{ seq: number; turn: string | null }>(
    `SELECT seq, turn FROM inbox WHERE id = ? AND status = 'dead' AND ${NOT_ERASED}`,
    letter.ref,
  )
  if (row === undefined) return { status: 'missing' }
  if (route === null) return { status: 'unroutable' }
  const session = sessionOf(sql, route.session, now)
  sql.run(
    `UPDATE inbox SET status = 'queued', open = 1, agent = ?, session = ?, turn = NULL, attempts = 0, due_at = NULL, reason_code = NULL,
     reason_message = NULL, done_at = NULL WHERE seq = ?`,
    route.agent,
    session,
    row.seq,
  )
  sql.run('UPDATE inbox_content SET envelope = ? WHERE seq = ?', JSON.stringify(route.envelope), row.seq)
  if (row.turn !== null) leaveTurn(sql, row.turn, row.seq)
  settle(sql, letter, 'replayed', now)
  tellReplayed(sql, letter, now)
  return { status: 'replayed', kind: 'message', message: asMessageId(letter.ref), session: route.session.key, agent: route.agent }
}

/** Whoever brings it back wants it sent, however late it is. */
function replayDelivery(sql: Sql, letter: LetterRow, { now }: Replay): ReplayResult {
  const changed = sql.run(
    `UPDATE outbox SET status = 'pending', open = 1, attempts = 0, due_at = ?, done_at = NULL, error_code = NULL, error_message = NULL,
     address = json_remove(address, '$.expiresAt') WHERE id = ? AND open = 0 AND ${NOT_ERASED}`,
    now,
    letter.ref,
  )
  if (changed === 0) return { status: 'missing' }
  settle(sql, letter, 'replayed', now)
  tellReplayed(sql, letter, now)
  return { status: 'replayed', kind: 'delivery', channel: letter.channel }
}

/** The same key again: whoever dedupes by it has the last word on what happened before. */
function replayRun(sql: Sql, letter: LetterRow, { now }: Replay): ReplayResult {
  if (!requeueRun(sql, letter.ref)) return { status: 'missing' }
  settle(sql, letter, 'replayed', now)
  return { status: 'replayed', kind: 'run', run: asRunId(letter.ref) }
}

/** Where the webhook was removed or disabled meanwhile there is nowhere to go. */
function replayWebhook(sql: Sql, letter: LetterRow, { now }: Replay): ReplayResult {
  const row = sql.get<{ seq: number }>(
    `SELECT d.seq FROM webhook_delivery d JOIN webhook w ON w.seq = d.webhook WHERE d.id = ? AND d.open = 0 AND w.status = 'enabled'`,
    letter.ref,
  )
  if (row === undefined) return { status: 'unroutable' }
  reopen(sql, row.seq, now)
  settle(sql, letter, 'replayed', now)
  return { status: 'replayed', kind: 'webhook', delivery: asWebhookDeliveryId(letter.ref) }
}

const unchangeable = (): InvalidError =>
  new InvalidError('What a webhook is told is what happened; it cannot be changed. Replay it without a payload.', {
    code: 'EVENT_UNCHANGEABLE',
  })

function tellReplayed(sql: Sql, { id, tenant, kind, ref, channel, session }: LetterRow, now: number): void {
  emit(sql, {
    tenant,
    type: 'message.replayed',
    now,
    data: () => ({ dead_letter_id: id, kind, ref, channel, session }),
  })
}

const settle = (sql: Sql, letter: LetterRow, status: DeadLetterStatus, now: number): number =>
  sql.run('UPDATE dead_letter SET status = ?, settled_at = ? WHERE seq = ?', status, now, letter.seq)

function editMessage(sql: Sql, letter: LetterRow, payload: Payload): void {
  const envelope: Envelope = JSON.parse(letter.content)
  const content = JSON.stringify({ ...envelope, payload })
  sql.run('UPDATE inbox_content SET envelope = ? WHERE seq = (SELECT seq FROM inbox WHERE id = ?)', content, letter.ref)
  sql.run('UPDATE dead_letter SET content = ? WHERE seq = ?', content, letter.seq)
}

/** What was marked up by hand is sent as it is. */
function editDelivery(sql: Sql, letter: LetterRow, payload: Payload): void {
  const rendered = { text: payloadText(payload) }
  sql.run('UPDATE outbox SET rendered = ? WHERE id = ?', JSON.stringify(rendered), letter.ref)
  sql.run('UPDATE dead_letter SET content = ? WHERE seq = ?', JSON.stringify({ ...JSON.parse(letter.content), rendered }), letter.seq)
}

/** The input. Words are the JSON text that they are. */
function editRun(sql: Sql, letter: LetterRow, payload: Payload): void {
  if ('binary' in payload)
    throw new InvalidError('The input of a skill is JSON: give it as `{"json": …}`, or as text.', { code: 'RUN_INPUT_NOT_JSON' })
  const input = 'json' in payload ? payload.json : payload.text
  changeRunInput(sql, letter.ref, input)
  sql.run('UPDATE dead_letter SET content = ? WHERE seq = ?', JSON.stringify({ ...JSON.parse(letter.content), input }), letter.seq)
}
