/** What a run's end is on record: its status, and whether it is given up as a dead letter. */
import { SKILL_CODES } from '#contract'
import type { Failure, RunEnd, SkillErrorCode, SkillOutcome } from '#contract'
import type { Execution } from './execution.ts'

/** The caller's own fault or wish: there is nothing to bring back. */
const CALLERS: ReadonlySet<SkillErrorCode> = new Set(['invalid_input', 'cancelled', 'refused', 'not_found', 'skipped'])
/** Nothing was there to run it in: whoever asked is told to come back, or it waits. */
const NOT_NOW: ReadonlySet<SkillErrorCode> = new Set(['unavailable', 'busy'])

export const isNotNow = ({ outcome, hasStarted }: Pick<Execution, 'outcome' | 'hasStarted'>): boolean =>
  outcome.status === 'error' && NOT_NOW.has(outcome.code) && !hasStarted

/** `isLost`: it will not be tried again, whatever the reason. */
export function endOf(execution: Execution, now: number, isLost = false): RunEnd {
  const { outcome, version, attempts, hasStarted, logs } = execution
  const isOk = outcome.status === 'ok'
  return {
    status: isOk ? 'done' : 'failed',
    version,
    attempts,
    outcome,
    logs,
    now,
    dead: isOk || CALLERS.has(outcome.code) || (isNotNow(execution) && !isLost) ? null : failureOf(outcome),
    freesKey: !isOk && !hasStarted && !isLost,
  }
}

export function unknownEnd(
  run: { readonly version: string | null; readonly attempts: number; readonly logs: string },
  now: number,
): RunEnd {
  const outcome = {
    status: 'error',
    code: 'unknown',
    message: 'The gateway ended while this ran; whether it happened is not known.',
  } as const
  return { ...run, status: 'unknown', outcome, now, dead: failureOf(outcome), freesKey: false }
}

const failureOf = ({ code, message }: SkillOutcome & { readonly status: 'error' }): Failure => ({ code: SKILL_CODES[code], message })
