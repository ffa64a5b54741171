/** What agent tests need around them: a clock that moves when told, metrics that count, a log that keeps still. */
import { Agents } from '../../agents/agents.ts'
import { DEFAULT_MODELS } from '../../agents/models/config.ts'
import type { Env, ModelsConfig } from '../../agents/models/config.ts'
import type { Clock, Log, Metrics } from '#contract'

export class FakeClock implements Clock {
  #now = 1_700_000_000_000
  #timers: { readonly at: number; run(): void }[] = []
  #watchers: (() => void)[] = []
  /** How long each timer was set for. */
  readonly waits: number[] = []

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.push(timer)
    this.waits.push(ms)
    for (const watch of this.#watchers.splice(0)) watch()
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  get pending(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#now = Math.max(this.#now, next.at)
      this.#timers = this.#timers.filter((other) => other !== next)
      next.run()
    }
    this.#now = until
  }

  /** Resolves when the next timer is set. */
  nextTimer(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve))
  }
}

/** Time passes as soon as somebody waits for it, except for bounds of calls, which are long. */
export class EagerClock extends FakeClock {
  override after(ms: number, run: () => void): () => void {
    const cancel = super.after(ms, run)
    if (ms <= 30_000) setImmediate(() => this.advance(ms))
    return cancel
  }
}

export const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quietLog }

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
