/**
 * What happens to a request of one route, in this order and nowhere else: meant for us? who is it? may they? is what they sent in
 * order? Only then the route's handler runs, and its answer or its error is written. This is the hot path: whatever can be known
 * before the first request is computed before it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { DeniedError, may } from '#contract'
import type { AuditDesk, Clock, Fault, HttpReply, JsonObject, JsonValue, Permission, Principal, Redact, Route } from '#contract'
import { deniedDeed, isAudited } from './audited.ts'
import { beginStream, writeBytes, writeEmpty, writeProblem, writeText } from './answer.ts'
import { ClientGone, checkBodyHeaders, hasBody, parseJson, readBody } from './body.ts'
import type { ClientAddresses } from './client-address.ts'
import type { Credentials, Proven } from './credentials.ts'
import { EventStream } from './event-stream.ts'
import { Exchange } from './exchange.ts'
import type { Guard } from './guard.ts'
import type { KeptAnswers } from './kept-answers.ts'
import type { CredentialClass, Limits, QuotaFields } from './limits.ts'
import type { Meter } from './meter.ts'
import { ProtocolError, problemOf } from './problem.ts'
import type { Check, Schemas } from './schema.ts'

/** nginx's word for a client that left before the answer; only seen in logs and metrics. */
const CLIENT_GONE = 499

/** What all endpoints share. */
export interface Door {
  readonly guard: Guard
  readonly limits: Limits
  readonly addresses: ClientAddresses
  readonly credentials: Credentials
  readonly schemas: Schemas
  readonly kept: KeptAnswers
  readonly audit: AuditDesk
  readonly meter: Meter
  readonly clock: Clock
  readonly redact: Redact
  readonly streams: Set<EventStream>
  readonly maxBodyBytes: number
  readonly maxStreams: number
  isStopping: boolean
}

export class Endpoint {
  readonly route: Route
  readonly #door: Door
  readonly #isSafe: boolean
  readonly #hasParams: boolean
  #checkBody: Check | null = null
  #checkQuery: Check | null = null

  constructor(route: Route, door: Door) {
    this.route = route
    this.#door = door
    this.#isSafe = route.method === 'GET'
    this.#hasParams = route.path.includes('{')
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
      if (route.permission !== 'signed') {
        door.guard.checkHost(request)
        if (!this.#isSafe) door.guard.checkOrigin(request.headers)
        const by = door.credentials.classOf(request.headers)
        if (by !== null) door.limits.checkLock(exchange.ip, by, request.headers)
        const proof = door.credentials.prove(request.headers)
        const proven = proof instanceof Promise ? await proof : proof
        exchange.quota = this.#count(exchange, proven, by)
        exchange.principal = this.#admit(route.permission, proven, exchange)
      } else door.limits.checkLock(exchange.ip, 'signed', request.headers)
      await this.#takeIn(exchange, request)
      const reply = route.idempotency === 'kept' ? await door.kept.answer(route, exchange) : await route.handle(exchange)
      // Not before: it may have begun while the server ran.
      if (door.isStopping) response.shouldKeepAlive = false
      if ('events' in reply) await this.#stream(exchange, reply.events)
      else write(exchange, reply)
      this.#record(exchange, reply.status)
    } catch (error) {
      this.#fail(exchange, error)
    }
  }

  #count(exchange: Exchange, proven: Proven | null, by: CredentialClass | null): QuotaFields {
    const { limits } = this.#door
    if (proven !== null) return limits.known(proven.principal.credential)
    if (by !== null) limits.failed(exchange.ip, by)
    return limits.stranger(exchange.ip)
  }

  /** Who is let in; throws for all others. */
  #admit(permission: Permission | 'public', proven: Proven | null, exchange: Exchange): Principal | null {
    const { guard, meter, audit } = this.#door
    const { request } = exchange
    if (permission === 'public') return proven !== null && (this.#isSafe || proven.via === 'bearer') ? proven.principal : null
    if (proven === null) {
      const isGiven = request.headers.authorization !== undefined || request.headers.cookie !== undefined
      if (!isGiven) meter.authFailures.inc(['missing'])
      throw new DeniedError(isGiven ? 'The credential is not valid (any more).' : 'Give an API key: `Authorization: Bearer ock_live_…`.', {
        code: isGiven ? 'CREDENTIAL_INVALID' : 'UNAUTHENTICATED',
        reason: 'unauthenticated',
      })
    }
    if (!this.#isSafe && proven.via === 'cookie') guard.checkForgery(request.headers)
    if (!may(proven.principal, permission)) {
      meter.authFailures.inc(['scope'])
      if (isAudited(this.route)) audit.denied(deniedDeed(this.route, exchange, proven.principal))
      throw new DeniedError(`This needs the scope ${permission}, which the credential does not have.`, {
        code: 'INSUFFICIENT_SCOPE',
        reason: 'forbidden',
      })
    }
    return proven.principal
  }

  async #takeIn(exchange: Exchange, request: IncomingMessage): Promise<void> {
    const { route } = this
    const { maxBodyBytes, schemas } = this.#door
    const url = request.url ?? ''
    const mark = url.indexOf('?')
    if (mark >= 0 || route.query !== undefined) {
      this.#checkQuery ??= await schemas.compile(querySchema(route), 'query')
      exchange.query = readQuery(mark < 0 ? '' : url.slice(mark + 1), this.#checkQuery)
    }
    if (route.permission === 'signed') {
      if (hasBody(request)) exchange.raw = await readBody(request, maxBodyBytes)
      return
    }
    if (route.body === undefined) {
      if (!hasBody(request)) return
      throw new ProtocolError('This takes no body.', { code: 'UNEXPECTED_BODY', slug: 'invalid-request' })
    }
    let body: JsonValue = {}
    if (hasBody(request)) {
      const limit = Math.max(maxBodyBytes, route.maxBodyBytes ?? 0)
      const kind = checkBodyHeaders(request, limit, route.accepts)
      const raw = await readBody(request, limit)
      exchange.raw = raw
      if (kind === 'bytes') return
      body = parseJson(raw)
    }
    // No body is the empty object: the schema says whether that is enough.
    exchange.body = body
    if (route.validates === 'handler') return
    this.#checkBody ??= await schemas.compile(route.body, 'body')
    const faults = this.#checkBody(body)
    if (faults.length === 0) return
    throw new ProtocolError('The body does not fit; see `errors`.', { code: 'SCHEMA_VIOLATION', slug: 'schema-violation', faults })
  }

  async #stream(exchange: Exchange, events: (sink: EventStream) => Promise<void>): Promise<void> {
    const { streams, maxStreams, clock, credentials, meter } = this.#door
    if (streams.size >= maxStreams) {
      throw new ProtocolError('Too many event streams are open.', {
        code: 'TOO_MANY_STREAMS',
        slug: 'temporary-reduced-capacity',
        headers: { 'retry-after': '5' },
      })
    }
    beginStream(exchange.response, exchange.id, exchange.quota)
    if (exchange.request.method === 'HEAD') {
      exchange.response.end()
      return
    }
    const stream = new EventStream(exchange.response, clock)
    const unwatch = exchange.principal === null ? null : credentials.onEnd(exchange.principal, () => stream.end())
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

  #fail(exchange: Exchange, error: unknown): void {
    const { response } = exchange
    if (error instanceof ClientGone || response.destroyed) return this.#record(exchange, CLIENT_GONE)
    if (this.route.permission === 'signed' && error instanceof DeniedError) this.#door.limits.failed(exchange.ip, 'signed')
    const problem = problemOf(error, exchange.id, this.#door.redact)
    if (this.#door.isStopping) response.shouldKeepAlive = false
    if (response.headersSent) response.destroy()
    else {
      const { meter } = this.#door
      if (error instanceof ProtocolError && REASONS[error.code] !== undefined) meter.authFailures.inc([REASONS[error.code] ?? ''])
      writeProblem(response, exchange.id, { ...problem, quota: exchange.quota })
    }
    this.#record(exchange, problem.status, error)
  }

  #record(exchange: Exchange, status: number, error?: unknown): void {
    this.#door.meter.record({
      id: exchange.id,
      method: exchange.request.method ?? this.route.method,
      route: this.route.path,
      status,
      startedAt: exchange.startedAt,
      principal: exchange.principal === null ? null : exchange.principal.id,
      traceparent: exchange.headers['traceparent'],
      error,
    })
  }
}

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

function readQuery(text: string, check: Check): { readonly [name: string]: string | number | boolean | undefined } {
  const query: { [name: string]: string } = {}
  const faults: Fault[] = []
  for (const [name, value] of new URLSearchParams(text)) {
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
