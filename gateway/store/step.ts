/** T2 to T5: the intent and the result of one step, in one transaction each. */
import { ConflictError, messagesOf } from '#contract'
import type { Ended, Message, SkillOutcome, StepDone, StepStart, StepStarted, StepStatus } from '#contract'
import { joinedMessages } from './claim.ts'
import { conclude } from './ending.ts'
import { anyQueued, queued, takeUp, toClaimed } from './message-row.ts'
import { append, ownSession, saveSession } from './session-row.ts'
import type { SessionRow } from './session-row.ts'
import type { Sql } from './sql.ts'
import { insertStep } from './step-row.ts'
import { loadTurn, saveTurn } from './turn-row.ts'

interface StepRow {
  readonly seq: number
  readonly status: StepStatus
  readonly attempts: number
  readonly joined: string | null
}

const loadStep = (sql: Sql, turn: string, key: string): StepRow | undefined =>
  sql.get<StepRow>('SELECT seq, status, attempts, joined FROM step WHERE turn = ? AND key = ?', turn, key)

export function startStep(sql: Sql, start: StepStart): StepStarted {
  const session = ownSession(sql, start)
  const row = loadStep(sql, start.turn, start.key)
  if (row !== undefined && (row.status === 'done' || row.status === 'unknown')) {
    throw new ConflictError(`Step ${start.key} of turn ${start.turn} is over and is not started again.`, { code: 'STEP_OVER' })
  }
  // What was begun once may have had its effect: it is brought to its end, whoever waits.
  if (start.waiting.policy === 'yield' && (row?.attempts ?? 0) === 0 && anyQueued(sql, session.seq)) return skip(sql, start, session)
  if (row !== undefined) {
    sql.run(
      `UPDATE step SET status = 'started', attempts = attempts + 1, name = ?, effect = ?, request_hash = ?, started_at = ? WHERE seq = ?`,
      start.name,
      start.effect,
      start.requestHash,
      start.now,
      row.seq,
    )
    return { status: 'started', attempt: row.attempts + 1, joined: joinedMessages(sql, row.joined) }
  }
  const { taken } = start.waiting.policy === 'join' ? queued(sql, session.seq, start.waiting.cap) : { taken: [] }
  const joined = taken.map(toClaimed)
  const seqs = taken.map((message) => message.seq)
  if (seqs.length > 0) join(sql, start, session, { seqs, messages: joined.flatMap(({ envelope }) => messagesOf(envelope)) })
  insertStep(sql, start, { status: 'started', attempts: 1, joined: seqs.length > 0 ? JSON.stringify(seqs) : null })
  return { status: 'started', attempt: 1, joined }
}

function join(sql: Sql, start: StepStart, session: SessionRow, added: { seqs: readonly number[]; messages: readonly Message[] }): void {
  const turn = loadTurn(sql, start.turn)
  if (turn === undefined) return
  takeUp(sql, added.seqs, start.turn)
  turn.messages = [...turn.messages, ...added.seqs]
  saveTurn(sql, turn)
  append(sql, session, { turn: start.turn, messages: added.messages, now: start.now })
  saveSession(sql, session, start.now)
}

const SKIPPED = 'Not run: a newer message arrived before this call was started.'

function skip(sql: Sql, start: StepStart, session: SessionRow): StepStarted {
  const outcome: SkillOutcome = { status: 'error', code: 'skipped', message: SKIPPED }
  if (loadStep(sql, start.turn, start.key) === undefined)
    insertStep(sql, { ...start, now: null }, { status: 'planned', attempts: 0, joined: null })
  sql.run(
    `UPDATE step SET status = 'done', result = ?, done_at = ? WHERE turn = ? AND key = ?`,
    JSON.stringify(outcome),
    start.now,
    start.turn,
    start.key,
  )
  const call = start.key.startsWith(SKILL) ? start.key.slice(SKILL.length) : start.key
  append(sql, session, { turn: start.turn, messages: [{ role: 'tool', call, skill: start.name, text: SKIPPED }], now: start.now })
  saveSession(sql, session, start.now)
  return { status: 'skipped', outcome }
}

/** A skill call's step is keyed by the call's id. */
const SKILL = 'skill:'

export function finishStep(sql: Sql, done: StepDone): Ended {
  const session = ownSession(sql, done)
  const changed = sql.run(
    `UPDATE step SET status = ?, name = ?, request_hash = coalesce(?, request_hash), result = ?, usage = ?, done_at = ?
     WHERE turn = ? AND key = ? AND status IN ('planned', 'started')`,
    done.status,
    done.name,
    done.requestHash,
    JSON.stringify(done.result),
    done.usage === null ? null : JSON.stringify(done.usage),
    done.now,
    done.turn,
    done.key,
  )
  if (changed === 0) throw new ConflictError(`Step ${done.key} of turn ${done.turn} is over, or was never started.`, { code: 'STEP_OVER' })
  append(sql, session, { turn: done.turn, messages: done.messages, now: done.now })
  for (const call of done.planned) {
    insertStep(
      sql,
      {
        ...done,
        key: SKILL + call.id,
        kind: 'skill',
        name: call.skill,
        effect: call.effect,
        requestHash: null,
        input: call.input,
        now: null,
      },
      { status: 'planned', attempts: 0, joined: null },
    )
  }
  if (done.summary !== null) compact(sql, session, done.turn, done.summary)
  if (done.end !== null) return conclude(sql, session, { turn: done.turn, end: done.end, now: done.now })
  survive(sql, done.turn)
  if (done.messages.length > 0 || done.summary !== null) saveSession(sql, session, done.now)
  return { seqs: [], more: anyQueued(sql, session.seq) }
}

function compact(sql: Sql, session: SessionRow, id: string, summary: string): void {
  const turn = loadTurn(sql, id)
  if (turn === undefined) return
  sql.run('INSERT OR REPLACE INTO summary (session, text) VALUES (?, ?)', session.seq, summary)
  session.floor_seq = Math.max(session.floor_seq, turn.base_seq)
}

/** Crashes count at the same step only. */
const survive = (sql: Sql, turn: string): number => sql.run('UPDATE turn SET crashes = 0 WHERE id = ? AND crashes > 0', turn)
