/** Channels: by what ways messages come and go, and how those do. */
import { isoTime } from '#contract'
import type { Route } from '#contract'
import { TEXT, TEXT_OR_NULL, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

const CHANNEL = objectOf({
  name: TEXT,
  kind: TEXT,
  state: { enum: ['linking', 'connecting', 'open', 'degraded', 'stopped'] },
  reason: TEXT_OR_NULL,
  delivery: { enum: ['push', 'collect'] },
  last_inbound_at: TIME_OR_NULL,
  last_sent_at: TIME_OR_NULL,
})

export function channelRoutes({ services }: Hub): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/channels',
      permission: 'channels:read',
      summary: 'All channels and their state',
      tag: 'channels',
      responses: { 200: { description: 'All of them.', schema: pageOf(CHANNEL) } },
      handle: () => {
        const data = services.channels.list().map((view) => ({
          name: view.name,
          kind: view.kind,
          state: view.state,
          reason: view.reason,
          delivery: view.delivery,
          last_inbound_at: isoTime(view.lastInboundAt),
          last_sent_at: isoTime(view.lastSentAt),
        }))
        return { status: 200, body: { data, cursor: null } }
      },
    },
  ]
}
