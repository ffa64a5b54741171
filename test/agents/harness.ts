/** What agent tests need around them: a clock that moves when told, metrics that count, a log that keeps still. */
import { Agents } from '../../agents/agents.ts'
import { DEFAULT_MODELS } from '../../agents/models/config.ts'
import type { Env, ModelsConfig } from '../../agents/models/config.ts'
import type { Clock, Metrics } from '#contract'
import { FakeClock } from '../support/fake-clock.ts'
import { quietLog } from '../support/quiet-log.ts'

/** Time passes as soon as somebody waits for it, except for bounds of calls, which are long. */
export class EagerClock extends FakeClock {
  override after(ms: number, run: () => void): () => void {
    const cancel = super.after(ms, run)
    if (ms <= 30_000) setImmediate(() => this.advance(ms))
    return cancel
  }
}

export class CountingMetrics implements Metrics {
  readonly values: Map<string, number> = new Map()
  counter({ name }: { readonly name: string }): { inc(labels?: readonly string[], by?: number): void } {
    return { inc: (labels = [], by = 1) => this.#add(`${name}{${labels.join()}}`, by) }
  }
  gauge(): { set(): void; collect(): void } {
    return { set() {}, collect() {} }
  }
  histogram({ name }: { readonly name: string }): { observe(value: number, labels?: readonly string[]): void } {
    return { observe: (_value, labels = []) => this.#add(`${name}{${labels.join()}}`, 1) }
  }
  #add(key: string, by: number): void {
    this.values.set(key, (this.values.get(key) ?? 0) + by)
  }
}

export const modelsConfig = (config: Partial<ModelsConfig> = {}): ModelsConfig => ({ ...DEFAULT_MODELS, ...config })

export interface TestAgents {
  readonly agents: Agents
  readonly metrics: CountingMetrics
}
export function createAgents(
  options: { readonly models?: Partial<ModelsConfig>; readonly env?: Env; readonly clock?: Clock } = {},
): TestAgents {
  const metrics = new CountingMetrics()
  const agents = new Agents({
    models: modelsConfig(options.models),
    env: options.env ?? {},
    log: quietLog,
    clock: options.clock ?? new FakeClock(),
    metrics,
    random: () => 0.5,
    status: () => 'All is well.',
    probe: async () => null,
  })
  return { agents, metrics }
}
