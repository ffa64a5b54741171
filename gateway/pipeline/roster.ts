/**
 * The agents there are, each in its tenant: those declared in the configuration and those registered over the API; the file wins a name.
 * Nobody finds another tenant's.
 */
import type { AgentDefinition } from '#contract'

type Named = Map<string, AgentDefinition>

export class Roster {
  #declared: readonly AgentDefinition[]
  #registered: readonly AgentDefinition[] = []
  #byTenant: ReadonlyMap<string, Named> = new Map()
  #byKey: ReadonlyMap<string, AgentDefinition> = new Map()

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

  /** Of one tenant, or of all. */
  list(tenant?: string): readonly AgentDefinition[] {
    const all = [...this.#byKey.values()]
    return tenant === undefined ? all : all.filter((agent) => agent.tenant === tenant)
  }

  find(tenant: string, nameOrId: string): AgentDefinition | null {
    return this.#byTenant.get(tenant)?.get(nameOrId) ?? null
  }

  /** By what `agentKey` made. */
  at(key: string): AgentDefinition | null {
    return this.#byKey.get(key) ?? null
  }

  #index(): void {
    const byKey = new Map<string, AgentDefinition>()
    for (const agent of this.#registered) byKey.set(agentKey(agent), agent)
    for (const agent of this.#declared) byKey.set(agentKey(agent), { ...agent, id: byKey.get(agentKey(agent))?.id ?? agent.id })
    const byTenant = new Map<string, Named>()
    for (const agent of byKey.values()) {
      const named: Named = byTenant.get(agent.tenant) ?? new Map()
      byTenant.set(agent.tenant, named.set(agent.name, agent))
      if (agent.id !== null) named.set(agent.id, agent)
    }
    this.#byKey = byKey
    this.#byTenant = byTenant
  }
}

/** One agent of the gateway as one text, for those who count by agent. */
export const agentKey = ({ tenant, name }: Pick<AgentDefinition, 'tenant' | 'name'>): string => `${tenant}/${name}`
