/** The row of `POST /v1/messages` in the route table, without its handler. */
import { publishSchema } from '#contract'
import type { JsonObject, Route } from '#contract'

export const waitQuery: JsonObject = {
  type: 'number',
  minimum: 0,
  maximum: 300,
  description: 'Seconds to wait for the end of the message before answering.',
}

export const queuedSchema: JsonObject = {
  type: 'object',
  required: ['message_id', 'status'],
  properties: {
    message_id: { type: 'string', examples: ['msg-01JD0000000000000000000000'] },
    status: { type: 'string', examples: ['queued'] },
  },
}

export const messagesRoute: Omit<Route, 'handle'> = {
  method: 'POST',
  path: '/v1/messages',
  aliases: ['/messages'],
  permission: 'messages:write',
  summary: 'Hand in a message',
  tag: 'messages',
  query: { wait: waitQuery },
  body: publishSchema,
  validates: 'handler',
  idempotency: 'own',
  problems: [404],
  responses: {
    '200': { description: 'It ended in time: the message document.', schema: { type: 'object' } },
    '202': { description: 'It is stored, and will be handled.', schema: queuedSchema },
  },
}
