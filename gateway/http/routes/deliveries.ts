/** Deliveries: what became of one outgoing part. */
import { NotFoundError, asDeliveryId, isoTime } from '#contract'
import type { DeliveryView, JsonObject, Route } from '#contract'
import { tenantOf } from './caller.ts'
import { COUNT, TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, objectOf } from './schema.ts'
import type { Hub } from './hub.ts'

const DELIVERY = objectOf({
  id: TEXT,
  channel: TEXT,
  message_id: { ...TEXT_OR_NULL, description: 'null: it answers no message.' },
  text: TEXT,
  index: COUNT,
  of: COUNT,
  status: { enum: ['pending', 'sending', 'sent', 'unknown', 'dead'] },
  attempts: COUNT,
  reason: { oneOf: [objectOf({ code: TEXT, message: TEXT }), { type: 'null' }] },
  platform_id: TEXT_OR_NULL,
  news: { enum: ['delivered', 'read', 'failed', null], description: 'What the platform said after it was sent.' },
  created_at: TIME,
  due_at: { ...TIME_OR_NULL, description: 'When it is tried next; null: it is over.' },
  done_at: TIME_OR_NULL,
})

export function deliveryRoutes({ services }: Hub): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/deliveries/{id}',
      permission: 'messages:read',
      summary: 'One outgoing part and what became of it',
      tag: 'deliveries',
      responses: { 200: { description: 'The delivery.', schema: DELIVERY } },
      handle: async (request) => {
        const view = await services.store.outbox.get(tenantOf(request), asDeliveryId(request.params['id'] ?? ''))
        if (view === null) throw new NotFoundError('There is no delivery with this id.', { code: 'DELIVERY_NOT_FOUND' })
        return { status: 200, body: deliveryDocument(view) }
      },
    },
  ]
}

const deliveryDocument = (view: DeliveryView): JsonObject => ({
  id: view.id,
  channel: view.channel,
  message_id: view.messageId,
  text: view.text,
  index: view.index,
  of: view.of,
  status: view.status,
  attempts: view.attempts,
  reason: view.error === null ? null : { code: view.error.code, message: view.error.message },
  platform_id: view.platformId,
  news: view.news,
  created_at: isoTime(view.createdAt),
  due_at: isoTime(view.dueAt),
  done_at: isoTime(view.doneAt),
})
