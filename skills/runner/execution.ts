/** The vocabulary of the runner's parts: what a run came to, and how failures and times are written. */
import type { SkillEffect, SkillErrorCode, SkillOutcome, SkillRun, SkillTimes } from '#contract'

/** A run that has ended. */
export interface Execution {
  readonly outcome: SkillOutcome
  /** null: no version was found for it. */
  readonly version: string | null
  readonly effect: SkillEffect
  /** Of its code; 0: nothing of it ran. */
  readonly attempts: number
  readonly hasStarted: boolean
  readonly logs: string
  /** When it was asked for. */
  readonly startedAt: number
  /** As that of `Ended`. */
  readonly acknowledge?: () => void
}

/** What the skills below one call from outside have in common. */
export interface Family {
  /** Runs that it may still make. */
  readonly budget: { left: number }
  /** Hooks run around it, and around what it calls. */
  readonly isHooked: boolean
  /** Of all that are above: they may be in what is handed on, and have to be in nothing that is kept. */
  readonly secrets: readonly string[]
}

export const NO_TIMES: SkillTimes = { queueMs: 0, startMs: 0, runMs: 0 }

export const failed = (code: SkillErrorCode, message: string, times?: SkillTimes): SkillOutcome & { readonly status: 'error' } => ({
  status: 'error',
  code,
  message,
  ...(times !== undefined && { times }),
})

export const addTimes = (a: SkillTimes, b: SkillTimes): SkillTimes => ({
  queueMs: a.queueMs + b.queueMs,
  startMs: a.startMs + b.startMs,
  runMs: a.runMs + b.runMs,
})

/** Whose calls stay with the same version while one is rolled out. */
export function stickyOf({ caller }: Pick<SkillRun, 'caller'>): string {
  if (caller.is === 'agent') return caller.session
  return caller.is === 'client' ? caller.principal : caller.root
}
