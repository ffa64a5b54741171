/**
 * Everything that goes wrong as a problem document (RFC 9457). Errors of the contract are told apart by class, those that HTTP itself
 * demands by `ProtocolError`; whatever else is thrown is a 500 that says nothing about its inside.
 */
import { ConflictError, DeniedError, InvalidError, NotFoundError, OpenClawError, UnavailableError, isJsonObject, textOf } from '#contract'
import type { Fault, JsonObject, Redact } from '#contract'

/** The kinds of problem there are. */
export type Slug =
  | 'invalid-json'
  | 'invalid-request'
  | 'unauthorized'
  | 'insufficient-scope'
  | 'forbidden-origin'
  | 'not-found'
  | 'method-not-allowed'
  | 'request-timeout'
  | 'conflict'
  | 'idempotency-in-progress'
  | 'precondition-failed'
  | 'url-not-allowed'
  | 'body-too-large'
  | 'unsupported-media-type'
  | 'misdirected-request'
  | 'schema-violation'
  | 'idempotency-key-reused'
  | 'headers-too-large'
  | 'upgrade-required'
  | 'quota-exceeded'
  | 'skill-refused'
  | 'skill-failed'
  | 'skill-timeout'
  | 'sandbox-unavailable'
  | 'internal-error'
  | 'temporary-reduced-capacity'
  | 'draining'

/** Slug → status and title; `type` is `https://openclaw.dev/problems/<slug>`. */
export const PROBLEMS: { readonly [slug in Slug]: readonly [status: number, title: string] } = {
  'invalid-json': [400, 'The body is not usable JSON'],
  'invalid-request': [400, 'The request is malformed'],
  unauthorized: [401, 'A valid credential is needed'],
  'insufficient-scope': [403, 'The credential does not allow this'],
  'forbidden-origin': [403, 'The request came from a foreign page'],
  'not-found': [404, 'There is no such thing'],
  'method-not-allowed': [405, 'The method is not allowed here'],
  'request-timeout': [408, 'The request took too long to arrive'],
  conflict: [409, 'The state of the thing does not allow this'],
  'idempotency-in-progress': [409, 'The first request with this key is still running'],
  'precondition-failed': [412, 'The thing was changed since it was read'],
  'url-not-allowed': [422, 'The URL leads where nothing may be sent'],
  'body-too-large': [413, 'The body is too large'],
  'unsupported-media-type': [415, 'The body is of an unsupported type'],
  'misdirected-request': [421, 'The host name is not one of this gateway'],
  'schema-violation': [422, 'The request breaks a rule'],
  'idempotency-key-reused': [422, 'The key was used for another request'],
  'upgrade-required': [426, 'There is only a socket at this path'],
  'quota-exceeded': [429, 'Too many requests'],
  'headers-too-large': [431, 'The header fields are too large'],
  'skill-refused': [403, 'The skill may not be run so'],
  'skill-failed': [502, 'The skill failed'],
  'skill-timeout': [504, 'The skill took too long'],
  'sandbox-unavailable': [501, 'Nothing here can run the skill'],
  'internal-error': [500, 'Something went wrong in the gateway'],
  'temporary-reduced-capacity': [503, 'The gateway cannot do this now'],
  draining: [503, 'The gateway is shutting down'],
}

/** Codes whose problem is more exact than their class. Channels and store throw them too. */
const BY_CODE: { readonly [code: string]: Slug | undefined } = {
  IDEMPOTENCY_KEY_REUSED: 'idempotency-key-reused',
  IDEMPOTENCY_IN_PROGRESS: 'idempotency-in-progress',
  DRAINING: 'draining',
  IDEMPOTENCY_KEY_MISMATCH: 'invalid-request',
  INVALID_IDEMPOTENCY_KEY: 'invalid-request',
  PRECONDITION_FAILED: 'precondition-failed',
  URL_NOT_ALLOWED: 'url-not-allowed',
}

/** A rule of HTTP itself was broken, or a limit of the server met. */
export class ProtocolError extends OpenClawError {
  readonly retryable = false
  readonly slug: Slug
  readonly headers: { readonly [name: string]: string }
  readonly faults: readonly Fault[]
  /** Further members of the document. */
  readonly members: JsonObject
  constructor(
    message: string,
    options: {
      code: string
      slug: Slug
      headers?: { readonly [name: string]: string }
      faults?: readonly Fault[]
      members?: JsonObject
      cause?: unknown
    },
  ) {
    super(message, options)
    this.slug = options.slug
    this.headers = options.headers ?? {}
    this.faults = options.faults ?? []
    this.members = options.members ?? {}
  }
}

export interface Problem {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly body: JsonObject
}

/** `instance` is the request's id. `redact`: where the error may hold words of a platform. */
export function problemOf(error: unknown, instance: string, redact: Redact = (text) => text): Problem {
  const { slug, code, headers, ...said } = describe(error)
  const detail = redact(said.detail)
  const [status, title] = PROBLEMS[slug]
  const errors = said.faults.map((fault) => ({ pointer: fault.pointer, detail: redact(fault.detail) }))
  const body = {
    type: `https://openclaw.dev/problems/${slug}`,
    title,
    status,
    detail,
    instance,
    code,
    ...(errors.length > 0 && { errors }),
    ...(error instanceof ProtocolError && error.members),
  }
  return { status, headers, body }
}

/** The same as clients of OpenAI's API read it (https://platform.openai.com/docs/guides/error-codes), for routes that speak that API. */
export function plainProblem({ status, headers, body }: Problem): Problem {
  const code = textOf(body['code'])
  const [fault] = Array.isArray(body['errors']) ? body['errors'] : []
  const pointer: unknown = isJsonObject(fault) ? fault['pointer'] : null
  const detail: unknown = isJsonObject(fault) ? fault['detail'] : null
  const param = typeof pointer === 'string' ? paramOf(pointer) : null
  const message = typeof detail === 'string' && code === 'SCHEMA_VIOLATION' ? `${param ?? 'The body'}: ${detail}` : body['detail']
  const error = { message: message ?? '', type: TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'server_error'), param }
  // What is wrong in a body is 400 there.
  return { status: status === 422 ? 400 : status, headers, body: { error: { ...error, code: CODES[code] ?? code.toLowerCase() } } }
}

const TYPES: { readonly [status: number]: string | undefined } = {
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
}
const CODES: { readonly [code: string]: string | undefined } = {
  UNAUTHENTICATED: 'invalid_api_key',
  CREDENTIAL_INVALID: 'invalid_api_key',
  INSUFFICIENT_SCOPE: 'insufficient_permissions',
  AGENT_UNKNOWN: 'model_not_found',
  SCHEMA_VIOLATION: 'invalid_value',
}

/** `#/messages/0/content` → `messages[0].content` */
function paramOf(pointer: string): string | null {
  const path = pointer
    .replace(/^#\/?/, '')
    .replaceAll(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.')
  return path === '' ? null : path
}

interface Description {
  readonly slug: Slug
  readonly code: string
  readonly detail: string
  readonly headers: { readonly [name: string]: string }
  readonly faults: readonly Fault[]
}

function describe(error: unknown): Description {
  if (!(error instanceof OpenClawError)) return internal()
  const { code, message: detail } = error
  const known = { code, detail, headers: {}, faults: [] }
  const exact = BY_CODE[code]
  if (error instanceof ProtocolError) return { ...known, slug: error.slug, headers: error.headers, faults: error.faults }
  if (error instanceof InvalidError) return { ...known, slug: exact ?? 'schema-violation', faults: error.faults }
  if (error instanceof NotFoundError) return { ...known, slug: 'not-found' }
  if (error instanceof ConflictError) return { ...known, slug: exact ?? 'conflict' }
  if (error instanceof DeniedError) {
    return error.reason === 'forbidden'
      ? { ...known, slug: 'insufficient-scope', headers: { 'www-authenticate': 'Bearer realm="openclaw", error="insufficient_scope"' } }
      : { ...known, slug: 'unauthorized', headers: { 'www-authenticate': challenge(code) } }
  }
  if (error instanceof UnavailableError)
    return { ...known, slug: exact ?? 'temporary-reduced-capacity', headers: retryAfter(error.retryAfterMs) }
  return error.retryable ? { ...known, slug: 'temporary-reduced-capacity', headers: retryAfter(1_000) } : internal()
}

/** RFC 6750 §3: only who gave a token is told that it is no good. */
const challenge = (code: string): string => `Bearer realm="openclaw"${code === 'CREDENTIAL_INVALID' ? ', error="invalid_token"' : ''}`

const internal = (): Description => ({
  slug: 'internal-error',
  code: 'INTERNAL',
  detail: 'The request could not be handled; nothing is known to be wrong with it. The log has more under the request id.',
  headers: {},
  faults: [],
})

/** Whole seconds (RFC 9110 §10.2.3), never 0. */
const retryAfter = (ms: number): { readonly 'retry-after': string } => ({ 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))) })
