/**
 * What became of events on their way to webhooks: the log, a test, another try, and what was missed brought back. `/v1/deliveries/{id}` is
 * an outgoing part of a reply, so these have a path of their own.
 */
import { InvalidError, asWebhookDeliveryId, isJsonObject, isoTime } from '#contract'
import type { HttpRequest, JsonObject, Recovery, Route, WebhookAttempt, WebhookDelivery, WebhookDeliveryStatus } from '#contract'
import { noDelivery } from '../../webhooks/webhooks.ts'
import { PAGING } from '../cursor.ts'
import type { Hub } from './hub.ts'
import { COUNT, GIVEN_TIME, FLAG, TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import { idOf, tenantOf } from './webhooks.ts'

const STATUSES: readonly WebhookDeliveryStatus[] = ['pending', 'ok', 'failed', 'dead', 'skipped']
const OVER = ['failed', 'dead', 'skipped'] as const

const DELIVERY = {
  id: TEXT,
  webhook_id: TEXT,
  event_id: { ...TEXT, description: 'The `webhook-id` of every attempt.' },
  type: TEXT,
  status: {
    enum: [...STATUSES],
    description:
      'failed: a single attempt that failed, or the receiver wanted no more of it. dead: a dead letter. skipped: the webhook was disabled.',
  },
  single: { ...FLAG, description: 'One attempt that somebody asked for.' },
  attempts: COUNT,
  created_at: TIME,
  due_at: { ...TIME_OR_NULL, description: 'When it is tried next; null: it is over.' },
  done_at: TIME_OR_NULL,
} satisfies JsonObject

const ATTEMPT = objectOf({
  number: COUNT,
  at: TIME,
  latency_ms: COUNT,
  status: { type: ['integer', 'null'], description: 'null: there was no answer.' },
  error: { oneOf: [objectOf({ code: TEXT, message: TEXT }), { type: 'null' }] },
  request_headers: { type: 'object' },
  response: { ...TEXT_OR_NULL, description: 'At most 16 KiB.' },
  response_cut: FLAG,
})

/** Clients that always send a body may. */
const NOTHING: JsonObject = { type: 'object', properties: {}, additionalProperties: false, examples: [{}] }

export function webhookDeliveryRoutes({ services, cursors, clock }: Hub): readonly Route[] {
  const { webhooks, store } = services
  return [
    {
      method: 'GET',
      path: '/v1/webhooks/{id}/deliveries',
      permission: 'webhooks:read',
      summary: 'What was sent to it, or is to be, newest first',
      tag: 'webhooks',
      query: { status: { enum: [...STATUSES] }, type: { type: 'string', description: 'Of the event.' }, ...PAGING },
      responses: { 200: { description: 'A page of them.', schema: pageOf(objectOf(DELIVERY)) } },
      handle: async (request) => {
        const { id: webhook, tenant } = await webhooks.get(tenantOf(request), idOf(request))
        const { type } = request.query
        const status = STATUSES.find((known) => known === request.query['status'])
        const filter = { tenant, webhook, ...(status !== undefined && { status }), ...(typeof type === 'string' && { type }) }
        const body = await cursors.page({
          request,
          list: 'webhook deliveries',
          read: (before, limit) => store.webhooks.deliveries(filter, before, limit),
          seqOf: ({ seq }) => seq,
          show: deliveryDocument,
        })
        return { status: 200, body }
      },
    },
    {
      method: 'POST',
      path: '/v1/webhooks/{id}/test',
      permission: 'webhooks:write',
      summary: 'Sends it a `webhook.test` event: one attempt, also where it is disabled',
      tag: 'webhooks',
      body: NOTHING,
      idempotency: 'kept',
      responses: { 202: { description: 'It is on its way.', schema: objectOf(DELIVERY) } },
      handle: async (request) => begun(await webhooks.test(tenantOf(request), idOf(request))),
    },
    {
      method: 'POST',
      path: '/v1/webhooks/{id}/recover',
      permission: 'webhooks:write',
      summary: 'Puts what failed or was skipped in a time back on its way, oldest first',
      tag: 'webhooks',
      body: {
        type: 'object',
        required: ['since'],
        properties: {
          since: { ...GIVEN_TIME, description: 'Events from then on, ISO 8601.' },
          until: { ...GIVEN_TIME, description: 'Events before then; default: now.' },
          status: { enum: [...OVER], description: 'Default: all three.' },
        },
        additionalProperties: false,
        examples: [{ since: '2026-11-20T00:00:00Z', status: 'dead' }],
      },
      idempotency: 'kept',
      responses: {
        202: {
          description: 'They are on their way.',
          schema: objectOf({ recovered: COUNT, more: { ...FLAG, description: 'There are more than one call brings back; call again.' } }),
        },
      },
      handle: async (request) => {
        const { count, isMore } = await webhooks.recover(tenantOf(request), idOf(request), recoveryOf(request, clock.now()))
        return { status: 202, body: { recovered: count, more: isMore } }
      },
    },
    {
      method: 'GET',
      path: '/v1/webhook-deliveries/{id}',
      permission: 'webhooks:read',
      summary: 'One event on its way to one webhook, with every attempt',
      tag: 'webhooks',
      responses: {
        200: {
          description: 'The delivery. The body of an attempt is made of `data`, and of timestamp and nonce in `request_headers`.',
          schema: objectOf({ ...DELIVERY, event_created_at: TIME, data: { type: 'object' }, log: { type: 'array', items: ATTEMPT } }),
        },
      },
      handle: async (request) => {
        const found = await store.webhooks.delivery(tenantOf(request), deliveryIdOf(request))
        if (found === null) throw noDelivery()
        const { event } = found.delivery
        const more = { event_created_at: isoTime(event.createdAt), data: event.data, log: found.attempts.map(attemptDocument) }
        return { status: 200, body: { ...deliveryDocument(found.delivery), ...more } }
      },
    },
    {
      method: 'POST',
      path: '/v1/webhook-deliveries/{id}/redeliver',
      permission: 'webhooks:write',
      summary: "The same event under its id once more, with today's secret: one attempt, also where the webhook is disabled",
      tag: 'webhooks',
      body: NOTHING,
      idempotency: 'kept',
      responses: { 202: { description: 'A delivery of its own.', schema: objectOf(DELIVERY) } },
      handle: async (request) => begun(await webhooks.redeliver(tenantOf(request), deliveryIdOf(request))),
    },
  ]
}

const deliveryIdOf = ({ params }: HttpRequest): WebhookDelivery['id'] => asWebhookDeliveryId(params['id'] ?? '')

const begun = (delivery: WebhookDelivery): { status: number; headers: { location: string }; body: JsonObject } => ({
  status: 202,
  headers: { location: `/v1/webhook-deliveries/${delivery.id}` },
  body: deliveryDocument(delivery),
})

const deliveryDocument = (delivery: WebhookDelivery): JsonObject => ({
  id: delivery.id,
  webhook_id: delivery.webhook,
  event_id: delivery.event.id,
  type: delivery.event.type,
  status: delivery.status,
  single: delivery.isSingle,
  attempts: delivery.attempts,
  created_at: isoTime(delivery.createdAt),
  due_at: isoTime(delivery.dueAt),
  done_at: isoTime(delivery.doneAt),
})

const attemptDocument = (attempt: WebhookAttempt): JsonObject => ({
  number: attempt.number,
  at: isoTime(attempt.at),
  latency_ms: attempt.latencyMs,
  status: attempt.status,
  error: attempt.error === null ? null : { ...attempt.error },
  request_headers: attempt.requestHeaders,
  response: attempt.response,
  response_cut: attempt.isCut,
})

function recoveryOf({ body }: HttpRequest, now: number): Recovery {
  const { since, until, status } = isJsonObject(body) ? body : {}
  const statuses = OVER.filter((known) => status === undefined || known === status)
  return { since: timeOf(since, 'since') ?? 0, until: timeOf(until, 'until') ?? now + 1, statuses }
}

function timeOf(value: unknown, name: string): number | null {
  if (value === undefined) return null
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isFinite(time)) return time
  throw new InvalidError(`\`${name}\` is no time.`, {
    code: 'SCHEMA_VIOLATION',
    faults: [{ pointer: `#/${name}`, detail: 'must be an ISO 8601 time' }],
  })
}
