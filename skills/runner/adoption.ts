/**
 * A run that outlived its gateway: listened to again, held to its schemas and cleaned of secrets like every other. Whether one that
 * is not found is run again is for whoever asks.
 */
import type { Clock, Log, SkillOutcome, SkillRun } from '#contract'
import type { SkillsSettings } from '../settings.ts'
import type { Admission } from './admission.ts'
import { converse, judge } from './attempt.ts'
import { MAX_FAMILY } from './composition.ts'
import { outsideKey } from './invocation.ts'
import type { Execution, Family } from './execution.ts'
import { grantOf } from './grant.ts'
import type { Library } from './library.ts'
import { Redaction } from './redaction.ts'
import type { Sandboxes } from './sandboxes.ts'
import { Telling } from './telling.ts'

export interface AdoptionParts {
  readonly settings: () => SkillsSettings
  readonly admission: Admission
  readonly library: Library
  readonly sandboxes: Sandboxes
  readonly clock: Clock
  readonly log: Log
  readonly execute: (run: SkillRun, family: Family) => Promise<SkillOutcome>
}

/** null: none such outlived it. */
export async function adoptRun(
  run: Omit<SkillRun, 'input' | 'attempt'>,
  { settings, admission, library, sandboxes, clock, log, execute }: AdoptionParts,
): Promise<Execution | null> {
  const startedAt = clock.now()
  const record = admission.resolve(run)
  const bundle = record === null ? null : await admission.load(record)
  if (bundle === null || 'status' in bundle) return null
  const { descriptor } = bundle
  const { id: skill, version, effect, timeoutMs } = descriptor
  const { secrets, egress } = grantOf(descriptor, { tenant: run.tenant, settings: settings() })
  const told = Object.values(secrets)
  const redaction = new Redaction(told)
  const telling = new Telling({ clock, redaction, watch: run.watch })
  const whole: SkillRun = { ...run, input: null, attempt: 1 }
  const family: Family = { budget: { left: MAX_FAMILY }, isHooked: true, secrets: told }
  const conversation = converse({ run: whole, family, telling, clock, execute }, run.signal, timeoutMs)
  const ended = await sandboxes.adopt(outsideKey(run), { skill, egress, timeoutMs, signal: run.signal, ...conversation })
  const logs = telling.end()
  if (ended === null) return null
  const judged = await judge({ bundle, grant: { egress }, library, redaction, log, run: whole }, ended)
  return { ...judged, version, effect, attempts: 1, logs, startedAt }
}
