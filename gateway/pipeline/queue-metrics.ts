/** How much waits where: counted when somebody asks for the metrics, not before. */
import type { Metrics, Store } from '#contract'

export interface QueueMetricsParts {
  readonly metrics: Metrics
  readonly store: Store
  /** Turns under way. */
  readonly running: () => number
}

export function measureQueues({ metrics, store, running }: QueueMetricsParts): void {
  metrics.gauge({ name: 'openclaw_queue_depth', help: 'What waits, by queue.', labels: ['queue'] }).collect(async (set) => {
    const [ledger, outbox] = await Promise.all([store.inbox.ledger(), store.outbox.counts()])
    set(ledger.pending, ['inbox'])
    set(outbox.pending + outbox.sending, ['outbox'])
    set(store.health().waiting, ['store'])
    set(running(), ['turns'])
  })
  metrics
    .gauge({ name: 'queue_depth', help: 'Messages that are accepted and not finished.' })
    .collect(async (set) => set((await store.inbox.ledger()).pending))
  metrics
    .gauge({ name: 'openclaw_dead_letters', help: 'Dead letters that are open.' })
    .collect(async (set) => set((await store.deadLetters.open()).count))
}
