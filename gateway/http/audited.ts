/**
 * Which routes are audited, and what the audit says of a request. Every route that changes something for others is: nobody has to
 * remember it. What senders do all day (messages, calls of agents and skills) leaves rows of its own and is not, nor is
 * a POST that only looks.
 */
import { hash } from 'node:crypto'
import { isJsonObject, isTraceparent } from '#contract'
import type { AuditDeed, AuditDesk, HttpRequest, JsonObject, JsonValue, Principal, Route } from '#contract'

const UNAUDITED: ReadonlySet<Route['permission']> = new Set([
  'messages:write',
  'agent:execute',
  'skills:execute',
  'public',
  'signed',
  'config:read',
])

export const isAudited = ({ method, permission }: Pick<Route, 'method' | 'permission'>): boolean =>
  method !== 'GET' && !UNAUDITED.has(permission)

/** The same route, whose every call is an entry, in the transaction of what it writes. */
export function audited(route: Route, desk: AuditDesk): Route {
  if (!isAudited(route)) return route
  return {
    ...route,
    handle: (request) => {
      const { principal } = request
      return principal === null ? route.handle(request) : desk.during(deedOf(route, request, principal), () => route.handle(request))
    },
  }
}

/** Somebody asked for what their scopes do not allow. */
export const deniedDeed = (route: Route, request: HttpRequest, principal: Principal): AuditDeed => ({
  ...deedOf(route, request, principal),
  detail: { permission: route.permission },
})

function deedOf(route: Route, request: HttpRequest, principal: Principal): AuditDeed {
  const object = Object.values(request.params).join('/')
  return {
    tenant: principal.tenant,
    actor: { id: principal.id, credential: principal.credential, ip: request.ip },
    action: auditAction(route),
    object: object === '' ? null : object,
    requestId: request.id,
    traceId: traceIdOf(request.headers['traceparent']),
    detail: detailOf(route, request.body),
  }
}

const traceIdOf = (traceparent = ''): string | null => (isTraceparent(traceparent) ? traceparent.slice(3, 35) : null)

const VERBS = { POST: 'create', PUT: 'replace', PATCH: 'update', DELETE: 'delete', GET: 'read' } as const

/** `DELETE /v1/keys/{id}` → keys.delete, `POST /v1/keys/{id}/rotate` → keys.rotate, `POST /v1/keys` → keys.create */
export function auditAction({ method, path }: Pick<Route, 'method' | 'path'>): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== 'v1')
  const words = parts.filter((part) => !part.startsWith('{'))
  const isVerb = method === 'POST' && words.length > 1 && parts.at(-1) === words.at(-1)
  return [...words, ...(isVerb ? [] : [VERBS[method]])].join('.')
}

const MAX_CHARS = 2_048

/** What was asked for, without what its schema calls `writeOnly` (JSON Schema 2020-12, Validation §9.4): secrets and people's words. */
function detailOf(route: Route, body: JsonValue | undefined): JsonObject {
  if (body === undefined) return {}
  const shown = without(body, route.body)
  const text = JSON.stringify(shown)
  if (text === '{}') return {}
  return { body: text.length <= MAX_CHARS ? shown : { chars: text.length, sha256: hash('sha256', text) } }
}

function without(value: JsonValue, schema: JsonValue | undefined): JsonValue {
  if (!isJsonObject(value) || !isJsonObject(schema) || !isJsonObject(schema['properties'])) return value
  const properties = schema['properties']
  const kept: { [member: string]: JsonValue } = {}
  for (const [name, member] of Object.entries(value)) {
    const its = properties[name]
    if (!isJsonObject(its) || its['writeOnly'] !== true) kept[name] = without(member, its)
  }
  return kept
}
