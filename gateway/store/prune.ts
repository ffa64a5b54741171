/**
 * Retention: what ended long ago goes, a few messages at a time, each with all that belongs to it. What is unfinished in
 * any way stays, however old: an open message, a reply still to be sent, an open letter.
 */
import type { Sql } from './sql.ts'
import { pruneRuns } from './run-row.ts'
import { leaveTurn, loadTurn } from './turn-row.ts'
import { pruneEvents } from './webhook-row.ts'

interface OldRow {
  readonly seq: number
  readonly id: string
  readonly session: number | null
  readonly turn: string | null
}

export function prune(sql: Sql, before: number, limit: number): number {
  const old = oldest(sql, before, limit)
  for (const row of old) {
    dropBelongings(sql, row)
    sql.run('DELETE FROM inbox_content WHERE seq = ?', row.seq)
    sql.run('DELETE FROM inbox WHERE seq = ?', row.seq)
    if (row.session !== null) forgetWords(sql, row.session, before)
  }
  const posted = prunePosted(sql, before, limit - old.length)
  const runs = pruneRuns(sql, before, limit - old.length - posted)
  const gone = old.length + posted + runs
  return gone + pruneEvents(sql, before, limit - gone)
}

/** What hangs on a message: letters, and its part in a turn, with whose last message steps and replies go. */
export function dropBelongings(sql: Sql, { id, seq, turn }: Pick<OldRow, 'id' | 'seq' | 'turn'>): void {
  if (turn !== null) {
    forgetReplies(sql, turn)
    leaveTurn(sql, turn, seq)
  }
  sql.run('DELETE FROM dead_letter WHERE ref = ?', id)
}

/** Parts that answered no message go by themselves. */
function prunePosted(sql: Sql, before: number, limit: number): number {
  const old = sql.all<{ seq: number; id: string }>(
    `SELECT seq, id FROM outbox WHERE session = 0 AND open = 0 AND done_at < ?
     AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.ref = outbox.id AND d.status = 'open') ORDER BY seq LIMIT ?`,
    before,
    limit,
  )
  for (const { seq, id } of old) {
    sql.run('DELETE FROM dead_letter WHERE ref = ?', id)
    sql.run('DELETE FROM outbox WHERE seq = ?', seq)
  }
  return old.length
}

/** Numbers grow with time, so the walk ends at the first message that is young. */
function oldest(sql: Sql, before: number, limit: number): readonly OldRow[] {
  const found: OldRow[] = []
  const rows = sql.iterate<OldRow & { open: number; accepted_at: number; done_at: number | null }>(
    'SELECT seq, id, session, turn, open, accepted_at, done_at FROM inbox ORDER BY seq',
  )
  for (const row of rows) {
    if (row.accepted_at >= before) break
    if (row.open === 0 && row.done_at !== null && row.done_at < before && isSettled(sql, row)) found.push(row)
    if (found.length === limit) break
  }
  return found
}

function isSettled(sql: Sql, row: OldRow): boolean {
  if (hasOpenLetter(sql, row.id)) return false
  const turn = row.turn === null ? undefined : loadTurn(sql, row.turn)
  if (turn === undefined) return true
  const range = [turn.first_reply, turn.first_reply + turn.replies] as const
  if (sql.get('SELECT 1 FROM outbox WHERE seq >= ? AND seq < ? AND open = 1', ...range) !== undefined) return false
  return sql.all<{ id: string }>('SELECT id FROM outbox WHERE seq >= ? AND seq < ?', ...range).every(({ id }) => !hasOpenLetter(sql, id))
}

const hasOpenLetter = (sql: Sql, ref: string): boolean =>
  sql.get(`SELECT 1 FROM dead_letter WHERE ref = ? AND status = 'open'`, ref) !== undefined

function forgetReplies(sql: Sql, id: string): void {
  const turn = loadTurn(sql, id)
  if (turn === undefined || turn.messages.length > 1) return
  sql.run(
    'DELETE FROM dead_letter WHERE ref IN (SELECT id FROM outbox WHERE seq >= ? AND seq < ?)',
    turn.first_reply,
    turn.first_reply + turn.replies,
  )
}

/** Memory is kept as long as it is memory. */
function forgetWords(sql: Sql, session: number, before: number): void {
  sql.run(
    'DELETE FROM session_message WHERE session = ?1 AND at < ?2 AND (void = 1 OR seq < (SELECT floor_seq FROM session WHERE seq = ?1))',
    session,
    before,
  )
}

/** Writes next to nothing, to find out whether writing works. */
export const probe = (sql: Sql): number => sql.run('UPDATE probe SET tries = tries + 1')
