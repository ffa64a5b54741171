/** T1: one session is taken, its unfinished turn first, otherwise what waits in it. Steps and endings are elsewhere. */
import { asSessionKey, asTurnId, messagesOf } from '#contract'
import type { ClaimRequest, ClaimResult, ClaimedMessage, ClaimedTurn, RecordedStep, StepKind, StepStatus } from '#contract'
import { Json } from './command.ts'
import { bury } from './letter-row.ts'
import { historyOf } from './memory.ts'
import { anyQueued, goOn, messagesAt, queued, takeUp, toClaimed, toJson } from './message-row.ts'
import { append, free, loadSession, saveSession } from './session-row.ts'
import type { SessionRow } from './session-row.ts'
import type { Sql } from './sql.ts'
import { insertStep } from './step-row.ts'
import { insertTurn, loadTurn, saveTurn } from './turn-row.ts'
import type { TurnRow } from './turn-row.ts'

export function claim(sql: Sql, request: ClaimRequest): ClaimResult | Json<ClaimResult> {
  const session = loadSession(sql, request.session)
  if (session === undefined) return { status: 'idle', dueAt: null }
  if (session.lease_until > request.now) return { status: 'idle', dueAt: session.lease_until }
  const turn = session.turn === null ? undefined : loadTurn(sql, session.turn)
  return turn === undefined ? begin(sql, request, session) : resume(sql, request, session, turn)
}

function begin(sql: Sql, request: ClaimRequest, session: SessionRow): ClaimResult | Json<ClaimResult> {
  const { now, queue } = request
  const quietAt = queue.debounceMs > 0 ? newest(sql, session) + queue.debounceMs : 0
  if (quietAt > now) return { status: 'idle', dueAt: quietAt }
  const { taken, more } = queued(sql, session.seq, queue.mode === 'collect' ? Math.max(1, queue.cap) : 1)
  if (taken.length === 0) return { status: 'idle', dueAt: null }

  const seqs = taken.map((row) => row.seq)
  const messages = taken.map(toClaimed)
  const baseSeq = session.next_seq
  insertTurn(sql, { id: request.turn, session: session.seq, base_seq: baseSeq, messages: seqs, started_at: now })
  takeUp(sql, seqs, request.turn)
  append(sql, session, { turn: request.turn, messages: messages.flatMap(({ envelope }) => messagesOf(envelope)), now })
  session.turn = request.turn
  lease(sql, session, request)
  if (request.firstStep !== null) beginStep(sql, request, session, request.firstStep)
  return told(
    {
      id: request.turn,
      session: request.session,
      fence: session.fence,
      attempt: 1,
      startedAt: now,
      resumed: false,
      messages,
      steps: [],
      begun: request.firstStep,
      more,
    },
    historyOf(sql, session, { ...request, baseSeq }),
  )
}

/** After a crash this intent is like any other: the call is made again with the same key. */
function beginStep(sql: Sql, { turn, now }: ClaimRequest, { fence }: SessionRow, key: string): void {
  const intent = { turn, fence, key, kind: 'llm', name: '', effect: 'idempotent', requestHash: null, input: null, now } as const
  insertStep(sql, intent, { status: 'started', attempts: 1, joined: null })
}

/** The history is long, and JSON in its rows: it goes to the other thread as it stands. */
function told(turn: Omit<ClaimedTurn, 'history'>, history: string): Json<ClaimResult> {
  return new Json(`{"status":"claimed","turn":${JSON.stringify(turn).slice(0, -1)},"history":${history}}}`)
}

function resume(sql: Sql, request: ClaimRequest, session: SessionRow, turn: TurnRow): ClaimResult | Json<ClaimResult> {
  const stood = turn.status === 'waiting' || turn.status === 'retrying'
  if (stood && turn.due_at !== null && turn.due_at > request.now) return { status: 'idle', dueAt: turn.due_at }
  if (!stood && ++turn.crashes >= request.maxCrashes) return giveUp(sql, request, session, turn)

  goOn(sql, turn.messages, turn.failed === 1)
  turn.attempt += turn.failed
  turn.failed = 0
  turn.status = 'running'
  turn.due_at = null
  saveTurn(sql, turn)
  lease(sql, session, request)
  return told(recall(sql, session, turn), historyOf(sql, session, { ...request, baseSeq: turn.base_seq }))
}

function giveUp(sql: Sql, request: ClaimRequest, session: SessionRow, turn: TurnRow): ClaimResult {
  const messages = messagesAt(sql, turn.messages).map(toClaimed)
  const reason = {
    code: 'TURN_CRASHED',
    message: `The gateway ended ${turn.crashes} times during the same step of this turn. Find out why before it is replayed.`,
  }
  bury(sql, session, turn, { deadLetter: request.deadLetter, reason, now: request.now })
  saveTurn(sql, turn)
  free(session, null)
  session.fence++
  saveSession(sql, session, request.now)
  return { status: 'dead', messages, reason }
}

function recall(sql: Sql, session: SessionRow, turn: TurnRow): Omit<ClaimedTurn, 'history'> {
  return {
    id: asTurnId(turn.id),
    session: asSessionKey(session.key),
    fence: session.fence,
    attempt: turn.attempt,
    startedAt: turn.started_at,
    resumed: true,
    messages: messagesAt(sql, turn.messages.slice(0, turn.initial)).map(toClaimed),
    steps: stepsOf(sql, turn.id),
    begun: null,
    more: anyQueued(sql, session.seq),
  }
}

function stepsOf(sql: Sql, turn: string): readonly RecordedStep[] {
  return sql
    .all<{ key: string; kind: StepKind; status: StepStatus; attempts: number; result: string | null; joined: string | null }>(
      'SELECT key, kind, status, attempts, result, joined FROM step WHERE turn = ? ORDER BY seq',
      turn,
    )
    .map((row) => ({
      key: row.key,
      kind: row.kind,
      status: row.status,
      attempts: row.attempts,
      result: toJson(row.result),
      joined: joinedMessages(sql, row.joined),
    }))
}

export function joinedMessages(sql: Sql, joined: string | null): readonly ClaimedMessage[] {
  if (joined === null) return []
  const seqs: readonly number[] = JSON.parse(joined)
  return messagesAt(sql, seqs).map(toClaimed)
}

function lease(sql: Sql, session: SessionRow, request: ClaimRequest): void {
  session.fence++
  session.owner = request.owner
  session.lease_until = request.now + request.leaseMs
  saveSession(sql, session, request.now)
}

function newest(sql: Sql, session: SessionRow): number {
  const row = sql.get<{ accepted_at: number }>(
    `SELECT accepted_at FROM inbox WHERE session = ? AND open = 1 AND status = 'queued' ORDER BY seq DESC LIMIT 1`,
    session.seq,
  )
  return row?.accepted_at ?? 0
}
