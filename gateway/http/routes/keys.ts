/**
 * API keys. Nobody can give away more than they have, and a secret is answered once, when it is made: an answer that is repeated for
 * its Idempotency-Key is without, or the secret would lie in the store.
 */
import {
  ConflictError,
  InvalidError,
  NotFoundError,
  ROLE_NAME,
  SCOPES,
  TENANT_PATTERN,
  asKeyId,
  isJsonObject,
  isOperator,
  isoTime,
} from '#contract'
import type { HttpRequest, JsonObject, Route } from '#contract'
import { PAGING } from '../cursor.ts'
import { checkGrant } from '../grant.ts'
import type { KeyView, Keys, NewKey } from '../keys.ts'
import { operatorOnly } from '../operator.ts'
import type { Roles } from '../roles.ts'
import { principalOf } from './caller.ts'
import { GIVEN_TIME, TEXT, TEXT_OR_NULL, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

/** A week. */
const MAX_GRACE_SECONDS = 604_800

const KEY: JsonObject = {
  id: TEXT,
  tenant: TEXT,
  name: { ...TEXT, description: 'The owner: keys of one name share what the name owns.' },
  prefix: { ...TEXT_OR_NULL, description: 'How the secret begins; null: not known here.' },
  scopes: { type: 'array', items: { enum: [...SCOPES] } },
  roles: { type: 'array', items: TEXT },
  from: { enum: ['api', 'config'], description: 'Where it is defined; those of `config` are changed in openclaw.yaml.' },
  created_at: TIME_OR_NULL,
  created_by: { ...TEXT_OR_NULL, description: 'The principal; null: the gateway itself.' },
  expires_at: TIME_OR_NULL,
  revoked_at: TIME_OR_NULL,
  rotated_until: { ...TIME_OR_NULL, description: 'Until then the secret before the last rotation counts too.' },
  last_used_at: { ...TIME_OR_NULL, description: 'To the minute.' },
}
const WITH_SECRET = objectOf({
  ...KEY,
  secret: { ...TEXT_OR_NULL, description: 'In this answer and nowhere else: null where it is repeated for its Idempotency-Key.' },
})
const NEW_KEY: JsonObject = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$' },
    scopes: { type: 'array', items: { enum: [...SCOPES] }, minItems: 1, maxItems: SCOPES.length, uniqueItems: true },
    roles: { type: 'array', items: { type: 'string', pattern: ROLE_NAME }, minItems: 1, maxItems: 32, uniqueItems: true },
    expires_at: { ...GIVEN_TIME, type: ['string', 'null'] },
    tenant: {
      type: 'string',
      pattern: TENANT_PATTERN,
      description: "Whose key it is; another than the caller's only the operator may name, and only with the scope `*`.",
    },
  },
  anyOf: [{ required: ['scopes'] }, { required: ['roles'] }],
  additionalProperties: false,
  examples: [{ name: 'ci', roles: ['viewer'], scopes: ['messages:write'] }],
}
const ROTATION: JsonObject = {
  type: 'object',
  properties: {
    grace_seconds: {
      type: 'integer',
      minimum: 0,
      maximum: MAX_GRACE_SECONDS,
      default: 0,
      description: 'So long the secret before counts too; 0: it ends at once, and what it holds open is closed.',
    },
  },
  additionalProperties: false,
  examples: [{ grace_seconds: 3_600 }],
}

export function keyRoutes({ services, cursors, certificates, clock }: Hub): readonly Route[] {
  const { keys, roles } = services
  const idOf = ({ params }: HttpRequest) => asKeyId(params['id'] ?? '')
  const own = (request: HttpRequest, key: KeyView | null): KeyView => {
    if (key === null || key.tenant !== principalOf(request).tenant)
      throw new NotFoundError('There is no key with this id.', { code: 'KEY_NOT_FOUND' })
    return key
  }
  return [
    {
      method: 'GET',
      path: '/v1/keys',
      permission: 'keys:read',
      summary: 'All keys, without their secrets',
      tag: 'keys',
      query: PAGING,
      responses: { 200: { description: 'Oldest first, those of the configuration last.', schema: pageOf(objectOf(KEY)) } },
      handle: async (request) => {
        const { tenant } = principalOf(request)
        const all = keys.list(tenant).map((key, index) => ({ key, seq: index + 1 }))
        const body = await cursors.page({
          request,
          list: 'keys',
          read: async (before, limit) => all.filter(({ seq }) => seq > (before ?? 0)).slice(0, limit),
          seqOf: ({ seq }) => seq,
          show: ({ key }) => keyDocument(key),
        })
        return { status: 200, body }
      },
    },
    {
      method: 'GET',
      path: '/v1/keys/{id}',
      permission: 'keys:read',
      summary: 'One key, without its secret',
      tag: 'keys',
      responses: { 200: { description: 'The key.', schema: objectOf(KEY) } },
      handle: (request) => ({ status: 200, body: keyDocument(own(request, keys.find(idOf(request)))) }),
    },
    {
      method: 'POST',
      path: '/v1/keys',
      permission: 'keys:write',
      summary: 'Makes a key; its secret is in this answer and nowhere else',
      tag: 'keys',
      body: NEW_KEY,
      idempotency: 'kept',
      unkept: ['secret'],
      responses: { 201: { description: 'The key.', schema: WITH_SECRET } },
      handle: async (request) => {
        const key = { ...readNewKey(request, clock.now()), tenant: ownerOf(request) }
        checkMayMake(request, key, { keys, roles, certificates })
        const { record, secret } = await keys.create({ ...key, by: principalOf(request).id })
        return { status: 201, headers: { location: `/v1/keys/${record.id}` }, body: { ...keyDocument(record), secret } }
      },
    },
    {
      method: 'POST',
      path: '/v1/keys/{id}/rotate',
      permission: 'keys:write',
      summary: 'Another secret for the same key; the one before can be given a time of grace',
      tag: 'keys',
      body: ROTATION,
      idempotency: 'kept',
      unkept: ['secret'],
      responses: { 200: { description: 'The key with its new secret.', schema: WITH_SECRET } },
      handle: async (request) => {
        const key = own(request, keys.find(idOf(request)))
        // One of its roles may be gone by now, and that must not keep the operator from changing a secret that leaked.
        if (!principalOf(request).scopes.has('*')) checkMayMake(request, key, { keys, roles, certificates })
        const { grace_seconds: grace } = isJsonObject(request.body) ? request.body : {}
        const rotated = await keys.rotate(key.id, (typeof grace === 'number' ? grace : 0) * 1_000)
        if (rotated === null) throw new ConflictError('The key is revoked or expired. Make another one.', { code: 'KEY_ENDED' })
        return { status: 200, body: { ...keyDocument(rotated.record), secret: rotated.secret } }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/keys/{id}',
      permission: 'keys:write',
      summary: 'Revokes a key; what it keeps open is closed',
      tag: 'keys',
      responses: { 204: { description: 'It is revoked.' } },
      handle: async (request) => {
        const { id, tenant } = own(request, keys.find(idOf(request)))
        if (await keys.revoke(tenant, id)) return { status: 204 }
        throw new NotFoundError('There is no key with this id that is not revoked already.', { code: 'KEY_NOT_FOUND' })
      },
    },
  ]
}

function keyDocument(key: KeyView): JsonObject {
  return {
    id: key.id,
    tenant: key.tenant,
    name: key.name,
    prefix: key.fromConfig ? null : `ock_live_${key.id.slice(-8)}`,
    scopes: key.scopes,
    roles: key.roles,
    from: key.fromConfig ? 'config' : 'api',
    created_at: key.fromConfig ? null : isoTime(key.createdAt),
    created_by: key.createdBy,
    expires_at: isoTime(key.expiresAt),
    revoked_at: isoTime(key.revokedAt),
    rotated_until: isoTime(key.previous?.until ?? null),
    last_used_at: isoTime(key.lastUsedAt),
  }
}

/** The schema has checked the shape; what it cannot say is the time. */
function readNewKey({ body }: HttpRequest, now: number): Omit<NewKey, 'tenant'> {
  const { name, scopes, roles, expires_at } = isJsonObject(body) ? body : {}
  const words = (given: unknown): readonly string[] => (Array.isArray(given) ? given.filter((word) => typeof word === 'string') : [])
  const expiresAt = typeof expires_at === 'string' ? Date.parse(expires_at) : null
  if (typeof name !== 'string') throw new InvalidError('A key has a name.', { code: 'SCHEMA_VIOLATION' })
  if (expiresAt !== null && !(expiresAt > now)) {
    throw new InvalidError('The key would expire before it is made.', {
      code: 'KEY_EXPIRES_TOO_SOON',
      faults: [{ pointer: '#/expires_at', detail: 'must be an ISO 8601 time to come' }],
    })
  }
  return { name, scopes: words(scopes), roles: words(roles), expiresAt }
}

/** Whose the new key is. A tenant's own administrator makes keys of that tenant and of no other. */
function ownerOf(request: HttpRequest): string {
  const caller = principalOf(request)
  const named = isJsonObject(request.body) ? request.body['tenant'] : undefined
  if (typeof named !== 'string' || named === caller.tenant) return caller.tenant
  if (isOperator(caller) && caller.scopes.has('*')) return named
  throw operatorOnly()
}

/** Whoever is told a secret may do what it opens: so for a new secret of an old key the same holds as for a new key. */
function checkMayMake(
  request: HttpRequest,
  { tenant, name, scopes, roles: names = [] }: Pick<NewKey, 'tenant' | 'name' | 'scopes' | 'roles'>,
  { keys, roles, certificates }: { readonly keys: Keys; readonly roles: Roles } & Pick<Hub, 'certificates'>,
): void {
  const principal = principalOf(request)
  const unknown = names.findIndex((role) => roles.find(tenant, role) === null)
  if (unknown >= 0) {
    throw new InvalidError(`There is no role ${names[unknown] ?? ''}. \`GET /v1/roles\` lists those there are.`, {
      code: 'ROLE_UNKNOWN',
      faults: [{ pointer: `#/roles/${unknown}`, detail: 'is not the name of a role' }],
    })
  }
  checkGrant(principal, [...scopes, ...roles.permissions(tenant, names)])
  // The name owns conversations and kept answers: another's name would be another's rights.
  if (principal.scopes.has('*') || name === principal.id) return
  if (keys.list(tenant).some((key) => key.name === name) || certificates.isNamed(tenant, name)) {
    throw new ConflictError('This name belongs to another owner.', { code: 'KEY_NAME_TAKEN' })
  }
}
