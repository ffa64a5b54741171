/** How a turn ends or stops for a while: done, waiting, failed, given back. Each frees the session in the same transaction. */
import { ConflictError, FIRST_STEP } from '#contract'
import type { DeadLetterId, Ended, Failure, NewDelivery, TurnEnd, TurnRef } from '#contract'
import { emitMessages } from './events.ts'
import { bury } from './letter-row.ts'
import { anyQueued, close, holdUp } from './message-row.ts'
import { append, forget, free, ownSession, saveSession } from './session-row.ts'
import type { SessionRow } from './session-row.ts'
import type { Sql } from './sql.ts'
import { loadTurn, saveTurn } from './turn-row.ts'
import type { TurnRow } from './turn-row.ts'

export function end(sql: Sql, ref: TurnRef, ending: TurnEnd, now: number): Ended {
  const session = ownSession(sql, ref)
  if (ending.status === 'done' && ending.reason === null)
    sql.run(`DELETE FROM step WHERE turn = ? AND key = ? AND status = 'started'`, ref.turn, FIRST_STEP)
  return conclude(sql, session, { turn: ref.turn, end: ending, now })
}

/** The end of a turn whose fence was checked; saves the session. */
export function conclude(
  sql: Sql,
  session: SessionRow,
  ending: { readonly turn: string; readonly end: TurnEnd; readonly now: number },
): Ended {
  const { end, now } = ending
  const turn = ownTurn(sql, ending.turn)
  turn.crashes = 0
  let seqs: readonly number[] = []
  switch (end.status) {
    case 'waiting':
      turn.status = 'waiting'
      turn.due_at = end.until
      holdUp(sql, turn.messages, { status: 'waiting', dueAt: end.until, reason: end.reason })
      free(session, turn.id)
      break
    case 'done':
      turn.status = 'done'
      turn.due_at = null
      append(sql, session, { turn: turn.id, messages: end.messages, now })
      seqs = end.deliveries.map((delivery) => insertDelivery(sql, session, delivery, now))
      turn.first_reply = seqs[0] ?? 0
      turn.replies = seqs.length
      close(sql, turn.messages, { status: 'done', reason: end.reason, now })
      emitMessages(sql, turn.messages, {
        type: 'message.processed',
        now,
        more: { replies: seqs.length, reason: end.reason?.code ?? null },
      })
      free(session, null)
      if (end.reset) forget(sql, session)
      break
  }
  saveTurn(sql, turn)
  saveSession(sql, session, now)
  return { seqs, more: anyQueued(sql, session.seq) }
}

export function fail(
  sql: Sql,
  ref: TurnRef,
  failure: Failure,
  then: { readonly retryAt: number } | { readonly deadLetter: DeadLetterId },
  now: number,
): Ended {
  const session = ownSession(sql, ref)
  const turn = ownTurn(sql, ref.turn)
  turn.crashes = 0
  if ('retryAt' in then) {
    turn.failed = 1
    stop(sql, turn, { dueAt: then.retryAt, reason: failure })
    free(session, turn.id)
  } else {
    bury(sql, session, turn, { deadLetter: then.deadLetter, reason: failure, now })
    free(session, null)
  }
  saveTurn(sql, turn)
  saveSession(sql, session, now)
  return { seqs: [], more: anyQueued(sql, session.seq) }
}

export function release(sql: Sql, ref: TurnRef, now: number): void {
  const session = ownSession(sql, ref)
  const turn = ownTurn(sql, ref.turn)
  stop(sql, turn, { dueAt: now, reason: null })
  free(session, turn.id)
  saveTurn(sql, turn)
  saveSession(sql, session, now)
}

function stop(sql: Sql, turn: TurnRow, until: { readonly dueAt: number; readonly reason: Failure | null }): void {
  turn.status = 'retrying'
  turn.due_at = until.dueAt
  holdUp(sql, turn.messages, { status: 'retrying', ...until })
}

function ownTurn(sql: Sql, id: string): TurnRow {
  const turn = loadTurn(sql, id)
  if (turn === undefined)
    throw new ConflictError(`Turn ${id} has no row although its session names it. Run openclaw doctor.`, { code: 'TURN_MISSING' })
  return turn
}

function insertDelivery(sql: Sql, session: SessionRow, delivery: NewDelivery, now: number): number {
  return sql.insert(
    `INSERT INTO outbox (id, tenant, status, open, channel, lane, session, message, part, parts, due_at, created_at, address, rendered)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    delivery.id,
    session.tenant,
    delivery.status,
    delivery.status === 'sent' ? 0 : 1,
    delivery.channel,
    delivery.lane,
    session.seq,
    delivery.messageId,
    delivery.index,
    delivery.of,
    now,
    now,
    JSON.stringify(delivery.to),
    JSON.stringify(delivery.rendered),
  )
}
