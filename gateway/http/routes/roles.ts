/** Roles: which there are, and those that a tenant makes for itself. What a role may give is what its maker has. */
import { ConflictError, NotFoundError, ROLE_NAME, SCOPES, isJsonObject, isoTime } from '#contract'
import type { HttpReply, HttpRequest, JsonObject, Route } from '#contract'
import { CHANGE_PROBLEMS, checkMatch, tagged } from '../conditional.ts'
import { PAGING } from '../cursor.ts'
import { checkGrant } from '../grant.ts'
import type { RoleView } from '../roles.ts'
import { principalOf } from './caller.ts'
import { TEXT, TEXT_OR_NULL, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

const ROLE = objectOf({
  name: TEXT,
  permissions: { type: 'array', items: { enum: [...SCOPES] } },
  from: { enum: ['builtin', 'config', 'api'], description: 'Where it is defined; only those of `api` can be changed or removed here.' },
  created_at: TIME_OR_NULL,
  created_by: TEXT_OR_NULL,
})
const PERMISSIONS: JsonObject = { type: 'array', items: { enum: [...SCOPES] }, minItems: 1, maxItems: SCOPES.length, uniqueItems: true }
const CHANGE: JsonObject = {
  type: 'object',
  required: ['permissions'],
  properties: { permissions: PERMISSIONS },
  additionalProperties: false,
  examples: [{ permissions: ['audit:read'] }],
}
const NEW_ROLE: JsonObject = {
  type: 'object',
  required: ['name', 'permissions'],
  properties: { name: { type: 'string', pattern: ROLE_NAME }, permissions: PERMISSIONS },
  additionalProperties: false,
  examples: [{ name: 'auditor', permissions: ['audit:read', 'logs:read'] }],
}

export function roleRoutes({ services, cursors }: Hub): readonly Route[] {
  const { roles } = services
  return [
    {
      method: 'GET',
      path: '/v1/roles',
      permission: 'keys:read',
      summary: 'The roles that keys and tokens of this tenant can have',
      tag: 'keys',
      query: PAGING,
      responses: { 200: { description: 'By name.', schema: pageOf(ROLE) } },
      handle: async (request) => {
        const all = roles.list(principalOf(request).tenant).map((role, index) => ({ role, seq: index + 1 }))
        const body = await cursors.page({
          request,
          list: 'roles',
          read: async (before, limit) => all.slice(before ?? 0, (before ?? 0) + limit),
          seqOf: ({ seq }) => seq,
          show: ({ role }) => roleDocument(role),
        })
        return { status: 200, body }
      },
    },
    {
      method: 'POST',
      path: '/v1/roles',
      permission: 'keys:write',
      summary: 'Makes a role of this tenant',
      tag: 'keys',
      body: NEW_ROLE,
      idempotency: 'kept',
      responses: { 201: { description: 'The role.', schema: ROLE } },
      handle: async (request) => {
        const { name } = isJsonObject(request.body) ? request.body : {}
        const given = permissionsIn(request)
        const principal = principalOf(request)
        checkGrant(principal, given)
        const role = await roles.create(principal.tenant, {
          name: typeof name === 'string' ? name : '',
          permissions: given,
          by: principal.id,
        })
        return { status: 201, body: roleDocument(role) }
      },
    },
    {
      method: 'GET',
      path: '/v1/roles/{name}',
      permission: 'keys:read',
      summary: 'One role, with its ETag',
      tag: 'keys',
      responses: { 200: { description: 'The role.', schema: ROLE } },
      handle: (request) => {
        const role = roles.find(principalOf(request).tenant, nameOf(request))
        if (role === null) throw noRole()
        return shown(role)
      },
    },
    {
      method: 'PUT',
      path: '/v1/roles/{name}',
      permission: 'keys:write',
      summary: 'Gives a role of this tenant other permissions, which whoever has it has at once; honours If-Match',
      tag: 'keys',
      body: CHANGE,
      responses: { ...CHANGE_PROBLEMS, 200: { description: 'The role.', schema: ROLE } },
      handle: async (request) => {
        const principal = principalOf(request)
        const name = nameOf(request)
        const given = permissionsIn(request)
        const role = await roles.change(principal.tenant, name, (now) => {
          checkMatch(request, settingsOf(now))
          checkGrant(principal, given)
          return given
        })
        if (role === null) throw notHere(roles.find(principal.tenant, name))
        return shown(role)
      },
    },
    {
      method: 'DELETE',
      path: '/v1/roles/{name}',
      permission: 'keys:write',
      summary: 'Removes a role of this tenant; whoever has it loses what it gave',
      tag: 'keys',
      responses: { 204: { description: 'It is removed.' } },
      handle: async (request) => {
        const { tenant } = principalOf(request)
        if (await roles.remove(tenant, nameOf(request))) return { status: 204 }
        throw notHere(roles.find(tenant, nameOf(request)))
      },
    },
  ]
}

const nameOf = ({ params }: HttpRequest): string => params['name'] ?? ''

function permissionsIn({ body }: HttpRequest): readonly string[] {
  const given = isJsonObject(body) ? body['permissions'] : undefined
  return Array.isArray(given) ? given.filter((permission) => typeof permission === 'string') : []
}

const noRole = (): NotFoundError => new NotFoundError('There is no role of this name.', { code: 'ROLE_NOT_FOUND' })

/** Why nothing of this name can be changed here. */
const notHere = (role: RoleView | null): NotFoundError | ConflictError =>
  role === null
    ? noRole()
    : new ConflictError(`Role ${role.name} comes with the gateway or stands in openclaw.yaml, below \`roles\`. Change it there.`, {
        code: 'ROLE_IN_CONFIG',
      })

const settingsOf = ({ name, permissions }: RoleView): JsonObject => ({ name, permissions })

const shown = (role: RoleView): HttpReply => tagged(settingsOf(role), roleDocument(role))

const roleDocument = (role: RoleView): JsonObject => ({
  name: role.name,
  permissions: role.permissions,
  from: role.from,
  created_at: isoTime(role.createdAt),
  created_by: role.createdBy,
})
