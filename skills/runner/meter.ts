/** What is counted of runs: how they ended, and how long each stage of them took. */
import type { Counter, Histogram, Metrics, SkillOutcome } from '#contract'
import type { Limit } from './limit.ts'

export class SkillMeter {
  readonly #runs: Counter
  readonly #seconds: Histogram

  constructor(metrics: Metrics, limit: Limit) {
    this.#runs = metrics.counter({ name: 'openclaw_skill_runs_total', help: 'Runs of skills, by how they ended.', labels: ['code'] })
    this.#seconds = metrics.histogram({
      name: 'openclaw_skill_seconds',
      help: 'How long runs waited for a place, for their sandbox, and ran.',
      labels: ['stage'],
    })
    metrics
      .gauge({ name: 'openclaw_skills', help: 'Runs of skills that go on and that wait for a place.', labels: ['state'] })
      .collect((set) => {
        set(limit.running, ['running'])
        set(limit.waiting, ['waiting'])
      })
  }

  ended(outcome: SkillOutcome): void {
    this.#runs.inc([outcome.status === 'ok' ? 'ok' : outcome.code])
    if (outcome.times === undefined) return
    const { queueMs, startMs, runMs } = outcome.times
    this.#seconds.observe(queueMs / 1_000, ['queue'])
    this.#seconds.observe(startMs / 1_000, ['start'])
    this.#seconds.observe(runMs / 1_000, ['run'])
  }
}
