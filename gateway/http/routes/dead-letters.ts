/** Dead letters: what was given up, listed, shown, put back on its way (also changed), or discarded. */
import { ConflictError, InvalidError, NotFoundError, asDeadLetterId, isJsonObject, isoTime, payloadSchema, readPayload } from '#contract'
import type {
  DeadLetterId,
  DeadLetterStatus,
  DeadLetterStore,
  DeadLetterView,
  Fault,
  HttpRequest,
  JsonObject,
  JsonValue,
  LetterFilter,
  Payload,
  ReplayResult,
  Route,
} from '#contract'
import type { ReplayOrder, ReplayPlan } from '../../pipeline/dead-letters.ts'
import { PAGING } from '../cursor.ts'
import { COUNT, GIVEN_TIME, TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
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
  replay_at: {
    ...TIME_OR_NULL,
    description: 'When it is brought back, because it was asked for together with others; null: nobody asked.',
  },
}
const REPLAYED = objectOf({
  id: TEXT,
  status: { const: 'replayed' },
  kind: { enum: [...KINDS] },
  message_id: { ...TEXT_OR_NULL, description: 'The message that is queued again; null for a delivery and a run.' },
  run_id: { ...TEXT_OR_NULL, description: 'The run that is queued again; null for others.' },
})

const MOST_AT_ONCE = 1_000
const AT_ONCE = 100
const MANY: JsonObject = {
  type: 'object',
  additionalProperties: false,
  properties: {
    filter: {
      type: 'object',
      description: 'Which of those that are open; all that is given must hold. Without it: all.',
      additionalProperties: false,
      properties: {
        ids: { type: 'array', items: { type: 'string', maxLength: 64 }, minItems: 1, maxItems: MOST_AT_ONCE, uniqueItems: true },
        kind: { enum: [...KINDS] },
        channel: { type: 'string', maxLength: 256 },
        reason: { type: 'string', maxLength: 256, description: 'Its code.' },
        since: { ...GIVEN_TIME, description: 'Given up at this time or later.' },
        until: { ...GIVEN_TIME, description: 'Given up before this time.' },
      },
    },
    limit: { type: 'integer', minimum: 1, maximum: MOST_AT_ONCE, description: `Default: as many as there are \`ids\`, else ${AT_ONCE}.` },
    rate: { type: 'number', minimum: 0.001, maximum: 1_000, description: 'At most so many a second. Default: as fast as it goes.' },
    dry_run: { type: 'boolean', description: 'Only say which it would be.' },
  },
  examples: [{ filter: { kind: 'delivery', reason: 'PLATFORM_DOWN' }, limit: 500, rate: 5 }],
}
const PLANNED = objectOf({
  status: { enum: ['planned', 'dry_run'] },
  count: { ...COUNT, description: 'How many are brought back.' },
  matched: { ...COUNT, description: 'How many there were in all, also those beyond `limit`; call again for the rest.' },
  ids: { type: 'array', items: TEXT, description: 'Those that are brought back, in that order.' },
  first_at: { ...TIME_OR_NULL, description: 'When the first of them is.' },
  last_at: { ...TIME_OR_NULL, description: 'When the last of them is, at the earliest.' },
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
        since: { ...GIVEN_TIME, description: 'Given up at this time or later.' },
        until: { ...GIVEN_TIME, description: 'Given up before this time.' },
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
      method: 'POST',
      path: '/v1/dead-letters/replay',
      permission: 'deadletters:replay',
      summary: 'Puts many back on their way, those given up first first, so many a second; the plan outlasts a restart',
      tag: 'dead letters',
      body: MANY,
      idempotency: 'kept',
      // As many ids as the schema lets in.
      maxMembers: MOST_AT_ONCE + 100,
      responses: {
        200: { description: 'A dry run: what it would be.', schema: PLANNED },
        202: { description: 'They are brought back, each at its time.', schema: PLANNED },
      },
      handle: async (request) => {
        const order = orderOf(request)
        const plan = await services.deadLetters.plan(order)
        return { status: order.isDry ? 200 : 202, body: planned(plan, order.isDry) }
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

const filterOf = (request: HttpRequest): Parameters<DeadLetterStore['list']>[0] => {
  const known = STATUSES.find((each) => each === request.query['status'])
  return { ...matchOf(tenantOf(request), request.query), ...(known !== undefined && { status: known }) }
}

/** The schema has looked at the forms. */
function matchOf(tenant: string, given: { readonly [name: string]: JsonValue | undefined }): LetterFilter {
  const { kind, channel, reason, since, until } = given
  return {
    tenant,
    ...(typeof kind === 'string' && { kind }),
    ...(typeof channel === 'string' && { channel }),
    ...(typeof reason === 'string' && { reason }),
    ...(typeof since === 'string' && { since: Date.parse(since) }),
    ...(typeof until === 'string' && { until: Date.parse(until) }),
  }
}

function orderOf(request: HttpRequest): ReplayOrder {
  const { filter, limit, rate, dry_run: isDry } = isJsonObject(request.body) ? request.body : {}
  const given = isJsonObject(filter) ? filter : {}
  const ids = Array.isArray(given['ids']) ? given['ids'].filter((id) => typeof id === 'string').map(asDeadLetterId) : null
  return {
    filter: {
      ...matchOf(tenantOf(request), given),
      ...(ids !== null && { ids }),
    },
    limit: typeof limit === 'number' ? limit : (ids?.length ?? AT_ONCE),
    everyMs: typeof rate === 'number' ? 1_000 / rate : 0,
    isDry: isDry === true,
  }
}

const planned = ({ matched, letters }: ReplayPlan, isDry: boolean): JsonObject => ({
  status: isDry ? 'dry_run' : 'planned',
  count: letters.length,
  matched,
  ids: letters.map(({ id }) => id),
  first_at: isoTime(letters[0]?.at ?? null),
  last_at: isoTime(letters.at(-1)?.at ?? null),
})

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
    replay_at: isoTime(view.replayAt),
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
