/** A run that failed as a problem document: whose fault it is, and whether the same may work later. */
import { SKILL_CODES } from '#contract'
import type { RunId, SkillErrorCode, SkillOutcome } from '#contract'
import { ProtocolError } from '../problem.ts'
import type { Slug } from '../problem.ts'
import { timesDocument } from './run-document.ts'

const SLUGS: { readonly [code in SkillErrorCode]: Slug } = {
  invalid_input: 'schema-violation',
  not_found: 'not-found',
  refused: 'skill-refused',
  cancelled: 'conflict',
  skipped: 'conflict',
  timeout: 'skill-timeout',
  busy: 'temporary-reduced-capacity',
  unavailable: 'temporary-reduced-capacity',
  invalid_output: 'skill-failed',
  oom: 'skill-failed',
  pids_exhausted: 'skill-failed',
  output_limit: 'skill-failed',
  crashed: 'skill-failed',
  protocol: 'skill-failed',
  deps_failed: 'skill-failed',
  egress_denied: 'skill-failed',
  unknown: 'skill-failed',
}

/** Their messages speak of one call; those of the others name the skill where it matters. */
const OF_THE_CALL: ReadonlySet<Slug> = new Set(['schema-violation', 'skill-failed', 'skill-timeout'])

export function skillProblem(
  { code, message, times }: SkillOutcome & { readonly status: 'error' },
  { skill, run, isForGood }: { readonly skill: string; readonly run: RunId; readonly isForGood: boolean },
): ProtocolError {
  const isLater = code === 'busy' || code === 'unavailable'
  return new ProtocolError(OF_THE_CALL.has(SLUGS[code]) ? `Skill "${skill}": ${message}` : message, {
    code: SKILL_CODES[code],
    slug: isForGood ? 'sandbox-unavailable' : SLUGS[code],
    headers: isLater && !isForGood ? { 'retry-after': code === 'busy' ? '1' : '5' } : {},
    members: { run_id: run, times: timesDocument(times) },
  })
}
