/** What the runner needs of the skills there are: the catalogue implements it. Which version a call gets is decided there. */
import type { Fault, JsonValue, SkillDescriptor, SkillOutcome, SkillRecord } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'

export interface Library {
  /** Of each id that can be called now the version that a call without one gets. */
  current(tenant: string): readonly SkillDescriptor[]
  /** Of what a call of this version, major or range gets; null: nothing of it can be called. */
  describe(tenant: string, id: string, asked: string): SkillDescriptor | null
  /** The version for this call, by the rollout of its major; callers with the same `sticky` get the same one. null: none can be called. */
  choose(tenant: string, id: string, asked: string | undefined, sticky: string): SkillRecord | null
  /** Ready to run, its signature verified. Rejects when it may not be run, or cannot be read. */
  load(record: SkillRecord): Promise<Bundle>
  /** What is wrong with the value; nothing: it fits. Bounded in time. */
  faultsOf(bundle: Bundle, side: 'inputs' | 'outputs', value: JsonValue): Promise<readonly Fault[]>
  /** How a run of it went, for canaries. */
  observe(record: SkillRecord, outcome: SkillOutcome, ms: number): void
}
