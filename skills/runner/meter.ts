/** What is counted of runs: how they ended, and how long each stage of them took. */
import type { Counter, Histogram, Metrics } from '#contract'
import type { Execution } from './execution.ts'
import type { Limit } from './limit.ts'

const UNKNOWN = 'unknown'

export class SkillMeter {
  readonly #invocations: Counter
  readonly #duration: Histogram
  readonly #runs: Counter
  readonly #seconds: Histogram

  constructor(metrics: Metrics, limit: Limit) {
    this.#runs = metrics.counter({ name: 'openclaw_skill_runs_total', help: 'Runs of skills, by how they ended.', labels: ['code'] })
    this.#seconds = metrics.histogram({
      name: 'openclaw_skill_seconds',
      help: 'How long runs waited for a place, for their sandbox, and ran.',
      labels: ['stage'],
    })
    this.#invocations = metrics.counter({
      name: 'openclaw_skill_invocations_total',
      help: 'Runs of skills, by skill and whether they ended well.',
      labels: ['skill', 'status'],
    })
    this.#duration = metrics.histogram({
      name: 'openclaw_skill_duration_seconds',
      help: 'How long a run of a skill took, waiting included.',
      labels: ['skill'],
    })
    metrics.gauge({ name: 'openclaw_sandbox_active', help: 'Sandboxes in which a skill runs now.' }).collect((set) => set(limit.running))
    metrics
      .gauge({ name: 'openclaw_skills', help: 'Runs of skills that go on and that wait for a place.', labels: ['state'] })
      .collect((set) => {
        set(limit.running, ['running'])
        set(limit.waiting, ['waiting'])
      })
  }

  /** `execution.version` null: there is no such skill, and its name is a stranger's. */
  ended(skill: string, { outcome, version }: Pick<Execution, 'outcome' | 'version'>): void {
    const name = version === null ? UNKNOWN : skill
    this.#invocations.inc([name, outcome.status])
    this.#runs.inc([outcome.status === 'ok' ? 'ok' : outcome.code])
    if (outcome.times === undefined) return
    const { queueMs, startMs, runMs } = outcome.times
    this.#duration.observe((queueMs + startMs + runMs) / 1_000, [name])
    this.#seconds.observe(queueMs / 1_000, ['queue'])
    this.#seconds.observe(startMs / 1_000, ['start'])
    this.#seconds.observe(runMs / 1_000, ['run'])
  }
}
