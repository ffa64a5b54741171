/**
 * The channel of OpenAI's API, `POST /v1/chat/completions` and `POST /v1/responses`, over our own agents. A request is a message like any other; its answer is
 * waited for, or told as it comes. The models it can ask for are listed by the hub.
 */
import type { Capabilities, Channel, ChannelHost, ChannelKind, EventSink, HttpReply, HttpRequest, JsonObject, Route, Sent } from '#contract'
import { answerOf, failureReply, notNow } from './answer.ts'
import type { Answer, Failed } from './answer.ts'
import { accept, idAs } from './ask.ts'
import type { Ask, Stored } from './ask.ts'
import { ChatStream, chatCompletion } from './chat-answer.ts'
import { chatRequest } from './chat-request.ts'
import { checkDemands, heldTo } from './demand.ts'
import { follow } from './follow.ts'
import type { Speech } from './follow.ts'
import { nameIn } from './read.ts'
import { ResponseStream, responseOf } from './responses-answer.ts'
import { responsesRequest } from './responses-request.ts'
import { chatRoute, responsesRoute } from './route.ts'

export const completions: ChannelKind = {
  schema: { type: 'object', properties: {}, additionalProperties: false },
  create: (name) => new CompletionsChannel(name),
}

/** How one of the two forms tells an answer. */
interface Form {
  readonly ask: Ask
  readonly isStream: boolean
  whole(answer: Answer): JsonObject
  stream(sink: EventSink): Teller
}
interface Teller {
  begin(): void
  text(text: string): void
  end(answer: Answer | Failed, speech: Speech): void
}

/** The same when it is asked again with the same key. */
const secondsOf = ({ envelope }: Stored): number => Math.floor(envelope.timestamp / 1_000)

class CompletionsChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'collect',
    resend: 'id',
    text: { max: Number.MAX_SAFE_INTEGER, unit: 'utf16', dialect: null },
    strangers: false,
    isShared: true,
    typingMs: null,
    threads: false,
    groups: false,
    media: false,
  }
  readonly routes: readonly Route[]
  readonly #name: string
  #host: ChannelHost | null = null
  #isPaused = false
  /** Those who wait, to be sent away by `stop`. */
  readonly #waiting = new Set<AbortController>()

  constructor(name: string) {
    this.#name = name
    this.routes = [
      { ...chatRoute, handle: (request) => this.#chat(request) },
      { ...responsesRoute, handle: (request) => this.#respond(request) },
    ]
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host === null) {
      this.#host = host
      host.metrics
        .gauge({ name: 'openclaw_completions_waiting', help: 'Requests that wait for the answer of an agent.', labels: ['channel'] })
        .collect((set) => set(this.#waiting.size, [host.name]))
      host.status('open')
    }
    return Promise.resolve()
  }

  stop(): Promise<void> {
    this.#host = null
    for (const waiting of this.#waiting) waiting.abort()
    return Promise.resolve()
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

  async #chat(request: HttpRequest): Promise<HttpReply> {
    const session = nameIn(request.headers['x-openclaw-session-key'], 'headers/x-openclaw-session-key')
    const { ask, model, isStream, hasUsage } = chatRequest(request.body, session)
    const host = this.#opened()
    await checkDemands(host, tenantOf(request), ask)
    const accepted = await accept(host, request, ask)
    const id = idAs('chatcmpl-', accepted.envelope.id)
    const created = secondsOf(accepted)
    return this.#answer(host, request, accepted, {
      ask,
      isStream,
      whole: (answer) => chatCompletion({ id, model, created }, answer),
      stream: (sink) => new ChatStream(sink, { id, model, created, hasUsage }),
    })
  }

  async #respond(request: HttpRequest): Promise<HttpReply> {
    const { ask, isStream, echo } = responsesRequest(request.body)
    const host = this.#opened()
    await checkDemands(host, tenantOf(request), ask)
    const accepted = await accept(host, request, ask)
    const head = { id: idAs('resp_', accepted.envelope.id), createdAt: secondsOf(accepted), echo }
    return this.#answer(host, request, accepted, {
      ask,
      isStream,
      whole: (answer) => responseOf(head, answer),
      stream: (sink) => new ResponseStream(sink, head),
    })
  }

  async #answer(host: ChannelHost, request: HttpRequest, accepted: Stored, form: Form): Promise<HttpReply> {
    if (form.isStream) return { status: 200, events: (sink) => this.#tell(host, request, { sink, accepted, form }) }
    const { document } = await this.#waited(request.signal, (signal) => follow(host, { accepted, tenant: tenantOf(request), signal }))
    if (document === null) {
      await this.#left(host, request, accepted)
      throw notNow(this.#name)
    }
    const answer = await answered(host, form.ask, document)
    if ('status' in answer) return failureReply(answer, accepted.envelope.id)
    const headers = {
      'x-openclaw-message': accepted.envelope.id,
      ...(accepted.status === 'duplicate' && { 'idempotency-replayed': 'true' }),
    }
    return { status: 200, headers, body: form.whole(answer) }
  }

  async #tell(
    host: ChannelHost,
    request: HttpRequest,
    { sink, accepted, form }: { readonly sink: EventSink; readonly accepted: Stored; readonly form: Form },
  ): Promise<void> {
    const teller = form.stream(sink)
    teller.begin()
    const onText = (text: string): void => teller.text(text)
    const { document, speech } = await this.#waited(sink.signal, (signal) =>
      follow(host, { accepted, tenant: tenantOf(request), signal, onText }),
    )
    // Whoever is still there was sent away by our own stop: an end without an end says that there is more.
    if (document !== null) teller.end(await answered(host, form.ask, document), speech)
    else await this.#left(host, request, accepted)
  }

  /**
   * The client went away, and not we. Who gave a key has said that they may come back for the answer, and one key is one turn for ever: it goes on. To
   * all others it could never be told.
   */
  async #left(host: ChannelHost, request: HttpRequest, { envelope }: Stored): Promise<void> {
    if (this.#host === null || request.headers['idempotency-key'] !== undefined) return
    await host.cancel(tenantOf(request), envelope.id)
  }

  async #waited<Result>(gone: AbortSignal, run: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const waiting = new AbortController()
    this.#waiting.add(waiting)
    try {
      return await run(AbortSignal.any([gone, waiting.signal]))
    } finally {
      this.#waiting.delete(waiting)
    }
  }

  #opened(): ChannelHost {
    if (this.#host !== null && !this.#isPaused) return this.#host
    throw notNow(this.#name)
  }
}

async function answered(host: ChannelHost, { turn }: Ask, document: JsonObject): Promise<Answer | Failed> {
  const answer = answerOf(document)
  return 'status' in answer ? answer : heldTo(host, turn, answer)
}

/** Whose the conversation is; `accept` has seen to it that somebody asked. */
const tenantOf = ({ principal }: HttpRequest): string => principal?.tenant ?? ''
