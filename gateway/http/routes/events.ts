/** What happens to a tenant's messages, agents, channels and skills, as it happens. Whoever comes back says what they saw last, and is told when something is missing. */
import type { EventSink, FlowEvent, FlowFeed, JsonObject, Route } from '#contract'
import { ProtocolError } from '../problem.ts'
import { tenantOf } from './caller.ts'
import type { Hub } from './hub.ts'

export function eventRoutes({ services }: Hub): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/events/stream',
      permission: 'events:read',
      summary: 'All events (message, delta, reply, event), with `Last-Event-ID` from there on; `gap`: some are lost',
      tag: 'events',
      responses: { 200: { description: 'Server-sent events; the id is the running number.', contentType: 'text/event-stream' } },
      handle: (request) => {
        const tenant = tenantOf(request)
        const after = lastSeen(request.headers['last-event-id'])
        return { status: 200, events: (sink) => streamAll({ feed: services.feed, tenant, after, sink }) }
      },
    },
  ]
}

function lastSeen(header: string | undefined): number | null {
  if (header === undefined || header === '') return null
  if (/^\d{1,15}$/.test(header)) return Number(header)
  throw new ProtocolError('Last-Event-ID is a running number of this stream.', { code: 'INVALID_LAST_EVENT_ID', slug: 'invalid-request' })
}

async function streamAll(of: {
  readonly feed: FlowFeed
  readonly tenant: string
  readonly after: number | null
  readonly sink: EventSink
}): Promise<void> {
  const { feed, tenant, after, sink } = of
  const over = Promise.withResolvers<void>()
  sink.signal.addEventListener('abort', () => over.resolve(), { once: true })
  const tell = (event: FlowEvent, seq: number): void => {
    sink.send({ event: event.type, id: String(seq), data: eventDocument(event) })
  }
  // Nothing can happen between these two: both run in one go.
  const missed = after === null ? null : feed.since(tenant, after)
  const unlisten = feed.onTenant(tenant, tell)
  if (missed?.gap === true) sink.send({ event: 'gap', data: { after } })
  for (const { event, seq } of missed?.events ?? []) tell(event, seq)
  if (!sink.signal.aborted) await over.promise
  unlisten()
}

function eventDocument(event: FlowEvent): JsonObject {
  if (event.type === 'event') return { name: event.name, data: event.data }
  const of = { message_id: event.messageId, channel: event.channel, lane: event.lane, session: event.session, agent: event.agent }
  if (event.type === 'message') return { ...of, status: event.status, reason: event.reason }
  if (event.type === 'delta') return { ...of, text: event.text }
  if (event.type === 'skill') return { ...of, skill: event.skill, call: event.call, progress: event.progress }
  return { ...of, id: event.id, seq: event.replySeq, index: event.index, of: event.of, text: event.text }
}
