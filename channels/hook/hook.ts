/**
 * `POST /hooks/{name}`: messages from whatever can sign a request. Each is answered once it is durable; one that comes again, also after a
 * restart, is answered with the message that it already is. Replies are collected, and told to webhooks. Who may is signature.ts,
 * what it becomes is inbound.ts.
 */
import { UnavailableError } from '#contract'
import type { Capabilities, Channel, ChannelHost, ChannelKind, HttpReply, HttpRequest, JsonObject, Route, Sent } from '#contract'
import { inboundOf } from './inbound.ts'
import { readSettings, settingsSchema } from './settings.ts'
import type { Settings } from './settings.ts'
import { prove, screen } from './signature.ts'

export const hook: ChannelKind = {
  schema: settingsSchema,
  create: (name, settings) => new HookChannel(name, readSettings(name, settings)),
}

class HookChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'collect',
    resend: 'id',
    text: { max: Number.MAX_SAFE_INTEGER, unit: 'utf16', dialect: null },
    // Who has a secret is no stranger, and nobody else gets so far.
    strangers: false,
    typingMs: null,
    threads: false,
    groups: false,
    media: false,
  }
  readonly routes: readonly Route[]
  readonly #name: string
  readonly #settings: Settings
  readonly #running = new Set<Promise<unknown>>()
  #host: ChannelHost | null = null
  #isPaused = false

  constructor(name: string, settings: Settings) {
    this.#name = name
    this.#settings = settings
    this.routes = [
      {
        method: 'POST',
        path: `/hooks/${name}`,
        permission: 'signed',
        summary: `Takes in what is signed for the hook "${name}"`,
        tag: 'hooks',
        responses: {
          '200': { description: 'It came before: the message that it is.', schema: ANSWER },
          '202': { description: 'It is stored, and will be handled.', schema: ANSWER },
        },
        screen: (headers) => screen(headers, this.#settings, this.#opened().clock.now()),
        handle: (request) => this.#counted(this.#take(request)),
      },
    ]
  }

  start(host: ChannelHost): Promise<void> {
    this.#host = host
    host.status('open')
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    this.#host = null
    await Promise.allSettled(this.#running)
  }

  /** The reply is in the store already. */
  send(): Promise<Sent> {
    return Promise.resolve({ id: null })
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
  }

  async #take({ headers, raw }: HttpRequest): Promise<HttpReply> {
    const host = this.#opened()
    const now = host.clock.now()
    const claim = prove({ headers, raw }, this.#settings, now)
    // After that: a stranger is not told whether a hook is paused.
    if (this.#isPaused) throw closed(this.#name)
    const accepted = await host.accept(inboundOf({ channel: this.#name, headers, raw, claim, now }, this.#settings))
    switch (accepted.status) {
      case 'new':
        return { status: 202, body: { message_id: accepted.envelope.id, status: 'queued' } }
      case 'duplicate':
        return { status: 200, body: { message_id: accepted.envelope.id, status: 'duplicate' } }
      case 'conflict':
        return { status: 200, body: { message_id: accepted.id, status: 'duplicate' } }
      case 'refused':
        return { status: 200, body: { status: 'refused' } }
    }
  }

  #opened(): ChannelHost {
    if (this.#host !== null) return this.#host
    throw closed(this.#name)
  }

  async #counted<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    try {
      return await work
    } finally {
      this.#running.delete(work)
    }
  }
}

const ANSWER: JsonObject = {
  type: 'object',
  required: ['status'],
  properties: { message_id: { type: 'string' }, status: { enum: ['queued', 'duplicate', 'refused'] } },
}

const closed = (name: string): UnavailableError =>
  new UnavailableError(`Hook "${name}" takes in nothing now. Try again.`, { code: 'CHANNEL_CLOSED' })
