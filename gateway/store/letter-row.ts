/** The dead letter as a row: what was given up, with all that is needed to bring it back. */
import { newDeadLetterId } from '#contract'
import type { DeadLetterId, Envelope, Failure, JsonObject, Origin } from '#contract'
import { emit, emitMessages } from './events.ts'
import { close, messagesAt } from './message-row.ts'
import type { SessionRow } from './session-row.ts'
import type { Sql } from './sql.ts'
import type { TurnRow } from './turn-row.ts'

export interface NewLetter {
  readonly id: DeadLetterId
  readonly tenant: string
  readonly kind: 'message' | 'delivery' | 'run' | 'webhook'
  readonly ref: string
  readonly channel: string
  readonly session: string | null
  readonly reason: Failure
  readonly attempts: number
  readonly content: Envelope | JsonObject
  /** Of a message that never had a session. */
  readonly origin?: Origin
  readonly now: number
}

export function insertLetter(sql: Sql, letter: NewLetter): void {
  sql.run(
    `INSERT INTO dead_letter (id, tenant, kind, ref, channel, session, reason_code, reason_message, attempts, created_at, content, origin)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    letter.id,
    letter.tenant,
    letter.kind,
    letter.ref,
    letter.channel,
    letter.session,
    letter.reason.code,
    letter.reason.message,
    letter.attempts,
    letter.now,
    JSON.stringify(letter.content),
    letter.origin === undefined ? null : JSON.stringify(letter.origin),
  )
  if (letter.kind === 'message' || letter.kind === 'delivery') tell(sql, letter)
}

function tell(sql: Sql, { id, tenant, kind, ref, channel, session, reason, attempts, now }: NewLetter): void {
  emit(sql, {
    tenant,
    type: 'message.dead_lettered',
    now,
    data: () => ({ dead_letter_id: id, kind, ref, channel, session, reason: reason.code, attempts }),
  })
}

/**
 * Gives a turn up: one letter a message, the first with the given id. What it said is no memory any more, so that words
 * that no model can take do not kill every later turn of the session too. The caller saves turn and session.
 */
export function bury(
  sql: Sql,
  session: SessionRow,
  turn: TurnRow,
  death: { readonly deadLetter: DeadLetterId; readonly reason: Failure; readonly now: number },
): void {
  messagesAt(sql, turn.messages).forEach((row, index) => {
    const envelope: Envelope = JSON.parse(row.envelope)
    insertLetter(sql, {
      id: index === 0 ? death.deadLetter : newDeadLetterId(death.now),
      tenant: session.tenant,
      kind: 'message',
      ref: envelope.id,
      channel: envelope.channel,
      session: session.key,
      reason: death.reason,
      attempts: turn.attempt,
      content: envelope,
      now: death.now,
    })
  })
  close(sql, turn.messages, { status: 'dead', reason: death.reason, now: death.now })
  emitMessages(sql, turn.messages, { type: 'message.failed', now: death.now, more: { reason: death.reason.code } })
  sql.run('UPDATE session_message SET void = 1 WHERE session = ? AND seq >= ? AND turn = ?', session.seq, turn.base_seq, turn.id)
  turn.status = 'dead'
  turn.due_at = null
}
