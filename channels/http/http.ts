/**
 * The channel of `POST /v1/messages` and `POST /v1/agents/{id}/invoke`. A message is answered 202 once it is durable; its replies
 * are collected by whoever wants them. The server that lends the routes does authentication, limits and problems.
 */
import { ConflictError, DeniedError, UnavailableError, parsePublish } from '#contract'
import type {
  Accepted,
  Capabilities,
  Channel,
  ChannelHost,
  ChannelKind,
  HttpReply,
  HttpRequest,
  JsonObject,
  Principal,
  Publish,
  Route,
  Sent,
} from '#contract'
import { inboundOf } from './inbound.ts'
import { invocation, invokeAnswer, invokeRoute } from './invoke.ts'
import { messagesRoute } from './messages.ts'
import { Waiting, isOver } from './wait.ts'

export const http: ChannelKind = {
  schema: { type: 'object', properties: {}, additionalProperties: false },
  create: (name) => new HttpChannel(name),
}

class HttpChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'collect',
    resend: 'id',
    text: { max: Number.MAX_SAFE_INTEGER, unit: 'utf16', dialect: null },
    strangers: false,
    isShared: true,
    typingMs: null,
    threads: false,
    groups: false,
    media: true,
  }
  readonly routes: readonly Route[]
  readonly #name: string
  #open: { readonly host: ChannelHost; readonly waiting: Waiting } | null = null
  #isPaused = false
  #running = 0
  #idle: (() => void) | null = null

  constructor(name: string) {
    this.#name = name
    this.routes = [
      { ...messagesRoute, handle: (request) => this.#counted(() => this.#publish(request)) },
      { ...invokeRoute, handle: (request) => this.#counted(() => this.#invoke(request)) },
    ]
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#open === null) {
      const waiting = new Waiting(host)
      host.metrics
        .gauge({ name: 'openclaw_http_waiting', help: 'Requests that wait for their message to end.', labels: ['channel'] })
        .collect((set) => set(waiting.count, [host.name]))
      this.#open = { host, waiting }
      host.status('open')
    }
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    this.#open?.waiting.stop()
    this.#open = null
    if (this.#running === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#idle = resolve
    await promise
  }

  /** The reply is in the store already, and those who wait learn it from the feed. */
  send(): Promise<Sent> {
    return Promise.resolve({ id: null })
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
  }

  async #publish(request: HttpRequest): Promise<HttpReply> {
    const { host, waiting } = this.#opened()
    const accepted = await accept(host, request, parsePublish(request.body))
    const wait = request.query['wait']
    const document = typeof wait === 'number' && wait > 0 ? await outcome(waiting, request, accepted, wait) : null
    if (document !== null && isOver(document)) return answer(200, accepted, document)
    return answer(202, accepted, { message_id: accepted.envelope.id, status: document?.['status'] ?? 'queued' })
  }

  async #invoke(request: HttpRequest): Promise<HttpReply> {
    const { host, waiting } = this.#opened()
    const accepted = await accept(host, request, invocation(request))
    const wait = request.query['wait']
    const document = await outcome(waiting, request, accepted, typeof wait === 'number' ? wait : INVOKE_WAIT_SECONDS)
    if (document !== null && isOver(document)) return answer(200, accepted, invokeAnswer(document))
    return answer(202, accepted, { message_id: accepted.envelope.id, status: document?.['status'] ?? 'queued' })
  }

  #opened(): { readonly host: ChannelHost; readonly waiting: Waiting } {
    if (this.#open !== null && !this.#isPaused) return this.#open
    throw new UnavailableError(`Channel "${this.#name}" takes in nothing now. Try again.`, { code: 'CHANNEL_CLOSED' })
  }

  async #counted(run: () => Promise<HttpReply>): Promise<HttpReply> {
    this.#running++
    try {
      return await run()
    } finally {
      this.#running--
      if (this.#running === 0) this.#idle?.()
    }
  }
}

const INVOKE_WAIT_SECONDS = 60

type Stored = Exclude<Accepted, { status: 'conflict' | 'refused' }>

async function accept(host: ChannelHost, request: HttpRequest, publish: Publish): Promise<Stored> {
  const { headers } = request
  const accepted = await host.accept(inboundOf({ publish, headers, principal: principalOf(request), now: host.clock.now() }))
  if (accepted.status === 'refused') throw new DeniedError('This is not taken in here.', { code: 'MESSAGE_REFUSED', reason: 'forbidden' })
  if (accepted.status !== 'conflict') return accepted
  throw new ConflictError(`This idempotency key was used for other words, as ${accepted.id}. Use a new key.`, {
    code: 'IDEMPOTENCY_KEY_REUSED',
  })
}

function principalOf({ principal }: HttpRequest): Principal {
  if (principal === null) throw new DeniedError('Say who you are.', { code: 'UNAUTHENTICATED', reason: 'unauthenticated' })
  return principal
}

function outcome(waiting: Waiting, request: HttpRequest, accepted: Stored, waitSeconds: number): Promise<JsonObject | null> {
  const { id, session } = accepted.envelope
  // One that was not routed may be dead from the beginning, and a repeated one has its life behind it.
  const maybeOver = accepted.status === 'duplicate' || session === null
  return waiting.until({ id, tenant: principalOf(request).tenant, waitMs: waitSeconds * 1_000, signal: request.signal, maybeOver })
}

const REPLAYED = { 'idempotency-replayed': 'true' }

const answer = (status: number, accepted: Stored, body: JsonObject): HttpReply =>
  accepted.status === 'duplicate' ? { status, headers: REPLAYED, body } : { status, body }
