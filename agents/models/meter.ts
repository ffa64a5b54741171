/** What model calls cost in tokens, money and time, for `/api/metrics`. */
import type { Counter, Histogram, Metrics, Usage } from '#contract'

export class Meter {
  readonly #tokens: Counter
  readonly #cost: Counter
  readonly #latency: Histogram
  readonly #retries: Counter

  constructor(metrics: Metrics) {
    this.#tokens = metrics.counter({
      name: 'openclaw_llm_tokens_total',
      help: 'Tokens of model calls.',
      labels: ['agent', 'model', 'kind'],
    })
    this.#cost = metrics.counter({
      name: 'openclaw_llm_cost_usd_total',
      help: 'Cost of model calls in US dollars.',
      labels: ['agent', 'model'],
    })
    this.#latency = metrics.histogram({
      name: 'openclaw_llm_latency_seconds',
      help: 'Time from the first attempt of a model call to its answer.',
      labels: ['agent', 'model'],
      buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    })
    this.#retries = metrics.counter({ name: 'openclaw_retries_total', help: 'Attempts beyond the first.', labels: ['stage'] })
    this.#retries.inc(['llm'], 0)
  }

  answered({ name, agent }: { readonly name: string; readonly agent: string }, usage: Usage): void {
    this.#tokens.inc([agent, name, 'input'], usage.inputTokens)
    this.#tokens.inc([agent, name, 'output'], usage.outputTokens)
    if (usage.cacheReadTokens > 0) this.#tokens.inc([agent, name, 'cache_read'], usage.cacheReadTokens)
    if (usage.costNano !== null && usage.costNano > 0) this.#cost.inc([agent, name], usage.costNano / 1e9)
    this.#latency.observe(usage.latencyMs / 1_000, [agent, name])
  }

  retried(): void {
    this.#retries.inc(['llm'])
  }
}
