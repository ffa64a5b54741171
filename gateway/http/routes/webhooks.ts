/** Webhooks: who is told of what. A secret is answered once, when it is made; an answer repeated for its Idempotency-Key is without. */
import { EVENT_PATTERNS, InvalidError, asWebhookId, isJsonObject, isoTime } from '#contract'
import type { HttpRequest, JsonObject, JsonValue, Route, WebhookChange, WebhookId, WebhookRecord } from '#contract'
import { isPaired } from '../../webhooks/webhooks.ts'
import type { WebhookRequest } from '../../webhooks/webhooks.ts'
import { PAGING } from '../cursor.ts'
import { ProtocolError } from '../problem.ts'
import type { Hub } from './hub.ts'
import { COUNT, FLAG, TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'

const SETTINGS = {
  url: { type: 'string', minLength: 1, maxLength: 2_048, description: 'https; where every event is posted to.' },
  description: { type: ['string', 'null'], maxLength: 200 },
  events: {
    type: 'array',
    minItems: 1,
    maxItems: EVENT_PATTERNS.length,
    uniqueItems: true,
    items: { enum: [...EVENT_PATTERNS] },
    description: 'Types of events, all of one subject (`message.*`), or `*`.',
  },
  ordering: {
    enum: ['none', 'fifo'],
    description: 'fifo: one at a time, in order; one that fails holds up all behind it until it is over.',
  },
  rate: {
    type: ['integer', 'null'],
    minimum: 1,
    maximum: 1_000,
    description: 'No more attempts than that begin within one second; null: as many as there are.',
  },
  ed25519: { type: 'boolean', description: 'Sign with a key pair of the gateway too (`v1a`); the public key is among `secrets`.' },
} satisfies JsonObject

const OWN_SECRET: JsonObject = {
  type: 'string',
  maxLength: 128,
  writeOnly: true,
  description: 'One that the receiver has already: `whsec_` and the base64 of 24 to 64 random bytes. Without it, one is made.',
}

const WEBHOOK = {
  id: TEXT,
  url: TEXT,
  description: TEXT_OR_NULL,
  events: { type: 'array', items: TEXT },
  ordering: { enum: ['none', 'fifo'] },
  rate: { type: ['integer', 'null'], description: 'How many attempts may begin within one second; null: as many as there are.' },
  ed25519: { ...FLAG, description: 'It signs with ed25519 too.' },
  status: { enum: ['enabled', 'disabled'] },
  disabled_reason: {
    enum: ['manual', 'failing', 'gone', null],
    description: 'manual: by whoever manages it. failing: nothing but failures for five days. gone: it answered 410.',
  },
  failing_since: { ...TIME_OR_NULL, description: 'null: the last attempt succeeded, or there was none.' },
  failures: { ...COUNT, description: 'Attempts since then.' },
  secrets: {
    type: 'array',
    description: 'How many there are, newest first; the secrets themselves are shown nowhere.',
    items: objectOf({
      expires_at: { ...TIME_OR_NULL, description: 'null: the current one.' },
      public_key: { ...TEXT_OR_NULL, description: '`whpk_…`, for whoever verifies `v1a`; null: it signs by HMAC only.' },
    }),
  },
  created_at: TIME,
  updated_at: TIME,
} satisfies JsonObject

const SECRET: JsonObject = {
  ...TEXT_OR_NULL,
  description: 'In this answer and nowhere else: null where it is repeated for its Idempotency-Key.',
}
const ETAG = 'Its version is in `ETag`, for `If-Match`.'

export function webhookRoutes({ services, cursors }: Hub): readonly Route[] {
  const { webhooks, store } = services
  return [
    {
      method: 'GET',
      path: '/v1/webhooks',
      permission: 'webhooks:read',
      summary: 'Webhooks, newest first',
      tag: 'webhooks',
      query: { ...PAGING },
      responses: { 200: { description: 'A page of them.', schema: pageOf(objectOf(WEBHOOK)) } },
      handle: async (request) => ({
        status: 200,
        body: await cursors.page({
          request,
          list: 'webhooks',
          read: (before, limit) => store.webhooks.list(tenantOf(request), before, limit),
          seqOf: ({ seq }) => seq,
          show: webhookDocument,
        }),
      }),
    },
    {
      method: 'POST',
      path: '/v1/webhooks',
      permission: 'webhooks:write',
      summary: 'Subscribes a URL to events; its secret is in this answer and nowhere else',
      tag: 'webhooks',
      body: {
        type: 'object',
        required: ['url', 'events'],
        properties: { ...SETTINGS, secret: OWN_SECRET },
        additionalProperties: false,
        examples: [{ url: 'https://your-endpoint.com', events: ['message.processed'] }],
      },
      idempotency: 'kept',
      unkept: ['secret'],
      responses: { 201: { description: `The webhook. ${ETAG}`, schema: objectOf({ ...WEBHOOK, secret: SECRET }) } },
      handle: async (request) => {
        const { record, secret } = await webhooks.create({ tenant: tenantOf(request), ...newWebhook(request.body) })
        const headers = { ...etag(record), location: `/v1/webhooks/${record.id}` }
        return { status: 201, headers, body: { ...webhookDocument(record), secret } }
      },
    },
    {
      method: 'GET',
      path: '/v1/webhooks/{id}',
      permission: 'webhooks:read',
      summary: 'One webhook',
      tag: 'webhooks',
      responses: { 200: { description: `The webhook. ${ETAG}`, schema: objectOf(WEBHOOK) } },
      handle: async (request) => shown(await webhooks.get(tenantOf(request), idOf(request))),
    },
    {
      method: 'PATCH',
      path: '/v1/webhooks/{id}',
      permission: 'webhooks:write',
      problems: [412],
      summary: 'Changes it, disables it, enables it again; with `If-Match`, only if nobody else did',
      tag: 'webhooks',
      body: {
        type: 'object',
        minProperties: 1,
        properties: { ...SETTINGS, status: { enum: ['enabled', 'disabled'] } },
        additionalProperties: false,
        examples: [{ status: 'disabled' }],
      },
      responses: { 200: { description: `The webhook as it is now. ${ETAG}`, schema: objectOf(WEBHOOK) } },
      handle: async (request) =>
        shown(await webhooks.change(tenantOf(request), idOf(request), changeOf(request.body), versionOf(request.headers['if-match']))),
    },
    {
      method: 'DELETE',
      path: '/v1/webhooks/{id}',
      permission: 'webhooks:write',
      summary: 'Deletes it, with all that was on its way to it',
      tag: 'webhooks',
      responses: { 204: { description: 'It is deleted.' } },
      handle: async (request) => {
        await webhooks.remove(tenantOf(request), idOf(request))
        return { status: 204 }
      },
    },
    {
      method: 'POST',
      path: '/v1/webhooks/{id}/rotate-secret',
      permission: 'webhooks:write',
      summary: 'A new secret; those before sign beside it until their grace is over',
      tag: 'webhooks',
      body: {
        type: 'object',
        properties: { grace_seconds: { type: 'integer', minimum: 0, maximum: 604_800, default: 86_400 } },
        additionalProperties: false,
        examples: [{ grace_seconds: 3_600 }],
      },
      idempotency: 'kept',
      unkept: ['secret'],
      responses: {
        200: {
          description: 'The new secret, shown this once.',
          schema: objectOf({ id: TEXT, secret: SECRET, public_key: TEXT_OR_NULL, old_until: TIME_OR_NULL }),
        },
      },
      handle: async (request) => {
        const grace = isJsonObject(request.body) ? request.body['grace_seconds'] : undefined
        const graceMs = (typeof grace === 'number' ? grace : 86_400) * 1_000
        const { record, secret, oldUntil } = await webhooks.rotate(tenantOf(request), idOf(request), graceMs)
        return {
          status: 200,
          headers: etag(record),
          body: { id: record.id, secret, public_key: record.secrets[0]?.pair?.publicKey ?? null, old_until: isoTime(oldUntil) },
        }
      },
    },
  ]
}

export const tenantOf = ({ principal }: HttpRequest): string => principal?.tenant ?? ''
export const idOf = ({ params }: HttpRequest): WebhookId => asWebhookId(params['id'] ?? '')

const shown = (record: WebhookRecord): { readonly status: 200; readonly headers: { etag: string }; readonly body: JsonObject } => ({
  status: 200,
  headers: etag(record),
  body: webhookDocument(record),
})

const etag = ({ version }: WebhookRecord): { readonly etag: string } => ({ etag: `"${version}"` })

/** RFC 9110 §13.1.1; null: any. */
function versionOf(header: string | undefined): number | null {
  if (header === undefined || header.trim() === '*') return null
  const [, version] = /^"(\d{1,15})"$/.exec(header.trim()) ?? []
  // No other tag was ever given: whatever it is, it is not the one there is.
  if (version === undefined) {
    throw new ProtocolError('`If-Match` names no version of this. Read it again, and send its `ETag`.', {
      code: 'PRECONDITION_FAILED',
      slug: 'precondition-failed',
    })
  }
  return Number(version)
}

function webhookDocument(record: WebhookRecord): JsonObject {
  return {
    id: record.id,
    url: record.url,
    description: record.description,
    events: record.events,
    ordering: record.ordering,
    rate: record.maxPerSecond,
    ed25519: isPaired(record),
    status: record.status,
    disabled_reason: record.disabledReason,
    failing_since: isoTime(record.failingSince),
    failures: record.failures,
    secrets: record.secrets.map(({ expiresAt, pair }) => ({ expires_at: isoTime(expiresAt), public_key: pair?.publicKey ?? null })),
    created_at: isoTime(record.createdAt),
    updated_at: isoTime(record.updatedAt),
  }
}

function newWebhook(body: JsonValue | undefined): Omit<WebhookRequest, 'tenant'> {
  const { url, events, description = null, ordering = 'none', maxPerSecond = null, hasKeyPair = false } = changeOf(body)
  const secret = isJsonObject(body) ? body['secret'] : undefined
  if (url === undefined || events === undefined) {
    throw new InvalidError('A webhook has a URL and events.', { code: 'SCHEMA_VIOLATION' })
  }
  return { url, events, description, ordering, maxPerSecond, hasKeyPair, secret: typeof secret === 'string' ? secret : null }
}

/** The schema has checked it. */
function changeOf(body: JsonValue | undefined): WebhookChange & { readonly hasKeyPair?: boolean } {
  const { url, description, events, ordering, rate, ed25519, status } = isJsonObject(body) ? body : {}
  return {
    ...(typeof url === 'string' ? { url } : {}),
    ...(typeof description === 'string' || description === null ? { description } : {}),
    ...(Array.isArray(events) ? { events: events.filter((event) => typeof event === 'string') } : {}),
    ...(ordering === 'none' || ordering === 'fifo' ? { ordering } : {}),
    ...(typeof rate === 'number' || rate === null ? { maxPerSecond: rate } : {}),
    ...(typeof ed25519 === 'boolean' ? { hasKeyPair: ed25519 } : {}),
    ...(status === 'enabled' || status === 'disabled' ? { status } : {}),
  }
}
