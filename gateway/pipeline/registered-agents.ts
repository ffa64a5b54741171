/** Agents that are registered over the API: stored, put on the roster beside those of the configuration, and there again after a restart. */
import { describeError, newAgentId } from '#contract'
import type { AgentDefinition, AgentId, Clock, JsonObject, Log, Store } from '#contract'
import type { Feed } from './feed.ts'
import type { Roster } from './roster.ts'

export interface RegisteredAgentsParts {
  readonly store: Pick<Store, 'agents'>
  readonly roster: Roster
  readonly feed: Feed
  readonly clock: Clock
  readonly log: Log
  /** @throws InvalidError with every fault of the declaration */
  readonly declared: (tenant: string, declaration: JsonObject) => AgentDefinition
}

export class RegisteredAgents {
  readonly #parts: RegisteredAgentsParts

  constructor(parts: RegisteredAgentsParts) {
    this.#parts = parts
  }

  /** Puts those that are stored on the roster. */
  async read(): Promise<void> {
    const { store, roster, log, declared } = this.#parts
    const agents: AgentDefinition[] = []
    for (const { id, tenant, name, declaration } of await store.agents.list()) {
      try {
        agents.push({ ...declared(tenant, declaration), id })
      } catch (error) {
        log.warn(
          { tenant, agent: name, 'error.code': describeError(error).code },
          'A registered agent is not valid any more and is left out.',
        )
      }
    }
    roster.register(agents)
  }

  /** @throws InvalidError with every fault of the declaration */
  async register(tenant: string, declaration: JsonObject): Promise<{ readonly id: AgentId; readonly name: string }> {
    const { store, feed, clock, log, declared } = this.#parts
    const now = clock.now()
    const agent = declared(tenant, declaration)
    const { id, name } = await store.agents.put({ id: newAgentId(now), tenant, name: agent.name, declaration, createdAt: now })
    await this.read()
    feed.emit({ type: 'event', tenant, name: 'agent.registered', data: { id, name } })
    log.info({ tenant, agent: name }, 'agent registered')
    return { id, name }
  }
}
