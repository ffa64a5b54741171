/** What is told of every agent that there is, whether it has ever done anything or not: a metric that is missing raises no alarm. */
import type { Clock, Metrics } from '#contract'
import type { Roster } from './roster.ts'

export interface AgentMetricsParts {
  readonly metrics: Metrics
  readonly clock: Clock
  readonly roster: Roster
  /** Turns of an agent that are under way. */
  readonly runningOf: (agent: string) => number
  /** Turns can be begun. */
  readonly isUp: () => boolean
  /** How often the gateway, and so every agent, was started in its folder; 0: not known yet. */
  readonly starts: () => number
}

/** Beyond it the registry drops series anyway. */
const MAX_AGENTS = 2_048

export function measureAgents({ metrics, clock, roster, runningOf, isUp, starts }: AgentMetricsParts): void {
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
        if (!isUp()) set(0, [name, 'down'])
        // At once after the start it is up, and 0 would say that it is not.
        else set(Math.max(1, clock.now() - at) / 1_000, [name, runningOf(name) > 0 ? 'running' : 'idle'])
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
    set(since.size)
    for (const name of since.keys()) {
      if (told.has(name) || told.size >= MAX_AGENTS || starts() === 0) continue
      told.add(name)
      restarts.inc([name], starts() - 1)
    }
  })
}
