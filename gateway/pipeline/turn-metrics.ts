/** What is counted of turns: begun, failed, tried again, how long; what they took in and what they said. */
import { timeOf } from '#contract'
import type { Counter, Envelope, Histogram, Metrics } from '#contract'
import { messageLatency } from './latency.ts'

export interface DoneTurn {
  readonly agent: { readonly name: string }
  readonly taken: readonly Envelope[]
  readonly replyParts: number
}

export class TurnMetrics {
  readonly runs: Counter
  readonly failed: Counter
  readonly duration: Histogram
  readonly retries: Counter
  readonly exceeded: Counter
  readonly #consumed: Counter
  readonly #emitted: Counter
  readonly #latency: Histogram

  constructor(metrics: Metrics) {
    this.runs = metrics.counter({ name: 'openclaw_agent_runs_total', help: 'Turns begun.', labels: ['agent'] })
    this.failed = metrics.counter({
      name: 'openclaw_agent_runs_failed_total',
      help: 'Turns that failed, attempts counted one by one.',
      labels: ['agent'],
    })
    this.duration = metrics.histogram({ name: 'openclaw_agent_run_duration_seconds', help: 'Length of a turn.', labels: ['agent'] })
    this.retries = metrics.counter({ name: 'openclaw_retries_total', help: 'Attempts after the first.', labels: ['stage'] })
    this.retries.inc(['turn'], 0)
    this.exceeded = metrics.counter({
      name: 'openclaw_budget_exceeded_total',
      help: 'How often messages of an agent began to wait because it had used what it may.',
      labels: ['agent', 'limit'],
    })
    this.#consumed = metrics.counter({
      name: 'openclaw_events_consumed_total',
      help: 'Messages that agents are done with.',
      labels: ['agent'],
    })
    this.#emitted = metrics.counter({
      name: 'openclaw_events_emitted_total',
      help: 'Parts of replies that agents left.',
      labels: ['agent'],
    })
    this.#latency = messageLatency(metrics)
  }

  /** Their turn begins for the first time. */
  waited(taken: readonly Envelope[], now: number): void {
    for (const { id, channel } of taken) this.#latency.observe(secondsBetween(timeOf(id), now), [channel, 'queue'])
  }

  /** `isCollected`: its reply is over by being stored; what is pushed is over when it was sent. */
  done(
    { agent, taken, replyParts }: DoneTurn,
    at: { readonly startedAt: number; readonly now: number; readonly isCollected: boolean },
  ): void {
    this.#consumed.inc([agent.name], taken.length)
    this.#emitted.inc([agent.name], replyParts)
    for (const { id, channel } of taken) {
      this.#latency.observe(secondsBetween(at.startedAt, at.now), [channel, 'turn'])
      if (replyParts === 0 || at.isCollected) this.#latency.observe(secondsBetween(timeOf(id), at.now), [channel, 'total'])
    }
  }
}

/** The wall clock may have been set back. */
const secondsBetween = (from: number, to: number): number => Math.max(0, to - from) / 1_000
