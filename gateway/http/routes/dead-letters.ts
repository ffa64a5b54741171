/** Dead letters: what was given up, listed, shown, put back on its way (also changed), or discarded. */
import { ConflictError, InvalidError, NotFoundError, asDeadLetterId, isJsonObject, isoTime, payloadSchema, readPayload } from '#contract'
import type {
  DeadLetterId,
  DeadLetterStatus,
  DeadLetterView,
  Fault,
  HttpRequest,
  JsonObject,
  Payload,
  ReplayResult,
  Route,
} from '#contract'
import { PAGING } from '../cursor.ts'
import { COUNT, TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import { tenantOf } from './caller.ts'
import type { Hub } from './hub.ts'

const KINDS: readonly DeadLetterView['kind'][] = ['message', 'delivery', 'run', 'webhook']
const STATUSES: readonly DeadLetterStatus[] = ['open', 'replayed', 'discarded']

const SUMMARY: JsonObject = {
  id: TEXT,
  kind: { enum: [...KINDS] },
  ref: { ...TEXT, description: 'Id of the message, the delivery, the run or the delivery to a webhook.' },
  status: { enum: [...STATUSES] },
  channel: { ...TEXT, description: 'Empty for a run and a webhook.' },
  skill: { ...TEXT_OR_NULL, description: 'Of a run; null for others.' },
  session: TEXT_OR_NULL,
  reason: objectOf({ code: TEXT, message: TEXT }),
  attempts: COUNT,
  created_at: TIME,
  settled_at: TIME_OR_NULL,
}
const REPLAYED = objectOf({
  id: TEXT,
  status: { const: 'replayed' },
  kind: { enum: [...KINDS] },
  message_id: { ...TEXT_OR_NULL, description: 'The message that is queued again; null for a delivery and a run.' },
  run_id: { ...TEXT_OR_NULL, description: 'The run that is queued again; null for others.' },
})

export function deadLetterRoutes({ services, cursors, clock }: Hub): readonly Route[] {
  const { deadLetters } = services.store
  return [
    {
      method: 'GET',
      path: '/v1/dead-letters',
      permission: 'deadletters:read',
      summary: 'Dead letters, newest first, without their content',
      tag: 'dead letters',
      query: {
        kind: { enum: [...KINDS] },
        channel: { type: 'string' },
        reason: { type: 'string', description: 'Its code.' },
        status: { enum: [...STATUSES] },
        ...PAGING,
      },
      responses: { 200: { description: 'A page of them.', schema: pageOf(objectOf(SUMMARY)) } },
      handle: async (request) => {
        const body = await cursors.page({
          request,
          list: 'dead letters',
          read: (before, limit) => deadLetters.list(filterOf(request), before, limit),
          seqOf: (view) => view.seq,
          show: summaryOf,
        })
        return { status: 200, body }
      },
    },
    {
      method: 'GET',
      path: '/v1/dead-letters/{id}',
      permission: 'deadletters:read',
      summary: 'One dead letter, whole',
      tag: 'dead letters',
      responses: { 200: { description: 'The letter.', schema: objectOf({ ...SUMMARY, content: {} }) } },
      handle: async (request) => {
        const view = await deadLetters.get(tenantOf(request), idOf(request))
        if (view === null) throw noLetter()
        return { status: 200, body: { ...summaryOf(view), content: view.content } }
      },
    },
    {
      method: 'POST',
      path: '/v1/dead-letters/{id}/replay',
      permission: 'deadletters:replay',
      summary: 'Puts it back on its way, with other words if a payload is given',
      tag: 'dead letters',
      body: {
        type: 'object',
        // What people wrote is no matter of the audit.
        properties: { payload: { ...payloadSchema, writeOnly: true } },
        additionalProperties: false,
        examples: [{ payload: 'What was meant' }],
      },
      idempotency: 'kept',
      responses: { 202: { description: 'It is on its way.', schema: REPLAYED } },
      handle: async (request) => {
        const id = idOf(request)
        return { status: 202, body: replayed(id, await services.deadLetters.replay(tenantOf(request), id, editOf(request))) }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/dead-letters/{id}',
      permission: 'deadletters:replay',
      summary: 'Gives it up for good',
      tag: 'dead letters',
      responses: { 204: { description: 'It is discarded.' } },
      handle: async (request) => {
        const result = await deadLetters.discard(tenantOf(request), idOf(request), clock.now())
        if (result === 'missing') throw noLetter()
        if (result === 'settled') throw new ConflictError('The letter was replayed or discarded before.', { code: 'DEAD_LETTER_SETTLED' })
        return { status: 204 }
      },
    },
  ]
}

const idOf = ({ params }: HttpRequest): DeadLetterId => asDeadLetterId(params['id'] ?? '')

function filterOf(request: HttpRequest): { tenant: string; kind?: string; channel?: string; reason?: string; status?: DeadLetterStatus } {
  const { kind, channel, reason, status } = request.query
  const known = STATUSES.find((each) => each === status)
  return {
    tenant: tenantOf(request),
    ...(typeof kind === 'string' && { kind }),
    ...(typeof channel === 'string' && { channel }),
    ...(typeof reason === 'string' && { reason }),
    ...(known !== undefined && { status: known }),
  }
}

function summaryOf(view: DeadLetterView): JsonObject {
  return {
    id: view.id,
    kind: view.kind,
    ref: view.ref,
    status: view.status,
    channel: view.channel,
    skill: view.kind === 'run' && isJsonObject(view.content) ? (view.content['skill'] ?? null) : null,
    session: view.session,
    reason: { code: view.reason.code, message: view.reason.message },
    attempts: view.attempts,
    created_at: isoTime(view.createdAt),
    settled_at: isoTime(view.settledAt),
  }
}

function replayed(id: DeadLetterId, result: ReplayResult): JsonObject {
  if (result.status === 'missing') throw noLetter()
  if (result.status === 'settled') throw new ConflictError(`The letter was ${result.was} before.`, { code: 'DEAD_LETTER_SETTLED' })
  if (result.status === 'unroutable') {
    throw new ConflictError(
      'It has nowhere to go: no route leads to an agent, or its webhook is disabled. Mend that and replay it again.',
      { code: 'UNROUTABLE' },
    )
  }
  return {
    id,
    status: 'replayed',
    kind: result.kind,
    message_id: result.kind === 'message' ? result.message : null,
    run_id: result.kind === 'run' ? result.run : null,
  }
}

/** As in `POST /v1/messages`; null: the words stay as they were. */
function editOf({ body }: HttpRequest): Payload | null {
  const given = isJsonObject(body) ? body['payload'] : undefined
  if (given === undefined) return null
  const faults: Fault[] = []
  const payload = readPayload(given, '#/payload', faults)
  if (payload !== null && faults.length === 0) return payload
  throw new InvalidError('The payload cannot be read; see `errors`.', { code: 'SCHEMA_VIOLATION', faults })
}

const noLetter = (): NotFoundError => new NotFoundError('There is no dead letter with this id.', { code: 'DEAD_LETTER_NOT_FOUND' })
