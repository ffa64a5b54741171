/** The run of a skill as rows: what it was given and what became of it. The port is runs.ts. */
import { asRunId } from '#contract'
import type { JsonValue, NewRun, RunRecord, RunStatus, SkillEffect } from '#contract'
import type { Sql } from './sql.ts'

interface RunRow {
  readonly seq: number
  readonly id: string
  readonly tenant: string
  readonly key: string
  readonly skill: string
  readonly asked: string | null
  readonly version: string | null
  readonly caller: string
  readonly effect: SkillEffect
  readonly status: RunStatus
  readonly attempts: number
  readonly timeout_ms: number | null
  readonly traceparent: string | null
  readonly created_at: number
  readonly started_at: number | null
  readonly ended_at: number | null
  readonly input: string
  readonly outcome: string | null
  readonly logs: string
}

const WHOLE = 'SELECT r.*, c.input, c.outcome, c.logs FROM run r JOIN run_content c USING (seq)'

export function findRun(sql: Sql, by: { readonly id: string } | { readonly tenant: string; readonly key: string }): RunRecord | null {
  const row =
    'id' in by
      ? sql.get<RunRow>(`${WHOLE} WHERE r.id = ?`, by.id)
      : sql.get<RunRow>(`${WHOLE} WHERE r.tenant = ? AND r.key = ?`, by.tenant, by.key)
  return row === undefined ? null : toRun(row)
}

export function listRuns(
  sql: Sql,
  filter: { readonly tenant: string; readonly skill?: string; readonly status?: RunStatus },
  before: number | null,
  limit: number,
): readonly RunRecord[] {
  return sql
    .all<RunRow>(
      `${WHOLE} WHERE r.tenant = ?1 AND r.seq < ?2 AND (?3 IS NULL OR r.skill = ?3) AND (?4 IS NULL OR r.status = ?4)
       ORDER BY r.seq DESC LIMIT ?5`,
      filter.tenant,
      before ?? Number.MAX_SAFE_INTEGER,
      filter.skill ?? null,
      filter.status ?? null,
      limit,
    )
    .map(toRun)
}

export function insertRun(sql: Sql, run: NewRun, begun: { readonly version: string } | null): number {
  const seq = sql.insert(
    `INSERT INTO run (id, tenant, key, skill, asked, version, caller, effect, status, open, attempts, timeout_ms, traceparent, created_at,
       started_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)`,
    run.id,
    run.tenant,
    run.key,
    run.skill,
    run.asked,
    begun?.version ?? null,
    JSON.stringify(run.caller),
    run.effect,
    begun === null ? 'queued' : 'running',
    begun === null ? 0 : 1,
    run.timeoutMs,
    run.traceparent,
    run.createdAt,
    begun === null ? null : run.createdAt,
  )
  sql.run('INSERT INTO run_content (seq, input) VALUES (?, ?)', seq, JSON.stringify(run.input))
  return seq
}

/** False: there is none, or it is not over. */
export function requeueRun(sql: Sql, id: string): boolean {
  const changed = sql.run(
    `UPDATE run SET status = 'queued', open = 1, attempts = 0, version = NULL, started_at = NULL, ended_at = NULL WHERE id = ? AND open = 0`,
    id,
  )
  if (changed === 0) return false
  sql.run(`UPDATE run_content SET outcome = NULL, logs = '' WHERE seq = (SELECT seq FROM run WHERE id = ?)`, id)
  return true
}

export function changeRunInput(sql: Sql, id: string, input: JsonValue): void {
  sql.run('UPDATE run_content SET input = ? WHERE seq = (SELECT seq FROM run WHERE id = ?)', JSON.stringify(input), id)
}

/** Retention. Numbers grow with time, so the walk ends at the first run that is young. */
export function pruneRuns(sql: Sql, before: number, limit: number): number {
  if (limit <= 0) return 0
  const old: { readonly seq: number; readonly id: string }[] = []
  const rows = sql.iterate<{ seq: number; id: string; open: number; created_at: number; ended_at: number | null }>(
    'SELECT seq, id, open, created_at, ended_at FROM run ORDER BY seq',
  )
  for (const row of rows) {
    if (row.created_at >= before || old.length === limit) break
    const isOver = row.open === 0 && row.ended_at !== null && row.ended_at < before
    if (isOver && sql.get(`SELECT 1 FROM dead_letter WHERE ref = ? AND status = 'open'`, row.id) === undefined) old.push(row)
  }
  for (const { seq, id } of old) {
    sql.run('DELETE FROM dead_letter WHERE ref = ?', id)
    sql.run('DELETE FROM run_content WHERE seq = ?', seq)
    sql.run('DELETE FROM run WHERE seq = ?', seq)
  }
  return old.length
}

const toRun = (row: RunRow): RunRecord => ({
  id: asRunId(row.id),
  seq: row.seq,
  tenant: row.tenant,
  key: row.key,
  skill: row.skill,
  asked: row.asked,
  version: row.version,
  caller: JSON.parse(row.caller),
  effect: row.effect,
  status: row.status,
  attempts: row.attempts,
  input: JSON.parse(row.input),
  outcome: row.outcome === null ? null : JSON.parse(row.outcome),
  logs: row.logs,
  timeoutMs: row.timeout_ms,
  traceparent: row.traceparent,
  createdAt: row.created_at,
  startedAt: row.started_at,
  endedAt: row.ended_at,
})
