/**
 * Sessions erased: at once for whoever asks, and in slices on the disk, since a long conversation is many rows and the writer is everybody's.
 * What is left to do stands in `erasure`, so that a crash leaves nothing half.
 */
import { asMessageId } from '#contract'
import type { Envelope, Failure, SessionStore } from '#contract'
import type { Handlers } from './command.ts'
import { dropBelongings } from './prune.ts'
import { loadSession } from './session-row.ts'
import type { Sql } from './sql.ts'

/** Rows of the inbox that one slice looks at: they are narrow, and few of them are the session's. */
const LOOKED_AT = 10_000
/** Messages and words that one slice takes away. */
const MESSAGES_AT_ONCE = 200
const WORDS_AT_ONCE = 1_000
/** What is told of a message whose key is kept. */
const ERASED: Failure = { code: 'ERASED', message: 'It was erased with its session.' }

export const eraseWrites: Handlers<Pick<SessionStore, 'erase' | 'eraseOn'>> = {
  erase(sql, tenant, key, now) {
    const session = loadSession(sql, key)
    if (session?.tenant !== tenant) return 'missing'
    if (session.lease_until > now) return 'busy'
    sql.run('INSERT INTO erasure (session, key, tenant) VALUES (?, ?, ?)', session.seq, key, tenant)
    sql.run('DELETE FROM summary WHERE session = ?', session.seq)
    sql.run('DELETE FROM session WHERE seq = ?', session.seq)
    return 'begun'
  },
  eraseOn(sql, now) {
    const erasure = sql.get<Erasure>('SELECT session, key, tenant, done_to FROM erasure LIMIT 1')
    if (erasure === undefined) return false
    // What is deleted is overwritten: else it could be read from free pages of the file for long. Not for all the others: it costs writes.
    sql.get('PRAGMA secure_delete = ON')
    try {
      const isMore = eraseMessages(sql, erasure, now) || eraseWords(sql, erasure)
      if (!isMore) sql.run('DELETE FROM erasure WHERE session = ?', erasure.session)
    } finally {
      sql.get('PRAGMA secure_delete = OFF')
    }
    return true
  },
}

interface Erasure {
  readonly session: number
  readonly key: string
  readonly tenant: string
  readonly done_to: number
}

interface OwnRow {
  readonly seq: number
  readonly id: string
  readonly channel: string
  readonly turn: string | null
  readonly dedupe_key: string | null
  readonly accepted_at: number
}

/** Answers whether there may be more. What comes in meanwhile under the same key belongs to another session. */
function eraseMessages(sql: Sql, { session, tenant, done_to: from }: Erasure, now: number): boolean {
  const last = sql.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM inbox')?.seq ?? 0
  if (from >= last) return false
  const rows = sql.all<OwnRow>(
    'SELECT seq, id, channel, turn, dedupe_key, accepted_at FROM inbox WHERE seq > ? AND seq <= ? AND session = ? ORDER BY seq LIMIT ?',
    from,
    from + LOOKED_AT,
    session,
    MESSAGES_AT_ONCE,
  )
  for (const row of rows) {
    if (row.turn !== null) dropRuns(sql, tenant, row.turn)
    dropBelongings(sql, row)
    if (row.dedupe_key === null) drop(sql, row)
    else empty(sql, row, now)
  }
  const to = rows.length === MESSAGES_AT_ONCE ? rows.at(-1)?.seq : undefined
  sql.run('UPDATE erasure SET done_to = ? WHERE session = ?', to ?? from + LOOKED_AT, session)
  return true
}

/** Skills that acted once for skills of the turn: their keys begin with that of the turn's call. One that is open is still being written to. */
function dropRuns(sql: Sql, tenant: string, turn: string): void {
  const runs = sql.all<{ seq: number; id: string }>(
    'SELECT seq, id FROM run WHERE tenant = ? AND key >= ? AND key < ? AND open = 0',
    tenant,
    `${turn}:`,
    `${turn};`,
  )
  for (const { seq, id } of runs) {
    sql.run('DELETE FROM dead_letter WHERE ref = ?', id)
    sql.run('DELETE FROM run_content WHERE seq = ?', seq)
    sql.run('DELETE FROM run WHERE seq = ?', seq)
  }
}

function drop(sql: Sql, { seq }: OwnRow): void {
  sql.run('DELETE FROM inbox_content WHERE seq = ?', seq)
  sql.run('DELETE FROM inbox WHERE seq = ?', seq)
}

/** Only what is needed to know it again. */
function empty(sql: Sql, { seq, id, channel, accepted_at: at }: OwnRow, now: number): void {
  const envelope: Envelope = {
    version: 1,
    id: asMessageId(id),
    channel,
    sender_id: '',
    timestamp: at,
    payload: { text: '' },
    metadata: {},
    session: null,
  }
  sql.run(`UPDATE inbox_content SET envelope = ?, reply = '{}' WHERE seq = ?`, JSON.stringify(envelope), seq)
  sql.run(
    `UPDATE inbox SET status = 'done', open = 0, agent = NULL, session = NULL, turn = NULL, lane = '', fingerprint = NULL, due_at = NULL,
     reason_code = ?, reason_message = ?, done_at = coalesce(done_at, ?) WHERE seq = ?`,
    ERASED.code,
    ERASED.message,
    now,
    seq,
  )
}

/** Answers whether there may be more. */
const eraseWords = (sql: Sql, { session }: Erasure): boolean =>
  sql.run(
    'DELETE FROM session_message WHERE session = ?1 AND seq IN (SELECT seq FROM session_message WHERE session = ?1 ORDER BY seq LIMIT ?2)',
    session,
    WORDS_AT_ONCE,
  ) === WORDS_AT_ONCE
