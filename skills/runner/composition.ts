/**
 * A skill calls another: the same way again, within the bounds of the first. No deeper than five, none that is above it already, no more than
 * so many together, and never longer than its caller has.
 */
import type { Clock, JsonValue, SkillOutcome, SkillRun } from '#contract'
import { failed } from './execution.ts'
import type { Family } from './execution.ts'
import { Limit } from './limit.ts'

const MAX_DEPTH = 5
/** Of one caller. They take no place of their own: their caller has one and waits for them. */
const MAX_AT_ONCE = 4
/** Of one call from outside, all that it leads to together. */
export const MAX_FAMILY = 64

export interface Parent {
  readonly run: Pick<SkillRun, 'skill' | 'key' | 'tenant' | 'caller' | 'traceparent'>
  readonly family: Family
  readonly signal: AbortSignal
  readonly clock: Clock
  /** When the caller's own time is over. */
  readonly deadlineAt: () => number
  readonly execute: (run: SkillRun, family: Family) => Promise<SkillOutcome>
}

/** `ctx.call` of one attempt; at the next attempt the keys are the same again. Never rejects. */
export function callsOf(parent: Parent): (skill: string, input: JsonValue, n: number) => Promise<SkillOutcome> {
  const { run, family, signal, clock } = parent
  const chain = run.caller.is === 'skill' ? [...run.caller.chain, run.skill] : [run.skill]
  const root = run.caller.is === 'skill' ? run.caller.root : run.key
  const limit = new Limit({ maxConcurrent: MAX_AT_ONCE, maxQueued: MAX_FAMILY, queueMs: 300_000 }, clock)
  return async (skill, input, n) => {
    const key = `${run.key}/${n}`
    if (chain.includes(skill)) return failed('refused', `Skill "${skill}" is running above this one: ${[...chain, skill].join(' → ')}.`)
    if (chain.length >= MAX_DEPTH) return failed('refused', `Skills call each other ${MAX_DEPTH} deep at most: ${chain.join(' → ')}.`)
    if (family.budget.left <= 0) return failed('refused', `One call may lead to ${MAX_FAMILY} others at most.`)
    family.budget.left--
    const place = await limit.take({ tenant: run.tenant, skill }, signal)
    if (place.is !== 'had') return failed(place.is === 'aborted' ? 'cancelled' : 'busy', 'The calling skill ended before this was started.')
    try {
      const timeoutMs = parent.deadlineAt() - clock.now()
      if (timeoutMs <= 0) return failed('timeout', 'The time of the calling skill is over.')
      const caller = { is: 'skill', chain, root } as const
      const traced = run.traceparent !== undefined && { traceparent: run.traceparent }
      return await parent.execute({ skill, input, key, attempt: 1, tenant: run.tenant, caller, ...traced, timeoutMs, signal }, family)
    } finally {
      place.release()
    }
  }
}
