/**
 * Slack: one app in one workspace. Events come by Socket Mode or by signed requests, words go out by the Web API. What an event says is
 * inbound.ts, how the socket is kept is socket-mode.ts; retries, limits, access and splitting are the hub's.
 */
import { ChannelFault, InvalidError, UnavailableError, isJsonObject } from '#contract'
import type {
  Capabilities,
  Channel,
  ChannelHost,
  ChannelKind,
  Confirmation,
  HttpReply,
  HttpRequest,
  Inbound,
  JsonObject,
  JsonValue,
  Media,
  MediaRef,
  Part,
  Route,
  Sent,
} from '#contract'
import { readCommand, respond } from './command.ts'
import { isFatal, permanent } from './fault.ts'
import { fetchFile } from './file.ts'
import { lookUp, markOf } from './history.ts'
import { readEvent, textOf } from './inbound.ts'
import type { Identity } from './inbound.ts'
import { mrkdwn } from './mrkdwn.ts'
import { checkSignature } from './signature.ts'
import { SocketLink } from './socket-mode.ts'
import { Threads } from './thread.ts'
import { SLACK_API, SlackApi } from './web-api.ts'

export const slack: ChannelKind = {
  schema: {
    type: 'object',
    properties: {
      bot_token: { type: 'string', pattern: '^xox[be]', description: 'Bot User OAuth Token of the installed app (`xoxb-…`)' },
      app_token: {
        type: 'string',
        pattern: '^xapp-',
        description: 'App-level token with `connections:write`: events come by Socket Mode. Either this or `signing_secret`',
      },
      signing_secret: {
        type: 'string',
        minLength: 8,
        description: 'Signing secret of the app: events come as requests to `/v1/channels/<name>/events`. Either this or `app_token`',
      },
      slash_command: { type: 'string', pattern: '^/', description: 'Command that is a message to the agent, as in `/ask`' },
      api_url: { type: 'string', pattern: '^https?://', default: SLACK_API, description: 'Where the Web API is' },
    },
    required: ['bot_token'],
    additionalProperties: false,
  },
  create: (name, settings) => new SlackChannel(name, settings),
}

class SlackChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    resend: 'confirm',
    text: { max: 4_000, unit: 'utf16', dialect: mrkdwn },
    rate: { chat: { count: 1, perMs: 1_000 }, group: { count: 1, perMs: 1_000 } },
    strangers: true,
    typingMs: null,
    threads: true,
    groups: true,
    media: true,
  }
  readonly routes: readonly Route[]
  readonly #name: string
  readonly #apiUrl: string
  readonly #botToken: string
  readonly #appToken: string
  readonly #secret: string
  readonly #command: string
  readonly #api: SlackApi
  readonly #stop = new AbortController()
  #session: Session | null = null
  #link: SocketLink | null = null
  #isPaused = false

  constructor(name: string, settings: JsonObject) {
    const [bot, app, secret, command, url] = ['bot_token', 'app_token', 'signing_secret', 'slash_command', 'api_url'].map((key) =>
      textOf(settings[key]),
    )
    this.#name = name
    this.#botToken = bot ?? ''
    this.#appToken = app ?? ''
    this.#secret = secret ?? ''
    this.#command = command ?? ''
    this.#apiUrl = url || SLACK_API
    if ((this.#appToken === '') === (this.#secret === '')) throw eitherOr(name)
    this.#api = new SlackApi({ url: this.#apiUrl, token: this.#botToken, setting: `channels.${name}.bot_token` })
    this.routes = this.#secret === '' ? [] : [this.#route()]
  }

  async start(host: ChannelHost, outer: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([outer, this.#stop.signal])
    const threads = await Threads.load(host)
    const me = await this.#introduce(host, signal)
    if (me === null) return
    this.#session = { host, threads, me }
    if (this.#appToken === '') return host.status('open')
    this.#link = new SocketLink({
      host,
      url: this.#apiUrl,
      token: this.#appToken,
      setting: `channels.${this.#name}.app_token`,
      take: (type, body) => this.#take(type, body),
    })
    if (this.#isPaused) this.#link.pause()
    await this.#link.start(signal)
  }

  async stop(): Promise<void> {
    this.#isPaused = true
    this.#stop.abort()
    await this.#link?.stop()
  }

  async send(part: Part, signal: AbortSignal): Promise<Sent> {
    const { chat: channel, thread, correlation } = part.to
    if (correlation !== undefined) {
      if (!this.#api.owns(correlation)) throw permanent('The response URL of the slash command is not Slack’s.')
      return respond(part, correlation, signal)
    }
    const args = {
      channel,
      // Half a surrogate pair cannot be written in a form.
      text: part.rendered.text.toWellFormed(),
      ...(thread === undefined ? {} : { thread_ts: thread }),
      metadata: markOf(part),
      // No name that stands in the text calls anybody, and no page that an agent was made to name is fetched.
      link_names: false,
      parse: 'none',
      unfurl_links: false,
      unfurl_media: false,
    }
    const answer = await this.#api.call('chat.postMessage', args, signal)
    if (thread !== undefined) await this.#session?.threads.join(channel, thread)
    return { id: textOf(answer['ts']) || null }
  }

  async confirm(part: Part, signal: AbortSignal): Promise<Confirmation> {
    // What was answered to a slash command stands in no history.
    return part.to.correlation === undefined ? lookUp(part, this.#api, signal) : { outcome: 'unknown' }
  }

  pause(): void {
    this.#isPaused = true
    this.#link?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#link?.resume()
  }

  media(ref: MediaRef, signal: AbortSignal): Promise<Media> {
    if (this.#session === null) throw this.#closed()
    return fetchFile(ref, { api: this.#api, host: this.#session.host, token: this.#botToken, trusted: this.#apiUrl }, signal)
  }

  /** Until Slack says who we are nothing can be understood. null: stopped before. */
  async #introduce(host: ChannelHost, signal: AbortSignal): Promise<Identity | null> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const { team_id: team, user_id: user, bot_id: bot } = await this.#api.call('auth.test', {}, signal)
        return { team: textOf(team), user: textOf(user), bot: textOf(bot) }
      } catch (error) {
        if (!(error instanceof ChannelFault) || isFatal(error)) throw error
        if (!signal.aborted) host.status('connecting', error.message)
      }
      await host.backoff(attempt, signal).catch(() => undefined)
    }
    return null
  }

  /** Resolves when it is durable, or says nothing to us. */
  async #take(type: string, body: JsonValue): Promise<void> {
    const session = this.#session
    if (session === null || this.#isPaused) throw this.#closed()
    const message = this.#read(type, body, session)
    if (message !== null) await session.host.accept(message)
  }

  #read(type: string, body: JsonValue, { host, me, threads }: Session): Inbound | null {
    if (type === 'events_api') return readEvent(body, me, (channel, thread) => threads.has(channel, thread))
    if (type === 'slash_commands' && this.#command !== '') return readCommand(body, this.#command, me, host.clock.now())
    return null
  }

  #route(): Route {
    return {
      method: 'POST',
      path: `/v1/channels/${this.#name}/events`,
      permission: 'signed',
      summary: `Events and slash commands of Slack for the channel ${this.#name}.`,
      tag: 'webhooks',
      responses: { 200: { description: 'It is stored, or of no interest.' } },
      handle: (request) => this.#hear(request),
    }
  }

  async #hear(request: HttpRequest): Promise<HttpReply> {
    if (this.#session === null) throw this.#closed()
    checkSignature(request, this.#secret, this.#session.host.clock.now())
    const text = Buffer.from(request.raw).toString()
    if ((request.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')) {
      await this.#take('slash_commands', Object.fromEntries(new URLSearchParams(text)))
      // Any words would be shown to the user.
      return { status: 200 }
    }
    const body = parse(text)
    if (isJsonObject(body) && body['type'] === 'url_verification') {
      return { status: 200, body: { challenge: textOf(body['challenge']) } }
    }
    await this.#take('events_api', body)
    return { status: 200 }
  }

  #closed(): UnavailableError {
    return new UnavailableError(`The channel ${this.#name} is not taking anything in now.`, { code: 'CHANNEL_CLOSED' })
  }
}

/** What is there from the moment Slack has said who we are. */
interface Session {
  readonly host: ChannelHost
  readonly threads: Threads
  readonly me: Identity
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch (error) {
    throw new InvalidError('The body is not JSON.', { code: 'INVALID_JSON', cause: error })
  }
}

function eitherOr(name: string): InvalidError {
  const detail = 'either app_token (Socket Mode) or signing_secret (events over HTTP) is needed, and not both'
  return new InvalidError(`The channel ${name} has a fault: ${detail}.`, {
    code: 'CONFIG_INVALID',
    faults: [{ pointer: `channels.${name}`, detail: `channels.${name}: ${detail}` }],
  })
}
