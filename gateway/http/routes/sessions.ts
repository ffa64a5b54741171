/** Sessions: what an agent remembers of whom. A session's id is its key, percent-encoded as one segment of the path. */
import { NotFoundError, asSessionKey, isoTime } from '#contract'
import type { HttpRequest, JsonObject, Route, SessionMessage, SessionView } from '#contract'
import { PAGING } from '../cursor.ts'
import { tenantOf } from './caller.ts'
import { COUNT, TEXT, TEXT_OR_NULL, TIME, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

const SESSION = objectOf({
  id: TEXT,
  agent: TEXT,
  channel: TEXT,
  account: TEXT,
  peer: objectOf({ kind: { enum: ['direct', 'group', 'channel'] }, id: TEXT, thread: TEXT_OR_NULL }),
  status: { enum: ['idle', 'queued', 'running', 'waiting', 'retrying'] },
  turn: TEXT_OR_NULL,
  messages: COUNT,
  created_at: TIME,
  updated_at: TIME,
})
const ENTRY: JsonObject = {
  type: 'object',
  required: ['seq', 'at', 'turn', 'role', 'text'],
  properties: {
    seq: COUNT,
    at: TIME,
    turn: TEXT,
    role: { enum: ['user', 'assistant', 'tool', 'summary'] },
    text: TEXT,
    sender: TEXT,
    calls: { type: 'array', items: objectOf({ id: TEXT, skill: TEXT, input: {} }) },
    call: TEXT,
    skill: TEXT,
  },
}

export function sessionRoutes({ services, cursors }: Hub): readonly Route[] {
  const { sessions } = services.store
  const keyOf = ({ params }: HttpRequest) => asSessionKey(params['id'] ?? '')
  return [
    {
      method: 'GET',
      path: '/v1/sessions',
      permission: 'sessions:read',
      summary: 'Sessions, those made last first',
      tag: 'sessions',
      query: { agent: { type: 'string' }, channel: { type: 'string' }, ...PAGING },
      responses: { 200: { description: 'A page of them.', schema: pageOf(SESSION) } },
      handle: async (request) => {
        const { agent, channel } = request.query
        const filter = {
          tenant: tenantOf(request),
          ...(typeof agent === 'string' && { agent }),
          ...(typeof channel === 'string' && { channel }),
        }
        const body = await cursors.page({
          request,
          list: 'sessions',
          read: (before, limit) => sessions.list(filter, before, limit),
          seqOf: (view) => view.seq,
          show: sessionDocument,
        })
        return { status: 200, body }
      },
    },
    {
      method: 'GET',
      path: '/v1/sessions/{id}',
      permission: 'sessions:read',
      summary: 'One session',
      tag: 'sessions',
      responses: { 200: { description: 'The session.', schema: SESSION } },
      handle: async (request) => {
        const view = await sessions.get(tenantOf(request), keyOf(request))
        if (view === null) throw noSession()
        return { status: 200, body: sessionDocument(view) }
      },
    },
    {
      method: 'GET',
      path: '/v1/sessions/{id}/messages',
      permission: 'sessions:read',
      summary: 'What the session remembers, newest first',
      tag: 'sessions',
      query: PAGING,
      responses: { 200: { description: 'A page of it.', schema: pageOf(ENTRY) } },
      handle: async (request) => {
        const tenant = tenantOf(request)
        const key = keyOf(request)
        if ((await sessions.get(tenant, key)) === null) throw noSession()
        const body = await cursors.page({
          request,
          list: 'session messages',
          read: (before, limit) => sessions.messages(tenant, key, before, limit),
          seqOf: (entry) => entry.seq,
          show: entryDocument,
        })
        return { status: 200, body }
      },
    },
    {
      method: 'POST',
      path: '/v1/sessions/{id}/reset',
      permission: 'sessions:write',
      summary: 'Makes the session forget; the next message begins anew',
      tag: 'sessions',
      idempotency: 'kept',
      responses: { 200: { description: 'It has forgotten.', schema: objectOf({ id: TEXT, status: { const: 'reset' } }) } },
      handle: async (request) => {
        const key = keyOf(request)
        if (!(await services.resetSession(tenantOf(request), key))) throw noSession()
        return { status: 200, body: { id: key, status: 'reset' } }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/sessions/{id}',
      permission: 'sessions:write',
      summary: 'Erases the session: what was said in it, replies, steps and dead letters; refused while a turn of it is worked on',
      tag: 'sessions',
      responses: { 204: { description: 'Nothing of it is left but the keys by which its messages are known if they come again.' } },
      handle: async (request) => {
        await services.eraseSession(tenantOf(request), keyOf(request))
        return { status: 204 }
      },
    },
  ]
}

function sessionDocument(view: SessionView): JsonObject {
  return {
    id: view.key,
    agent: view.agent,
    channel: view.channel,
    account: view.account,
    peer: { kind: view.peerKind, id: view.peer, thread: view.thread },
    status: view.status,
    turn: view.turn,
    messages: view.messages,
    created_at: isoTime(view.createdAt),
    updated_at: isoTime(view.updatedAt),
  }
}

function entryDocument({ seq, at, turn, message }: SessionMessage): JsonObject {
  const known = { seq, at: isoTime(at), turn, role: message.role, text: message.text }
  if (message.role === 'user') return { ...known, sender: message.sender }
  if (message.role === 'tool') return { ...known, call: message.call, skill: message.skill }
  if (message.role === 'summary' || message.calls === undefined) return known
  return { ...known, calls: message.calls.map(({ id, skill, input }) => ({ id, skill, input })) }
}

const noSession = (): NotFoundError => new NotFoundError('There is no session with this id.', { code: 'SESSION_NOT_FOUND' })
