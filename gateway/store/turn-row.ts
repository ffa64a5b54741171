/** The turn as a row. Loaded once a command, saved once. */
import type { Sql } from './sql.ts'

export interface TurnRow {
  readonly id: string
  readonly session: number
  status: 'running' | 'waiting' | 'retrying' | 'done' | 'dead'
  attempt: number
  failed: 0 | 1
  crashes: number
  due_at: number | null
  readonly base_seq: number
  messages: readonly number[]
  readonly initial: number
  first_reply: number
  replies: number
  readonly started_at: number
}

type Stored = Omit<TurnRow, 'messages'> & { readonly messages: string }

export function loadTurn(sql: Sql, id: string): TurnRow | undefined {
  const row = sql.get<Stored>(
    `SELECT id, session, status, attempt, failed, crashes, due_at, base_seq, messages, initial, first_reply, replies, started_at
     FROM turn WHERE id = ?`,
    id,
  )
  return row === undefined ? undefined : { ...row, messages: JSON.parse(row.messages) }
}

export function insertTurn(sql: Sql, turn: Pick<TurnRow, 'id' | 'session' | 'base_seq' | 'messages' | 'started_at'>): void {
  sql.run(
    `INSERT INTO turn (id, session, status, attempt, base_seq, messages, initial, started_at) VALUES (?, ?, 'running', 1, ?, ?, ?, ?)`,
    turn.id,
    turn.session,
    turn.base_seq,
    JSON.stringify(turn.messages),
    turn.messages.length,
    turn.started_at,
  )
}

export function saveTurn(sql: Sql, turn: TurnRow): void {
  sql.run(
    `UPDATE turn SET status = ?, attempt = ?, failed = ?, crashes = ?, due_at = ?, messages = ?, first_reply = ?, replies = ? WHERE id = ?`,
    turn.status,
    turn.attempt,
    turn.failed,
    turn.crashes,
    turn.due_at,
    JSON.stringify(turn.messages),
    turn.first_reply,
    turn.replies,
    turn.id,
  )
}

/** The last of its messages that goes takes it along, with its steps and its replies. */
export function leaveTurn(sql: Sql, id: string, seq: number): void {
  const turn = loadTurn(sql, id)
  if (turn === undefined) return
  turn.messages = turn.messages.filter((other) => other !== seq)
  if (turn.messages.length > 0) {
    saveTurn(sql, turn)
    return
  }
  sql.run('DELETE FROM outbox WHERE seq >= ? AND seq < ?', turn.first_reply, turn.first_reply + turn.replies)
  sql.run('DELETE FROM step WHERE turn = ?', id)
  sql.run('DELETE FROM turn WHERE id = ?', id)
}
