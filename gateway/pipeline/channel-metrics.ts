/** What of the channels is measured: which are up, in what state, when something came or went last, how often they connected. */
import type { ChannelState, Clock, Counter, Metrics } from '#contract'

export interface MeasuredChannel {
  readonly name: string
  readonly state: ChannelState
  readonly isPaused: boolean
  readonly lastInboundAt: number | null
  readonly lastSentAt: number | null
}

const STATES: readonly ChannelState[] = ['linking', 'connecting', 'open', 'degraded', 'stopped']

/** Answers the counter of connects, for whoever sees them happen. */
export function measureChannels(
  { metrics, clock }: { readonly metrics: Metrics; readonly clock: Clock },
  list: () => readonly MeasuredChannel[],
): Counter {
  const gauge = (name: string, help: string, read: (view: MeasuredChannel) => number | null): void =>
    metrics.gauge({ name, help, labels: ['channel'] }).collect((set) => {
      for (const view of list()) {
        const value = read(view)
        if (value !== null) set(value, [view.name])
      }
    })
  const secondsSince = (at: number | null): number | null => (at === null ? null : Math.max(0, clock.now() - at) / 1_000)
  gauge('openclaw_channel_up', '1 while the channel is open.', ({ state }) => (state === 'open' ? 1 : 0))
  gauge('openclaw_channel_paused', '1 while the channel takes nothing in.', ({ isPaused }) => (isPaused ? 1 : 0))
  gauge('openclaw_channel_last_inbound_age_seconds', 'Since a message came in last.', (view) => secondsSince(view.lastInboundAt))
  gauge('openclaw_channel_last_sent_age_seconds', 'Since something was sent last.', (view) => secondsSince(view.lastSentAt))
  metrics
    .gauge({ name: 'openclaw_channel_state', help: '1 for the state that the channel is in.', labels: ['channel', 'state'] })
    .collect((set) => {
      for (const view of list()) for (const state of STATES) set(view.state === state ? 1 : 0, [view.name, state])
    })
  return metrics.counter({ name: 'openclaw_channel_connects_total', help: 'How often the channel came up.', labels: ['channel'] })
}
