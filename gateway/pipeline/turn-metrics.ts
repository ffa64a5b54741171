/** What is counted of turns: begun, failed, tried again, how long. */
import type { Counter, Histogram, Metrics } from '#contract'

export interface TurnMetrics {
  readonly runs: Counter
  readonly failed: Counter
  readonly duration: Histogram
  readonly retries: Counter
}

export function turnMetrics(metrics: Metrics): TurnMetrics {
  return {
    runs: metrics.counter({ name: 'openclaw_agent_runs_total', help: 'Turns begun.', labels: ['agent'] }),
    failed: metrics.counter({
      name: 'openclaw_agent_runs_failed_total',
      help: 'Turns that failed, attempts counted one by one.',
      labels: ['agent'],
    }),
    duration: metrics.histogram({ name: 'openclaw_agent_run_duration_seconds', help: 'Length of a turn.', labels: ['agent'] }),
    retries: metrics.counter({ name: 'openclaw_retries_total', help: 'Attempts after the first.', labels: ['stage'] }),
  }
}
