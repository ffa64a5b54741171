/** The step as a row: planned, or begun. What becomes of it is step.ts. */
import type { StepStart, StepStatus } from '#contract'
import type { Sql } from './sql.ts'

export function insertStep(
  sql: Sql,
  start: Omit<StepStart, 'waiting' | 'now' | 'session'> & { readonly now: number | null },
  first: { readonly status: StepStatus; readonly attempts: number; readonly joined: string | null },
): void {
  sql.run(
    `INSERT INTO step (turn, key, kind, name, effect, status, attempts, request_hash, started_at, joined, input)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    start.turn,
    start.key,
    start.kind,
    start.name,
    start.effect,
    first.status,
    first.attempts,
    start.requestHash,
    start.now,
    first.joined,
    JSON.stringify(start.input),
  )
}
