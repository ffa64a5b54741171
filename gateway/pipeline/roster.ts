/** The agents there are: those declared in the configuration and those registered over the API; the file wins a name. */
import type { AgentDefinition } from '#contract'

export class Roster {
  #declared: readonly AgentDefinition[]
  #registered: readonly AgentDefinition[] = []
  #byName = new Map<string, AgentDefinition>()

  constructor(declared: readonly AgentDefinition[]) {
    this.#declared = declared
    this.#index()
  }

  /** A reload: turns under way keep the definition they began with. */
  declare(agents: readonly AgentDefinition[]): void {
    this.#declared = agents
    this.#index()
  }

  register(agents: readonly AgentDefinition[]): void {
    this.#registered = agents
    this.#index()
  }

  list(): readonly AgentDefinition[] {
    return [...new Set(this.#byName.values())]
  }

  find(nameOrId: string): AgentDefinition | null {
    return this.#byName.get(nameOrId) ?? null
  }

  #index(): void {
    const byName = new Map<string, AgentDefinition>()
    for (const agent of this.#registered) byName.set(agent.name, agent)
    for (const agent of this.#declared) byName.set(agent.name, { ...agent, id: byName.get(agent.name)?.id ?? agent.id })
    const named = [...byName.values()]
    for (const agent of named) if (agent.id !== null) byName.set(agent.id, agent)
    this.#byName = byName
  }
}
