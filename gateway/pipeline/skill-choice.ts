/** Which of its tenant's skills an agent may run, of its list: ids, `id@range`, and `*` for all. A range outweighs the star. */
import type { AgentDefinition, SkillDescriptor, SkillRunner } from '#contract'

export interface ChosenSkill {
  readonly descriptor: SkillDescriptor
  /** The range that the agent keeps to; undefined: what the rollout says. */
  readonly version: string | undefined
}

/** By id. What is not there now, or not in this range, is left out. */
export function chooseSkills(
  { tenant, skills: wanted }: Pick<AgentDefinition, 'tenant' | 'skills'>,
  runner: SkillRunner,
): ReadonlyMap<string, ChosenSkill> {
  const chosen = new Map<string, ChosenSkill>()
  const plain = new Set(wanted)
  for (const descriptor of runner.list(tenant)) {
    if (plain.has('*') || plain.has(descriptor.id)) chosen.set(descriptor.id, { descriptor, version: undefined })
  }
  for (const entry of wanted) {
    const at = entry.indexOf('@')
    if (at <= 0) continue
    const [id, version] = [entry.slice(0, at), entry.slice(at + 1)]
    const descriptor = runner.find(tenant, id, version)
    if (descriptor === null) chosen.delete(id)
    else chosen.set(id, { descriptor, version })
  }
  return chosen
}
