/** How much waits where, and what was given up: counted when somebody asks for the metrics, not before. */
import type { Metrics, Store } from '#contract'

export interface QueueMetricsParts {
  readonly metrics: Metrics
  readonly store: Store
  /** Turns under way. */
  readonly running: () => number
}

export function measureQueues({ metrics, store, running }: QueueMetricsParts): void {
  metrics.gauge({ name: 'openclaw_queue_depth', help: 'What waits, by queue.', labels: ['queue'] }).collect(async (set) => {
    const [inbox, outbox] = await Promise.all([store.inbox.pending(), store.outbox.pending()])
    set(inbox, ['inbox'])
    set(outbox, ['outbox'])
    set(store.health().waiting, ['store'])
    set(running(), ['turns'])
  })
  // The names by which autoscalers ask.
  metrics
    .gauge({ name: 'queue_depth', help: 'Messages that are accepted and not finished.' })
    .collect(async (set) => set(await store.inbox.pending()))
  metrics.gauge({ name: 'openclaw_events_pending', help: 'Messages and replies that are not finished.' }).collect(async (set) => {
    const [inbox, outbox] = await Promise.all([store.inbox.pending(), store.outbox.pending()])
    set(inbox + outbox)
  })
  measureDeadLetters(metrics, store)
}

function measureDeadLetters(metrics: Metrics, store: Store): void {
  const ever = metrics.counter({ name: 'openclaw_dead_letters_total', help: 'Dead letters that there ever were in this store.' })
  let counted = 0
  metrics.gauge({ name: 'openclaw_dead_letters', help: 'Dead letters that are open, by kind.', labels: ['kind'] }).collect(async (set) => {
    const census = await store.deadLetters.census()
    ever.inc([], census.ever - counted)
    counted = census.ever
    for (const [kind, count] of Object.entries(census.open)) set(count, [kind])
  })
}
