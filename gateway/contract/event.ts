/**
 * What the gateway tells webhooks: one catalogue. Data holds ids and states and never what was said; whoever may read the words fetches
 * them by id. A type is never given another meaning; members may be added to its data.
 */

export const EVENT_TYPES = [
  /** A message was stored. */
  'message.received',
  /** It waits for its agent. */
  'message.queued',
  /** A turn about it has ended. */
  'message.processed',
  /** It was given up. Each received message ends in one of these two, until it is replayed. */
  'message.failed',
  /** A message, or a part of its reply, became a dead letter. */
  'message.dead_lettered',
  /** A dead letter was put back on its way. */
  'message.replayed',
  /** A sender spoke to an agent for the first time. */
  'session.created',
  'agent.registered',
  'agent.started',
  'agent.paused',
  'agent.failed',
  'agent.scaled',
  'agent.heartbeat_failed',
  'skill.registered',
  /** A run of a skill ended well. */
  'skill.invoked',
  /** A run failed, or nobody knows how it ended. */
  'skill.failed',
  'channel.connected',
  'channel.disconnected',
  'budget.exceeded',
  'approval.requested',
  /** Nothing but failures for half, 70 % and 90 % of the time after which a webhook is disabled. */
  'endpoint.failing',
  'endpoint.disabled',
] as const

export type EventType = (typeof EVENT_TYPES)[number]
/** Sent on request, to one webhook, whatever it subscribes to. */
export const TEST_EVENT: string = 'webhook.test'

/** `*`, all of one subject (`message.*`), and each type. */
export const EVENT_PATTERNS: readonly string[] = [
  '*',
  ...new Set(EVENT_TYPES.map((type) => `${type.slice(0, type.indexOf('.'))}.*`)),
  ...EVENT_TYPES,
]

export function wantsEvent(patterns: readonly string[], type: EventType): boolean {
  const subject = `${type.slice(0, type.indexOf('.'))}.*`
  return patterns.some((pattern) => pattern === '*' || pattern === subject || pattern === type)
}
