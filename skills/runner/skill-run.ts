/** A run as the store keeps it, as the runner takes it. */
import type { NewRun, SkillRun } from '#contract'
import type { Live } from './live.ts'

export const skillRunOf = (run: Omit<NewRun, 'id' | 'createdAt' | 'effect'>, live: Live): SkillRun => ({
  skill: run.skill,
  input: run.input,
  key: run.key,
  attempt: 1,
  tenant: run.tenant,
  caller: run.caller,
  signal: live.signal,
  watch: (event) => live.tell(event),
  ...(run.asked !== null && { version: run.asked }),
  ...(run.traceparent !== null && { traceparent: run.traceparent }),
  ...(run.timeoutMs !== null && { timeoutMs: run.timeoutMs }),
})
