/** Reading messages: listed, shown, waited for, streamed. Taking them in is the matter of the channel that lends `POST /v1/messages`. */
import { ConflictError, MESSAGE_STATUSES, NotFoundError, asMessageId } from '#contract'
import type { HttpRequest, MessageFilter, MessageStatus, Route } from '#contract'
import { PAGING } from '../cursor.ts'
import { messageAfter, messageDocument } from '../message-document.ts'
import { streamMessage } from '../message-stream.ts'
import { tenantOf } from './caller.ts'
import { MESSAGE, TEXT, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

const MAX_WAIT_SECONDS = 300

export function messageRoutes({ services, cursors, clock }: Hub): readonly Route[] {
  const { store, feed } = services
  return [
    {
      method: 'GET',
      path: '/v1/messages',
      permission: 'messages:read',
      summary: 'Messages, newest first',
      tag: 'messages',
      query: {
        channel: { type: 'string' },
        session: { type: 'string' },
        status: { enum: [...MESSAGE_STATUSES] },
        agent: { type: 'string' },
        ...PAGING,
      },
      responses: { 200: { description: 'A page of them.', schema: pageOf(MESSAGE) } },
      handle: async (request) => ({
        status: 200,
        body: await cursors.page({
          request,
          list: 'messages',
          read: (before, limit) => store.inbox.list(filterOf(request), before, limit),
          seqOf: (view) => view.seq,
          show: (view) => messageDocument(store, view),
        }),
      }),
    },
    {
      method: 'GET',
      path: '/v1/messages/{id}',
      permission: 'messages:read',
      summary: 'One message and what became of it; with `wait`, when it has ended or the time is up',
      tag: 'messages',
      query: { wait: { type: 'number', minimum: 0, maximum: MAX_WAIT_SECONDS, description: 'Seconds.' } },
      responses: { 200: { description: 'The message.', schema: MESSAGE } },
      handle: async (request) => {
        const { params, query, signal } = request
        const tenant = tenantOf(request)
        const id = asMessageId(params['id'] ?? '')
        const waitMs = typeof query['wait'] === 'number' ? query['wait'] * 1_000 : 0
        const view = waitMs > 0 ? await messageAfter(tenant, id, { store, feed, clock, waitMs, signal }) : await store.inbox.get(tenant, id)
        if (view === null) throw noMessage()
        return { status: 200, body: await messageDocument(store, view) }
      },
    },
    {
      method: 'GET',
      path: '/v1/messages/{id}/stream',
      permission: 'messages:read',
      summary: 'What happens to one message, as it happens: status, delta, reply, end',
      tag: 'messages',
      responses: { 200: { description: 'Server-sent events.', contentType: 'text/event-stream' } },
      handle: async (request) => {
        const tenant = tenantOf(request)
        const id = asMessageId(request.params['id'] ?? '')
        if ((await store.inbox.get(tenant, id)) === null) throw noMessage()
        return { status: 200, events: (sink) => streamMessage(tenant, id, { store, feed, sink }) }
      },
    },
    {
      method: 'POST',
      path: '/v1/messages/{id}/cancel',
      permission: 'sessions:write',
      summary:
        'No answer is wanted any more: the turn ends, or is not begun. One about other messages too goes on, unless they are cancelled as well',
      tag: 'messages',
      idempotency: 'kept',
      responses: { 202: { description: 'It is told to end.', schema: objectOf({ message_id: TEXT, status: { const: 'cancelling' } }) } },
      handle: async (request) => {
        const id = asMessageId(request.params['id'] ?? '')
        const end = await services.cancelMessage(tenantOf(request), id)
        if (end === 'missing') throw noMessage()
        if (end === 'over') throw new ConflictError('The message is done with; there is nothing left to cancel.', { code: 'MESSAGE_OVER' })
        return { status: 202, body: { message_id: id, status: 'cancelling' } }
      },
    },
  ]
}

function filterOf(request: HttpRequest): MessageFilter {
  const { channel, session, status, agent } = request.query
  return {
    tenant: tenantOf(request),
    ...(typeof channel === 'string' && { channel }),
    ...(typeof session === 'string' && { session }),
    ...(isStatus(status) && { status }),
    ...(typeof agent === 'string' && { agent }),
  }
}

const isStatus = (value: unknown): value is MessageStatus => MESSAGE_STATUSES.some((status) => status === value)

const noMessage = (): NotFoundError => new NotFoundError('There is no message with this id.', { code: 'MESSAGE_NOT_FOUND' })
