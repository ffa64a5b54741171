/** API keys, each tenant's its own. Nobody can give away more than they have, and a secret is answered once, when it is made. */
import {
  ConflictError,
  DeniedError,
  InvalidError,
  NotFoundError,
  SCOPES,
  TENANT_PATTERN,
  asKeyId,
  isJsonObject,
  isOperator,
  isoTime,
} from '#contract'
import type { HttpRequest, JsonObject, KeyRecord, Route } from '#contract'
import { operatorOnly } from '../operator.ts'
import { principalOf, tenantOf } from './caller.ts'
import { TEXT, TIME, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

const KEY: JsonObject = {
  id: TEXT,
  tenant: TEXT,
  name: { ...TEXT, description: 'The owner: keys of one name share what the name owns.' },
  prefix: { ...TEXT, description: 'How the secret begins.' },
  scopes: { type: 'array', items: { enum: [...SCOPES] } },
  created_at: TIME,
  expires_at: TIME_OR_NULL,
  revoked_at: TIME_OR_NULL,
  last_used_at: { ...TIME_OR_NULL, description: 'To the minute.' },
}
const NEW_KEY: JsonObject = {
  type: 'object',
  required: ['name', 'scopes'],
  properties: {
    name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$' },
    scopes: { type: 'array', items: { enum: [...SCOPES] }, minItems: 1, maxItems: SCOPES.length, uniqueItems: true },
    expires_at: TIME_OR_NULL,
    tenant: {
      type: 'string',
      pattern: TENANT_PATTERN,
      description: "Whose key it is; another than the caller's only the operator may name, and only with the scope `*`.",
    },
  },
  additionalProperties: false,
}

export function keyRoutes({ services, clock }: Hub): readonly Route[] {
  const { keys } = services
  return [
    {
      method: 'GET',
      path: '/v1/keys',
      permission: 'keys:read',
      summary: 'All keys, without their secrets',
      tag: 'keys',
      responses: { 200: { description: 'All of them.', schema: pageOf(objectOf(KEY)) } },
      handle: (request) => ({ status: 200, body: { data: keys.list(tenantOf(request)).map(keyDocument), cursor: null } }),
    },
    {
      method: 'POST',
      path: '/v1/keys',
      permission: 'keys:write',
      summary: 'Makes a key; its secret is in this answer and nowhere else',
      tag: 'keys',
      body: NEW_KEY,
      responses: { 201: { description: 'The key.', schema: objectOf({ ...KEY, secret: TEXT }) } },
      handle: async (request) => {
        const { name, scopes, expiresAt } = readNewKey(request, clock.now())
        checkGrant(request, name, scopes, keys.list(tenantOf(request)))
        const { record, secret } = await keys.create({ tenant: ownerOf(request), name, scopes, expiresAt })
        return { status: 201, headers: { location: `/v1/keys/${record.id}` }, body: { ...keyDocument(record), secret } }
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
        if (await keys.revoke(tenantOf(request), asKeyId(request.params['id'] ?? ''))) return { status: 204 }
        throw new NotFoundError('There is no key with this id that is not revoked already.', { code: 'KEY_NOT_FOUND' })
      },
    },
  ]
}

function keyDocument(record: KeyRecord): JsonObject {
  return {
    id: record.id,
    tenant: record.tenant,
    name: record.name,
    prefix: `ock_live_${record.id.slice(-8)}`,
    scopes: record.scopes,
    created_at: isoTime(record.createdAt),
    expires_at: isoTime(record.expiresAt),
    revoked_at: isoTime(record.revokedAt),
    last_used_at: isoTime(record.lastUsedAt),
  }
}

/** The schema has checked the shape; what it cannot say is the time. */
function readNewKey({ body }: HttpRequest, now: number): { name: string; scopes: readonly string[]; expiresAt: number | null } {
  const { name, scopes, expires_at } = isJsonObject(body) ? body : {}
  if (typeof name !== 'string' || !Array.isArray(scopes))
    throw new InvalidError('A key has a name and scopes.', { code: 'SCHEMA_VIOLATION' })
  const expiresAt = typeof expires_at === 'string' ? Date.parse(expires_at) : null
  if (expiresAt !== null && !(expiresAt > now)) {
    throw new InvalidError('The key would expire before it is made.', {
      code: 'SCHEMA_VIOLATION',
      faults: [{ pointer: '#/expires_at', detail: 'must be an ISO 8601 time to come' }],
    })
  }
  return { name, scopes: scopes.filter((scope) => typeof scope === 'string'), expiresAt }
}

/** Whose the new key is. A tenant's own administrator makes keys of that tenant and of no other. */
function ownerOf(request: HttpRequest): string {
  const caller = principalOf(request)
  const named = isJsonObject(request.body) ? request.body['tenant'] : undefined
  if (typeof named !== 'string' || named === caller.tenant) return caller.tenant
  if (isOperator(caller) && caller.scopes.has('*')) return named
  throw operatorOnly()
}

function checkGrant({ principal }: HttpRequest, name: string, scopes: readonly string[], keys: readonly KeyRecord[]): void {
  if (principal === null || principal.scopes.has('*')) return
  const beyond = scopes.filter((scope) => !principal.scopes.has(scope))
  if (beyond.length > 0) {
    throw new DeniedError(`A key cannot give what it does not have: ${beyond.join(', ')}.`, {
      code: 'SCOPE_ESCALATION',
      reason: 'forbidden',
    })
  }
  // The name owns conversations and kept answers: another's name would be another's rights.
  if (name !== principal.id && keys.some((key) => key.name === name)) {
    throw new ConflictError('This name belongs to another owner.', { code: 'KEY_NAME_TAKEN' })
  }
}
