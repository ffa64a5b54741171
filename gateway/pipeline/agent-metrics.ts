/** What is told of every agent that there is, whether it has ever done anything or not: a metric that is missing raises no alarm. */
import type { AgentDefinition, Clock, Metrics } from '#contract'
import type { Roster } from './roster.ts'
import { TurnMetrics } from './turn-metrics.ts'

export interface AgentMetricsParts {
  readonly metrics: Metrics
  readonly clock: Clock
  readonly roster: Roster
  /** Turns of an agent that are under way. */
  readonly runningOf: (agent: string) => number
  /** Which models stand behind an agent. */
  readonly modelsOf: (agent: AgentDefinition) => readonly string[]
  /** Turns can be begun. */
  readonly isUp: () => boolean
  /** How often the gateway, and so every agent, was started in its folder; 0: not known yet. */
  readonly starts: () => number
}

export type AgentStatus = 'idle' | 'running' | 'down'

/** down: its gateway cannot begin turns now. */
export const statusOf = (isUp: boolean, runningTurns: number): AgentStatus => (!isUp ? 'down' : runningTurns > 0 ? 'running' : 'idle')

/** Beyond it the registry drops series anyway. */
const MAX_AGENTS = 2_048
/** Counts of agents and of their models that are there at 0: a fraction of the registry's series, so that many agents crowd out nothing. */
const MAX_BEGUN = 400

export function measureAgents(parts: AgentMetricsParts): void {
  const { metrics, clock, roster, runningOf, isUp, starts } = parts
  const begin = beginning(parts)
  const since = new Map<string, number>()
  const look = (): void => {
    const names = new Set(roster.list().map(({ name }) => name))
    for (const name of since.keys()) if (!names.has(name)) since.delete(name)
    for (const name of names) if (!since.has(name)) since.set(name, clock.now())
  }
  look()
  metrics
    .gauge({
      name: 'openclaw_agent_uptime_seconds',
      help: 'How long the agent has been there, 0 while it is down. One series an agent: its status moves it.',
      labels: ['agent', 'status'],
    })
    .collect((set) => {
      look()
      for (const [name, at] of since) {
        const status = statusOf(isUp(), runningOf(name))
        // At once after the start it is up, and 0 would say that it is not.
        set(status === 'down' ? 0 : Math.max(1, clock.now() - at) / 1_000, [name, status])
      }
    })
  const restarts = metrics.counter({
    name: 'openclaw_restarts_total',
    help: 'How often the agent was started again with its gateway, over all lives of its folder.',
    labels: ['agent'],
  })
  const told = new Set<string>()
  metrics.gauge({ name: 'openclaw_agents', help: 'Agents that there are.' }).collect((set) => {
    look()
    begin()
    set(since.size)
    for (const name of since.keys()) {
      if (told.has(name) || told.size >= MAX_AGENTS || starts() === 0) continue
      told.add(name)
      restarts.inc([name], starts() - 1)
    }
  })
}

/**
 * Counts that alerts ask for exist before the first time: `increase()` does not see a step from nothing to 1 (prometheus.io, "Avoid missing metrics"), so an
 * agent's first failure, or first costs, would be in no alert.
 */
function beginning({ metrics, roster, modelsOf }: AgentMetricsParts): () => void {
  const turns = new TurnMetrics(metrics)
  const cost = metrics.counter(LLM_COST)
  const begun = new Set<string>()
  const isNew = (key: string): boolean => begun.size < MAX_BEGUN && !begun.has(key) && begun.add(key).has(key)
  return () => {
    for (const agent of roster.list()) {
      if (isNew(agent.name)) for (const counter of [turns.runs, turns.failed]) counter.inc([agent.name], 0)
      for (const model of modelsOf(agent)) if (isNew(`${agent.name} ${model}`)) cost.inc([agent.name, model], 0)
    }
  }
}

/** As those count it who call models. */
const LLM_COST = { name: 'openclaw_llm_cost_usd_total', help: 'Cost of model calls in US dollars.', labels: ['agent', 'model'] }
