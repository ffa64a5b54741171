/** What a skill that ships with the gateway and runs in its process has to be. */
import type { Clock, JsonValue, SkillDescriptor } from '#contract'

/** What they have in common. */
export const INSIDE: Pick<SkillDescriptor, 'runtime' | 'resources' | 'network' | 'secrets' | 'dependencies' | 'tests'> = {
  runtime: { language: 'gateway', entrypoint: '' },
  resources: { memoryMb: 0, cpus: 0, pids: 0, tmpMb: 0 },
  network: { allow: [] },
  secrets: [],
  dependencies: null,
  tests: [],
}

/** One skill: what it is, and what it does. */
export interface InProcessSkill {
  readonly descriptor: SkillDescriptor
  run(input: JsonValue, context: SkillContext): Promise<JsonValue> | JsonValue
}
export interface SkillContext {
  readonly clock: Clock
  /** The same at every attempt of the same call. */
  readonly key: string
  readonly signal: AbortSignal
}
