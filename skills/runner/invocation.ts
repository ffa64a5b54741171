/** What a client asks for, as a run that can be put on record; and whether two ask for the same. What becomes of it is `runs.ts`. */
import { ConflictError, DEFAULT_TENANT, canonicalJson, newRunId } from '#contract'
import type { Invocation, NewRun, SkillEffect, SkillRecord, SkillRun } from '#contract'

/** `record`: the version that it would get now; null: there is none. */
export function runOf(invocation: Invocation, record: SkillRecord | null, now: number): NewRun {
  const { tenant, principal, skill, version, input, key, timeoutMs, traceparent } = invocation
  const id = newRunId(now)
  return {
    id,
    tenant,
    // Without a `/`: what follows one is a call that a skill makes, or a hook's.
    key: key === null ? id : `client:${encodeURIComponent(principal)}:${encodeURIComponent(key)}`,
    skill,
    asked: version ?? null,
    caller: { is: 'client', principal },
    effect: record === null ? 'none' : effectOf(record),
    input,
    timeoutMs: timeoutMs ?? null,
    traceparent: traceparent ?? null,
    createdAt: now,
  }
}

/** What decides about the version. */
export const callOf = ({ tenant, principal, skill, version }: Invocation): Pick<SkillRun, 'tenant' | 'skill' | 'version' | 'caller'> => ({
  tenant,
  skill,
  caller: { is: 'client', principal },
  ...(version !== undefined && { version }),
})

export const keyOf = ({ tenant, key }: Pick<NewRun, 'tenant' | 'key'>): string => `${tenant}\n${key}`

/**
 * What a run is known by outside of the runner: to its sandbox, which may outlive the gateway, and to whatever its skill has an effect on.
 * Two tenants may use one key, and one's run is never taken up, or held for a repeat, as the other's.
 */
export const outsideKey = ({ tenant, key }: Pick<NewRun, 'tenant' | 'key'>): string =>
  tenant === DEFAULT_TENANT ? key : `tenant:${tenant}:${key}`

export const isSame = (a: Pick<NewRun, 'skill' | 'asked' | 'input'>, b: Pick<NewRun, 'skill' | 'asked' | 'input'>): boolean =>
  a === b || (a.skill === b.skill && a.asked === b.asked && canonicalJson(a.input) === canonicalJson(b.input))

export const reused = (): ConflictError =>
  new ConflictError('This Idempotency-Key was used for another call. Use a new key.', { code: 'IDEMPOTENCY_KEY_REUSED' })

/** The descriptor is kept as it was written; what does not say is the safe one. */
function effectOf({ descriptor }: SkillRecord): SkillEffect {
  const { effect } = descriptor
  return effect === 'none' || effect === 'idempotent' ? effect : 'once'
}
