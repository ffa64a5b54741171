/** Agents that are registered over the API: stored, put on the roster beside those of the configuration, and there again after a restart. */
import { ConflictError, NotFoundError, describeError, newAgentId } from '#contract'
import type { AgentDefinition, AgentId, Clock, JsonObject, Log, RegisteredAgent, Store } from '#contract'
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

/** Of one tenant: each is held in memory and is a label of metrics. */
const MAX_AGENTS = 1_000

export class RegisteredAgents {
  readonly #parts: RegisteredAgentsParts
  #last: Promise<unknown> = Promise.resolve()

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

  /** One by its id, as it was declared; null: none such. */
  async find(tenant: string, id: string): Promise<RegisteredAgent | null> {
    return (await this.#parts.store.agents.list()).find((agent) => agent.tenant === tenant && agent.id === id) ?? null
  }

  /** One at a time: `decide` is given the declaration as it is then, and answers the next one; null: it goes. */
  change(tenant: string, id: string, decide: (now: JsonObject) => JsonObject | null): Promise<void> {
    return this.#alone(async () => {
      const agent = await this.find(tenant, id)
      if (agent === null) throw new NotFoundError('There is no agent of this name or id.', { code: 'AGENT_UNKNOWN' })
      const next = decide(agent.declaration)
      if (next === null) await this.#remove(agent)
      else await this.#register(tenant, { ...next, name: agent.name })
    })
  }

  /** @throws InvalidError with every fault of the declaration */
  register(tenant: string, declaration: JsonObject): Promise<{ readonly id: AgentId; readonly name: string }> {
    return this.#alone(() => this.#register(tenant, declaration))
  }

  async #remove({ id, tenant, name }: RegisteredAgent): Promise<void> {
    const { store, feed, log } = this.#parts
    await store.agents.remove(id)
    await this.read()
    feed.emit({ type: 'event', tenant, name: 'agent.removed', data: { id, name } })
    log.info({ tenant, agent: name }, 'registered agent removed')
  }

  async #register(tenant: string, declaration: JsonObject): Promise<{ readonly id: AgentId; readonly name: string }> {
    const { store, feed, clock, log, declared } = this.#parts
    const now = clock.now()
    const agent = declared(tenant, declaration)
    const others = (await store.agents.list()).filter((other) => other.tenant === tenant && other.name !== agent.name)
    if (others.length >= MAX_AGENTS)
      throw new ConflictError(`${MAX_AGENTS} agents are registered already. Remove some first.`, { code: 'TOO_MANY_AGENTS' })
    const { id, name } = await store.agents.put({ id: newAgentId(now), tenant, name: agent.name, declaration, createdAt: now })
    await this.read()
    feed.emit({ type: 'event', tenant, name: 'agent.registered', data: { id, name } })
    log.info({ tenant, agent: name }, 'agent registered')
    return { id, name }
  }

  /** In the order of asking; one that failed holds up none. */
  #alone<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(run)
    this.#last = result.catch(() => undefined)
    return result
  }
}
