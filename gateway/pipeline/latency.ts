/** How long messages take, by stage: the one histogram that ingress, turns and deliveries share. */
import type { Histogram, Metrics } from '#contract'

/**
 * accept: handed in until stored. queue: stored until its turn began. turn: the turn. deliver: a part of the reply stored until it was sent.
 * total: stored until the reply was stored (collected) or its last part sent.
 */
export const messageLatency = (metrics: Metrics): Histogram =>
  metrics.histogram({
    name: 'openclaw_message_latency_seconds',
    help: 'How long messages took, by channel and stage: accept, queue, turn, deliver, total.',
    labels: ['channel', 'stage'],
  })
