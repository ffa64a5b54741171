/**
 * What happens to a request of one route, in this order and nowhere else: meant for us? who is it? may they? is what they sent in
 * order? Only then the route's handler runs, and its answer or its error is written. Other doors than HTTP `call` the same. This is the hot
 * path: whatever can be known before the first request is computed before it.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { DeniedError, NotFoundError, isOperator, may } from '#contract'
import type {
  AuditDesk,
  Clock,
  EventSink,
  Fault,
  HttpReply,
  HttpRequest,
  JsonObject,
  JsonValue,
  Permission,
  Principal,
  Redact,
  Route,
} from '#contract'
import { deniedDeed, isAudited } from './audited.ts'
import { beginStream, writeBytes, writeEmpty, writeProblem, writeText } from './answer.ts'
import { ClientGone, checkBodyHeaders, checkBounds, hasBody, parseJson, readBody } from './body.ts'
import type { Call } from './call.ts'
import type { ClientAddresses } from './client-address.ts'
import type { Credentials, Proven } from './credentials.ts'
import { EventStream } from './event-stream.ts'
import { Exchange } from './exchange.ts'
import type { Guard } from './guard.ts'
import type { KeptAnswers } from './kept-answers.ts'
import type { CredentialClass, Limits, QuotaFields } from './limits.ts'
import type { Meter } from './meter.ts'
import { operatorOnly } from './operator.ts'
import { ProtocolError, plainProblem, problemOf } from './problem.ts'
import type { Check, Schemas } from './schema.ts'

/** nginx's word for a client that left before the answer; only seen in logs and metrics. */
const CLIENT_GONE = 499

/** What all endpoints share. */
export interface Door {
  readonly guard: Guard
  readonly limits: Limits
  readonly addresses: ClientAddresses
  readonly credentials: Credentials
  /** Who the connection's own certificate proves. */
  certified(request: IncomingMessage): Proven | null
  readonly schemas: Schemas
  readonly kept: KeptAnswers
  readonly audit: AuditDesk
  readonly meter: Meter
  readonly clock: Clock
  readonly redact: Redact
  readonly streams: Set<OpenStream>
  readonly maxBodyBytes: number
  readonly maxStreams: number
  isStopping: boolean
}

/** Events on their way to somebody. `end`: nothing is sent after it, and whoever feeds the stream is told by the signal. */
export interface OpenStream extends EventSink {
  end(): void
}

export class Endpoint {
  readonly route: Route
  readonly #door: Door
  readonly #isSafe: boolean
  readonly #hasParams: boolean
  /** Its handler looks at a credential by itself: a signature, or a key that is to become a cookie. */
  readonly #guessing: CredentialClass | null
  #checkBody: Check | null = null
  #checkQuery: Check | null = null

  constructor(route: Route, door: Door) {
    this.route = route
    this.#door = door
    this.#isSafe = route.method === 'GET'
    this.#hasParams = route.path.includes('{')
    this.#guessing =
      route.permission === 'signed' ? `signed ${route.path}` : route.permission === 'public' && !this.#isSafe ? 'cookie' : null
  }

  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    params: { readonly [name: string]: string | readonly string[] },
  ): Promise<void> {
    const { route } = this
    const door = this.#door
    const exchange = new Exchange(request, response, this.#hasParams ? params : null, door.addresses)
    try {
      if (this.#guessing !== null) door.limits.checkLock(exchange.ip, this.#guessing, request.headers)
      if (route.permission === 'signed') route.screen?.(exchange.headers)
      else {
        door.guard.checkHost(request)
        door.guard.welcome(request, response)
        if (this.#guessing === 'cookie') door.guard.checkOwnOrigin(request.headers)
        else if (!this.#isSafe) door.guard.checkOrigin(request.headers)
        const { proven, quota } = await (route.isProbe === true ? atProbe(door, exchange) : identify(door, exchange))
        exchange.quota = quota
        exchange.principal = this.#admit(route.permission, proven, exchange, request.headers)
      }
      await this.#takeIn(exchange, request)
      const reply = await this.#answer(exchange)
      // Not before: it may have begun while the server ran.
      if (door.isStopping) response.shouldKeepAlive = false
      if ('events' in reply) await this.#stream(exchange, reply.events)
      else write(exchange, reply)
      this.#record(exchange, reply.status)
    } catch (error) {
      this.#fail(exchange, error)
    }
  }

  /**
   * The same for whoever did not come over HTTP. There is no page that could be tricked, so Host, Origin and cookie are no matter; throws what HTTP answers
   * as a problem. Events that are the answer are for the caller to run, by `stream`.
   */
  async call(call: Call): Promise<HttpReply> {
    const { permission } = this.route
    try {
      if (permission === 'signed') throw new NotFoundError('This is reached over HTTP only.', { code: 'NOT_FOUND' })
      const { authorization } = call.headers
      call.principal = this.#admit(permission, await proveBearer(this.#door, call.ip, authorization), call, { authorization })
      const query = await this.#queryOf(call.asked)
      if (query !== null) call.query = query
      if (call.given !== undefined) checkBounds(call.given, this.route.maxMembers)
      call.body = await this.#bodyOf(call.given)
      const reply = await this.#answer(call)
      this.#record(call, reply.status)
      return reply
    } catch (error) {
      this.#record(call, problemOf(error, call.id).status, error)
      throw error
    }
  }

  #answer(request: HttpRequest): Promise<HttpReply> | HttpReply {
    const { route } = this
    const { principal } = request
    // A body may have been long in coming.
    if (principal !== null && !this.#door.credentials.holds(principal)) throw invalid()
    return route.idempotency === 'kept' ? this.#door.kept.answer(route, request) : route.handle(request)
  }

  /** Who is let in; throws for all others. */
  #admit(permission: Permission | 'public', proven: Proven | null, request: HttpRequest, headers: IncomingHttpHeaders): Principal | null {
    const { guard, credentials, meter, audit } = this.#door
    if (permission === 'public') return proven !== null && (this.#isSafe || proven.via === 'bearer') ? proven.principal : null
    if (proven?.via === 'cookie' && !this.#isSafe) guard.checkForgery(headers)
    const onDenied = (principal: Principal): void => {
      if (isAudited(this.route)) audit.denied(deniedDeed(this.route, request, principal))
    }
    const isGiven = credentials.classOf(headers) !== null
    const principal = admitted(proven, { permission, isGiven, meter, onDenied })
    if (this.route.isForOperator !== true || isOperator(principal)) return principal
    meter.authFailures.inc(['tenant'])
    onDenied(principal)
    throw operatorOnly()
  }

  async #takeIn(exchange: Exchange, request: IncomingMessage): Promise<void> {
    const { route } = this
    const { maxBodyBytes } = this.#door
    const url = request.url ?? ''
    const mark = url.indexOf('?')
    if (mark >= 0 || route.query !== undefined) {
      const query = await this.#queryOf(new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)))
      if (query !== null) exchange.query = query
    }
    if (route.permission === 'signed') {
      if (hasBody(request)) exchange.raw = await readBody(request, maxBodyBytes)
      return
    }
    if (!hasBody(request)) {
      exchange.body = await this.#bodyOf(undefined)
      return
    }
    if (route.body === undefined) throw noBodyHere()
    const limit = Math.max(maxBodyBytes, route.maxBodyBytes ?? 0)
    const kind = checkBodyHeaders(request, limit, route.accepts)
    const raw = await readBody(request, limit)
    exchange.raw = raw
    if (kind === 'json') exchange.body = await this.#bodyOf(parseJson(raw, route.maxMembers))
  }

  /** null: nothing is asked, and the route asks nothing. */
  async #queryOf(given: URLSearchParams): Promise<HttpRequest['query'] | null> {
    const { route } = this
    if (given.size === 0 && route.query === undefined) return null
    this.#checkQuery ??= await this.#door.schemas.compile(querySchema(route), 'query')
    return readQuery(given, this.#checkQuery)
  }

  /** No body is the empty object: the schema says whether that is enough. */
  async #bodyOf(given: JsonValue | undefined): Promise<JsonValue | undefined> {
    const { route } = this
    if (route.body === undefined) {
      if (given === undefined) return undefined
      throw noBodyHere()
    }
    const body = given === undefined ? {} : given
    if (route.validates === 'handler') return body
    this.#checkBody ??= await this.#door.schemas.compile(route.body, 'body')
    const faults = this.#checkBody(body)
    if (faults.length === 0) return body
    throw new ProtocolError('The body does not fit; see `errors`.', { code: 'SCHEMA_VIOLATION', slug: 'schema-violation', faults })
  }

  async #stream(exchange: Exchange, events: (sink: EventSink) => Promise<void>): Promise<void> {
    if (exchange.request.method === 'HEAD') {
      beginStream(exchange.response, exchange.id, exchange.quota)
      exchange.response.end()
      return
    }
    await runStream(this.#door, exchange.principal, events, () => {
      beginStream(exchange.response, exchange.id, exchange.quota)
      return new EventStream(exchange.response, this.#door.clock)
    })
  }

  #fail(exchange: Exchange, error: unknown): void {
    const { response } = exchange
    if (error instanceof ClientGone || response.destroyed) return this.#record(exchange, CLIENT_GONE)
    if (this.#guessing !== null && error instanceof DeniedError) this.#door.limits.failed(exchange.ip, this.#guessing)
    const problem = problemOf(error, exchange.id, this.#door.redact)
    if (this.#door.isStopping) response.shouldKeepAlive = false
    if (response.headersSent) response.destroy()
    else {
      const { meter } = this.#door
      if (error instanceof ProtocolError && REASONS[error.code] !== undefined) meter.authFailures.inc([REASONS[error.code] ?? ''])
      if (this.route.errors === 'plain') {
        const { status, body, headers } = plainProblem(problem)
        const contentType = 'application/json'
        writeText(response, { id: exchange.id, status, text: JSON.stringify(body), contentType, headers, quota: exchange.quota })
      } else writeProblem(response, exchange.id, { ...problem, quota: exchange.quota })
    }
    this.#record(exchange, problem.status, error)
  }

  #record(exchange: Exchange | Call, status: number, error?: unknown): void {
    this.#door.meter.record({
      id: exchange.id,
      method: exchange.method ?? this.route.method,
      route: this.route.path,
      status,
      startedAt: exchange.startedAt,
      principal: exchange.principal,
      bytesIn: exchange.raw.byteLength,
      bytesOut: 'bytesOut' in exchange ? exchange.bytesOut : 0,
      traceparent: exchange.headers['traceparent'],
      error,
    })
  }
}

export interface Identified {
  readonly proven: Proven | null
  /** What is left to them, for the answer's header. */
  readonly quota: QuotaFields
}

/** Who sent it, which is one more request of theirs. @throws ProtocolError when that is too many, or while the address is shut out */
export async function identify(door: Door, from: { readonly request: IncomingMessage; readonly ip: string }): Promise<Identified> {
  const { headers } = from.request
  const by = door.credentials.classOf(headers)
  if (by !== null) door.limits.checkLock(from.ip, by, headers)
  const proven = by === null ? door.certified(from.request) : await door.credentials.prove(headers)
  return { proven, quota: counted(door, { ip: from.ip, proven, by }) }
}

/**
 * The same where the answer must come. Many may share the prober's address (a NAT, a proxy that is not trusted), so without a credential nobody is counted;
 * a credential only adds to what is told, and one that cannot be looked at now adds nothing.
 */
async function atProbe(door: Door, exchange: Exchange): Promise<Identified> {
  if (door.credentials.classOf(exchange.request.headers) === null) return { proven: door.certified(exchange.request), quota: [] }
  return identify(door, exchange).catch(() => ({ proven: null, quota: [] }))
}

/** One more request, of the credential or else of the address; throws when that is too many. */
function counted(
  { limits }: Door,
  { ip, proven, by }: { readonly ip: string; readonly proven: Proven | null; readonly by: CredentialClass | null },
): QuotaFields {
  if (proven !== null) return limits.known(proven.countedAs)
  if (by !== null) limits.failed(ip, by)
  return limits.stranger(ip)
}

/** Who a bearer token proves, looked at and counted as every request is. */
export async function proveBearer(door: Door, ip: string, authorization: string | undefined): Promise<Proven | null> {
  const by = authorization === undefined ? null : 'bearer'
  const headers = { authorization }
  if (by !== null) door.limits.checkLock(ip, by, headers)
  const proven = await door.credentials.prove(headers)
  counted(door, { ip, proven, by })
  return proven
}

export interface Asking {
  readonly permission: Permission
  /** There was something that should have proved it. */
  readonly isGiven: boolean
  readonly meter: Meter
  readonly onDenied?: (principal: Principal) => void
}

/** The one rule of who may: throws for all others. */
export function admitted(proven: Proven | null, { permission, isGiven, meter, onDenied }: Asking): Principal {
  if (proven === null) {
    if (!isGiven) meter.authFailures.inc(['missing'])
    if (isGiven) throw invalid()
    throw new DeniedError('Give an API key: `Authorization: Bearer <key>`.', { code: 'UNAUTHENTICATED', reason: 'unauthenticated' })
  }
  if (may(proven.principal, permission)) return proven.principal
  meter.authFailures.inc(['scope'])
  onDenied?.(proven.principal)
  throw new DeniedError(`This needs the scope ${permission}, which the credential does not have.`, {
    code: 'INSUFFICIENT_SCOPE',
    reason: 'forbidden',
  })
}

const invalid = (): DeniedError =>
  new DeniedError('The credential is not valid (any more).', { code: 'CREDENTIAL_INVALID', reason: 'unauthenticated' })

/** Feeds one stream to its end; it ends too when the credential of its reader does. */
export async function runStream(
  { streams, maxStreams, credentials, meter }: Door,
  principal: Principal | null,
  events: (sink: EventSink) => Promise<void>,
  open: () => OpenStream,
): Promise<void> {
  if (streams.size >= maxStreams) {
    throw new ProtocolError('Too many event streams are open.', {
      code: 'TOO_MANY_STREAMS',
      slug: 'temporary-reduced-capacity',
      headers: { 'retry-after': '5' },
    })
  }
  const stream = open()
  const unwatch = principal === null ? null : credentials.onEnd(principal, () => stream.end())
  streams.add(stream)
  meter.streams.set(streams.size)
  try {
    await events(stream)
  } finally {
    unwatch?.()
    stream.end()
    streams.delete(stream)
    meter.streams.set(streams.size)
  }
}

const noBodyHere = (): ProtocolError => new ProtocolError('This takes no body.', { code: 'UNEXPECTED_BODY', slug: 'invalid-request' })

const REASONS: { readonly [code: string]: string | undefined } = {
  HOST_NOT_ALLOWED: 'host',
  ORIGIN_REFUSED: 'origin',
  FORGERY_SUSPECTED: 'forgery',
}

const querySchema = (route: Route): JsonObject => ({
  type: 'object',
  properties: route.query ?? {},
  // A platform may add to what it sends.
  additionalProperties: route.permission === 'signed',
})

function readQuery(given: URLSearchParams, check: Check): { readonly [name: string]: string | number | boolean | undefined } {
  const query: { [name: string]: string } = {}
  const faults: Fault[] = []
  for (const [name, value] of given) {
    if (Object.hasOwn(query, name)) faults.push({ pointer: `#/query/${name}`, detail: 'is given twice' })
    else if (name === '__proto__') faults.push({ pointer: '#/query/__proto__', detail: 'is not a known member' })
    else query[name] = value
  }
  for (const { pointer, detail } of faults.length > 0 ? [] : check(query)) faults.push({ pointer: pointer.replace('#', '#/query'), detail })
  if (faults.length === 0) return query
  throw new ProtocolError('The query does not fit; see `errors`.', { code: 'INVALID_QUERY', slug: 'invalid-request', faults })
}

function write({ response, id, quota }: Exchange, reply: Exclude<HttpReply, { events: unknown }>): void {
  const { status, headers = NO_HEADERS } = reply
  if ('text' in reply) writeText(response, { id, status, text: reply.text, contentType: reply.contentType, headers, quota })
  else if ('bytes' in reply) writeBytes(response, { id, status, bytes: reply.bytes, contentType: reply.contentType, headers, quota })
  else if (reply.body === undefined) writeEmpty(response, { id, status, headers, quota })
  else writeText(response, { id, status, text: JSON.stringify(reply.body), contentType: 'application/json', headers, quota })
}

const NO_HEADERS = {}
