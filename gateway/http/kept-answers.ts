/**
 * The same Idempotency-Key gives the same answer for 24 hours (draft-ietf-httpapi-idempotency-key-header). What failed is not kept: an
 * error means that nothing was done, so the same key may try again.
 */
import { hash } from 'node:crypto'
import { ConflictError, MAX_IDEMPOTENCY_KEY_CHARS, canonicalDigest, isJsonObject, readIdempotencyKey } from '#contract'
import type { Clock, HttpReply, HttpRequest, IdempotencyStore, JsonObject, JsonValue, Route } from '#contract'
import { ProtocolError } from './problem.ts'

const KEPT_MS = 24 * 3_600_000

export class KeptAnswers {
  readonly #store: IdempotencyStore
  readonly #clock: Clock
  /** Bounded by the connections. What the store says is running but is not here died with a former life. */
  readonly #running = new Set<string>()

  constructor(store: IdempotencyStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  async answer(route: Route, request: HttpRequest): Promise<HttpReply> {
    const given = request.headers['idempotency-key']
    if (given === undefined) return route.handle(request)
    const owner = request.principal === null ? '' : `${request.principal.tenant}\n${request.principal.id}`
    const key = hash('sha256', `${owner}\n${route.method} ${route.path}\n${keyOf(given)}`)
    const fingerprint = canonicalDigest([request.params, request.query, request.body ?? hash('sha256', request.raw)])
    if (this.#running.has(key)) throw inProgress()
    this.#running.add(key)
    try {
      const kept = await this.#begin(key, fingerprint)
      if (kept !== null) return kept
      return await this.#make(key, route, request)
    } finally {
      this.#running.delete(key)
    }
  }

  async #begin(key: string, fingerprint: string): Promise<HttpReply | null> {
    const now = this.#clock.now()
    const kept = await this.#store.begin(key, fingerprint, now, now + KEPT_MS)
    if (kept === null) return null
    if (kept.fingerprint !== fingerprint) {
      throw new ConflictError('This Idempotency-Key was used for a request with other content. Use a new key.', {
        code: 'IDEMPOTENCY_KEY_REUSED',
      })
    }
    if (kept.answer !== null) return replyOf(kept.answer)
    await this.#store.abandon(key)
    if ((await this.#store.begin(key, fingerprint, now, now + KEPT_MS)) !== null) throw inProgress()
    return null
  }

  async #make(key: string, route: Route, request: HttpRequest): Promise<HttpReply> {
    let reply: HttpReply
    try {
      reply = await route.handle(request)
    } catch (error) {
      await this.#store.abandon(key)
      throw error
    }
    if (reply.status < 500 && 'body' in reply) {
      await this.#store.finish(key, { status: reply.status, headers: reply.headers ?? {}, body: kept(reply.body, route.unkept) })
    } else await this.#store.abandon(key)
    return reply
  }
}

/** What is shown once must not lie in the store for a day. */
function kept(body: JsonValue | undefined, unkept: readonly string[] | undefined): JsonValue {
  if (unkept === undefined || !isJsonObject(body)) return body ?? null
  return { ...body, ...Object.fromEntries(unkept.map((name) => [name, null])) }
}

function keyOf(given: string): string {
  const key = readIdempotencyKey(given)
  if (key !== null) return key
  const rule = `1 to ${MAX_IDEMPOTENCY_KEY_CHARS} printable ASCII characters`
  throw new ProtocolError(`An Idempotency-Key has ${rule}.`, {
    code: 'INVALID_IDEMPOTENCY_KEY',
    slug: 'invalid-request',
    faults: [{ pointer: '#/headers/idempotency-key', detail: `is not ${rule}` }],
  })
}

function replyOf(answer: JsonObject): HttpReply {
  const { status, headers, body } = answer
  const texts: { [name: string]: string } = { 'idempotency-replayed': 'true' }
  if (isJsonObject(headers)) for (const [name, value] of Object.entries(headers)) if (typeof value === 'string') texts[name] = value
  return { status: typeof status === 'number' ? status : 200, headers: texts, body: body ?? null }
}

const inProgress = (): ProtocolError =>
  new ProtocolError('The first request with this Idempotency-Key is still running. Ask again in a moment.', {
    code: 'IDEMPOTENCY_IN_PROGRESS',
    slug: 'idempotency-in-progress',
    headers: { 'retry-after': '1' },
  })
