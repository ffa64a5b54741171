/** The port of runs: reserved, begun, ended, looked up. What is given up becomes a dead letter in the same transaction. */
import { ConflictError, asRunId, newDeadLetterId } from '#contract'
import type { NewRun, RunEnd, RunStatus, RunStore } from '#contract'
import type { Handlers } from './command.ts'
import { emit } from './events.ts'
import { insertLetter } from './letter-row.ts'
import { findRun, insertRun, listRuns } from './run-row.ts'
import type { Sql } from './sql.ts'

export const runWrites: Handlers<Pick<RunStore, 'add' | 'start' | 'defer' | 'finish' | 'record' | 'unfinished'>> = {
  add(sql, run, begun) {
    const taken = findRun(sql, { tenant: run.tenant, key: run.key })
    if (taken === null) insertRun(sql, run, begun)
    return taken
  },
  start(sql, id, version, now) {
    const row = sql.get<{ attempts: number }>(
      `UPDATE run SET status = 'running', attempts = attempts + 1, version = ?, started_at = coalesce(started_at, ?)
       WHERE id = ? AND open = 1 RETURNING attempts`,
      version,
      now,
      id,
    )
    if (row === undefined) throw over(id)
    return row.attempts
  },
  defer(sql, id) {
    sql.run(`UPDATE run SET status = 'queued', attempts = max(0, attempts - 1), started_at = NULL WHERE id = ? AND open = 1`, id)
  },
  finish(sql, id, end) {
    const run = sql.get<{ seq: number }>('SELECT seq FROM run WHERE id = ? AND open = 1', id)
    if (run === undefined) throw over(id)
    close(sql, run.seq, end)
  },
  record(sql, runs) {
    for (const { run, end, startedAt } of runs) {
      if (findRun(sql, { tenant: run.tenant, key: run.key }) !== null) continue
      const seq = insertRun(sql, run, null)
      sql.run('UPDATE run SET started_at = ? WHERE seq = ?', startedAt, seq)
      close(sql, seq, end)
    }
  },
  unfinished: (sql, after, limit) =>
    sql
      .all<{ id: string; seq: number; tenant: string; key: string; status: RunStatus }>(
        'SELECT id, seq, tenant, key, status FROM run WHERE open = 1 AND seq > ? ORDER BY seq LIMIT ?',
        after,
        limit,
      )
      .map((row) => ({ ...row, id: asRunId(row.id) })),
}

export const runReads: Handlers<Pick<RunStore, 'get' | 'list'>> = {
  get(sql, tenant, id) {
    const run = findRun(sql, { id })
    return run?.tenant === tenant ? run : null
  },
  list: listRuns,
}

function close(sql: Sql, seq: number, end: RunEnd): void {
  const status = end.dead !== null && end.status === 'failed' ? 'dead' : end.status
  const row = sql.get<NamedRun>(
    `UPDATE run SET status = ?, open = 0, version = ?, attempts = ?, ended_at = ?, key = iif(?, id, key) WHERE seq = ?
     RETURNING id, skill, version, tenant`,
    status,
    end.version,
    end.attempts,
    end.now,
    end.freesKey ? 1 : 0,
    seq,
  )
  sql.run('UPDATE run_content SET outcome = ?, logs = ? WHERE seq = ?', JSON.stringify(end.outcome), end.logs, seq)
  if (row === undefined) return
  emit(sql, {
    tenant: row.tenant,
    type: end.status === 'done' ? 'skill.invoked' : 'skill.failed',
    now: end.now,
    data: () => ({ run_id: row.id, skill: row.skill, version: row.version, status, attempts: end.attempts }),
  })
  if (end.dead === null) return
  const content = sql.get<{ input: string }>('SELECT input FROM run_content WHERE seq = ?', seq)
  const input: NewRun['input'] = JSON.parse(content?.input ?? 'null')
  insertLetter(sql, {
    id: newDeadLetterId(end.now),
    tenant: row.tenant,
    kind: 'run',
    ref: row.id,
    channel: '',
    session: null,
    reason: end.dead,
    attempts: end.attempts,
    content: { skill: row.skill, version: row.version, input, outcome: { ...end.outcome }, logs: end.logs },
    now: end.now,
  })
}

interface NamedRun {
  readonly id: string
  readonly skill: string
  readonly version: string | null
  readonly tenant: string
}

const over = (id: string): ConflictError => new ConflictError(`Run ${id} is over, or there is none such.`, { code: 'RUN_OVER' })
