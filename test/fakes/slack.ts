/**
 * A stand-in for Slack over loopback: the Web API with its envelopes and its faults, files, and events by Socket Mode or by
 * signed requests, whichever is set. It keeps what was said, so that history tells what really arrived. Imports nothing of ours.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FakeEventRequests } from './slack-request.ts'
import { FakeSocketMode } from './slack-socket.ts'
import type { RetryTimes } from './slack-socket.ts'
import { called, commandPayload, deleteEvent, editEvent, messageEvents } from './slack-message.ts'
import type { FakeFile, FakeMessage, Identity } from './slack-message.ts'

export interface FakeSlackOptions {
  readonly retry?: Partial<RetryTimes>
  /** Epoch milliseconds. */
  readonly now?: () => number
}

/** What becomes of a call instead of what should. */
export type Mishap =
  | { readonly do: 'error'; readonly error: string }
  | { readonly do: 'status'; readonly status: number; readonly headers?: { readonly [name: string]: string } }
  /** Takes the request and never answers. */
  | { readonly do: 'hang' }
  /** Closes the connection, and nothing is done. */
  | { readonly do: 'cut' }
  /** Does it, and closes the connection without an answer. */
  | { readonly do: 'lose' }

export interface Call {
  readonly method: string
  readonly args: Args
  readonly token: string
}

export interface Saying {
  readonly channel: string
  readonly user?: string
  readonly text: string
  readonly thread?: string
  readonly subtype?: string
  readonly bot?: string
  readonly files?: readonly FakeFile[]
}

export interface Place {
  isMember: boolean
  isArchived: boolean
}

type Args = { readonly [name: string]: string }
type Answer = { readonly ok: boolean; readonly [member: string]: unknown }

export class FakeSlack {
  readonly botToken = 'xoxb-fake-bot-token'
  readonly appToken = 'xapp-fake-app-token'
  readonly signingSecret = 'fake-signing-secret'
  readonly identity: Identity = { team: 'T0FAKE', app: 'A0FAKE', botUser: 'U0BOT', bot: 'B0BOT' }
  readonly socket: FakeSocketMode
  readonly requests: FakeEventRequests
  readonly calls: Call[] = []
  readonly messages: FakeMessage[] = []
  /** What was posted by the app, as it came. */
  readonly sent: { readonly args: Args; readonly ts: string; readonly called: readonly string[] }[] = []
  /** What came to the response URLs of slash commands. */
  readonly responses: { readonly [member: string]: unknown }[] = []
  readonly places: Map<string, Place> = new Map()
  readonly revoked: Set<string> = new Set()
  readonly #files = new Map<string, { readonly file: FakeFile; readonly bytes: Uint8Array }>()
  readonly #script: { readonly method: string; readonly mishap: Mishap | null; times: number }[] = []
  readonly #server: Server
  readonly #now: () => number
  readonly #waiters = new Set<() => void>()
  #lastTs = 0

  constructor({ retry = {}, now = Date.now }: FakeSlackOptions = {}) {
    const times = { ackMs: 3_000, retryDelaysMs: [0, 60_000, 300_000], ...retry }
    const changed = (): void => this.#tell()
    this.#now = now
    this.socket = new FakeSocketMode(times, changed)
    this.requests = new FakeEventRequests({ times, secret: this.signingSecret, now, changed })
    this.#server = createServer((request, response) => void this.#serve(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.socket.upgrade(request, socket, head))
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
  }

  async close(): Promise<void> {
    this.socket.close()
    this.requests.close()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get apiUrl(): string {
    return `${this.origin}/api/`
  }

  /** The next calls of this method, after those told of before, go wrong; null: they go well. */
  mishap(method: string, mishap: Mishap | null, times = 1): void {
    this.#script.push({ method, mishap, times })
  }

  place(channel: string): Place {
    const place = this.places.get(channel) ?? { isMember: true, isArchived: false }
    this.places.set(channel, place)
    return place
  }

  /** Somebody says something. */
  say({ channel, user, text, thread, subtype, bot, files }: Saying): FakeMessage {
    this.place(channel)
    const ts = this.#ts()
    const parent = thread === undefined ? undefined : this.messages.find((message) => message.channel === channel && message.ts === thread)
    const message: FakeMessage = {
      type: 'message',
      ...(subtype === undefined ? {} : { subtype }),
      ...(user === undefined ? {} : { user, client_msg_id: `c-${ts}` }),
      ...(bot === undefined ? {} : { bot_id: bot }),
      text,
      ts,
      channel,
      ...(thread === undefined ? {} : { thread_ts: thread }),
      ...(parent?.user === undefined ? {} : { parent_user_id: parent.user }),
      ...(files === undefined ? {} : { files }),
    }
    this.#publish(message)
    return message
  }

  /** The events of a post once more, with event ids of their own. */
  repeat(message: FakeMessage): void {
    for (const event of messageEvents(this.identity, message)) this.happen(event)
  }

  edit(message: FakeMessage, text: string): FakeMessage {
    const ts = this.#ts()
    const now = { ...message, text, edited: { user: message.user ?? '', ts } }
    this.messages.splice(this.messages.indexOf(message), 1, now)
    this.happen(editEvent(this.identity, now, message, ts))
    return now
  }

  delete(message: FakeMessage): void {
    this.messages.splice(this.messages.indexOf(message), 1)
    this.happen(deleteEvent(this.identity, message, this.#ts()))
  }

  command(command: string, text: string, { user, channel }: { readonly user: string; readonly channel: string }): void {
    const responseUrl = `${this.origin}/commands/${this.identity.team}/1/x`
    const payload = commandPayload(this.identity, { command, text, user, channel, responseUrl })
    if (this.requests.url === null) this.socket.push('slash_commands', payload)
    else void this.requests.command(payload)
  }

  /** @param elsewhere where it lies, if not here */
  file(name: string, mimetype: string, bytes: Uint8Array, elsewhere?: string): FakeFile {
    const id = `F0FAKE${this.#files.size + 1}`
    const url = elsewhere ?? `${this.origin}/files-pri/${this.identity.team}-${id}/${name}`
    const file = { id, name, mimetype, size: bytes.length, url_private: url, url_private_download: url }
    this.#files.set(id, { file, bytes })
    return file
  }

  /** Any event body, sent on its way: by requests where a URL is set, else by Socket Mode. */
  happen(body: object): void {
    if (this.requests.url === null) this.socket.push('events_api', body)
    else this.requests.event(body)
  }

  /** Resolves when anything has happened here since it was called. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      const once = (): void => {
        this.#waiters.delete(once)
        resolve()
      }
      this.#waiters.add(once)
    })
  }

  /** Resolves when it holds, looked at whenever something happens here. */
  async until(holds: () => boolean, what: string, boundMs = 10_000): Promise<void> {
    if (holds()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = (): void => {
      if (holds()) resolve()
    }
    const bound = setTimeout(() => reject(new Error(`Slack never saw: ${what}`)), boundMs)
    this.#waiters.add(look)
    await promise.finally(() => {
      clearTimeout(bound)
      this.#waiters.delete(look)
    })
  }

  #tell(): void {
    for (const look of this.#waiters) look()
  }

  #ts(): string {
    this.#lastTs = Math.max(this.#lastTs + 1, this.#now() * 1_000)
    return `${Math.floor(this.#lastTs / 1e6)}.${String(this.#lastTs % 1e6).padStart(6, '0')}`
  }

  #publish(message: FakeMessage): void {
    this.messages.push(message)
    for (const event of messageEvents(this.identity, message)) this.happen(event)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const raw = Buffer.concat(chunks).toString()
    const { pathname } = new URL(request.url ?? '/', this.origin)
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    if (pathname.startsWith('/files-pri/')) return this.#serveFile(pathname, token, response)
    if (pathname.startsWith('/commands/')) {
      this.responses.push(JSON.parse(raw) as { [member: string]: unknown })
      this.#tell()
      response.end('ok')
      return
    }
    const method = pathname.replace('/api/', '')
    const args = Object.fromEntries(new URLSearchParams(raw))
    this.calls.push({ method, args, token })
    const scripted = this.#script.find((line) => line.method === method && line.times > 0)
    if (scripted !== undefined) scripted.times--
    this.#answer(scripted?.mishap ?? null, () => this.#call(method, args, token), response)
    this.#tell()
  }

  #answer(mishap: Mishap | null, run: () => Answer, response: ServerResponse): void {
    switch (mishap?.do) {
      case 'hang':
        return
      case 'lose':
        run()
        response.destroy()
        return
      case 'cut':
        response.destroy()
        return
      case 'status':
        response.writeHead(mishap.status, { 'content-type': 'text/html', ...mishap.headers }).end()
        return
      case 'error':
      case undefined:
        response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
        response.end(JSON.stringify(mishap === null ? run() : { ok: false, error: mishap.error }))
    }
  }

  #serveFile(pathname: string, token: string, response: ServerResponse): void {
    const found = [...this.#files.values()].find(({ file }) => file.url_private.endsWith(pathname))
    // Without a good token Slack shows the page to sign in, with status 200.
    if (token !== this.botToken || found === undefined) {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>Sign in</html>')
    } else response.writeHead(200, { 'content-type': found.file.mimetype }).end(found.bytes)
  }

  #call(method: string, args: Args, token: string): Answer {
    if (this.revoked.has(token)) return { ok: false, error: 'token_revoked' }
    if (token !== this.botToken && token !== this.appToken) return { ok: false, error: token === '' ? 'not_authed' : 'invalid_auth' }
    if ((token === this.appToken) !== (method === 'apps.connections.open')) return { ok: false, error: 'not_allowed_token_type' }
    const { team, botUser, bot } = this.identity
    switch (method) {
      case 'auth.test':
        return { ok: true, url: 'https://fake.slack.com/', team: 'Fake', user: 'gate', team_id: team, user_id: botUser, bot_id: bot }
      case 'apps.connections.open':
        return { ok: true, url: `${this.origin.replace('http', 'ws')}/link/?ticket=${this.socket.ticket()}&app_id=${this.identity.app}` }
      case 'chat.postMessage':
        return this.#postMessage(args)
      case 'conversations.history':
        return this.#history(args)
      case 'conversations.replies':
        return this.#replies(args)
      case 'files.info': {
        const found = this.#files.get(args['file'] ?? '')
        return found === undefined ? { ok: false, error: 'file_not_found' } : { ok: true, file: found.file, comments: [] }
      }
      default:
        return { ok: false, error: 'unknown_method' }
    }
  }

  #postMessage(args: Args): Answer {
    const { channel = '', text = '', thread_ts, metadata } = args
    const place = this.places.get(channel)
    if (place === undefined) return { ok: false, error: 'channel_not_found' }
    if (place.isArchived) return { ok: false, error: 'is_archived' }
    if (!place.isMember) return { ok: false, error: 'not_in_channel' }
    if (text === '') return { ok: false, error: 'no_text' }
    if (text.length > 40_000) return { ok: false, error: 'msg_too_long' }
    const { botUser, bot, app } = this.identity
    const ts = this.#ts()
    const message: FakeMessage = {
      type: 'message',
      user: botUser,
      bot_id: bot,
      app_id: app,
      text,
      ts,
      channel,
      ...(thread_ts === undefined ? {} : { thread_ts }),
      ...(metadata === undefined ? {} : { metadata: JSON.parse(metadata) as unknown }),
    }
    const looksForNames = args['link_names'] === 'true' || args['link_names'] === '1' || args['parse'] === 'full'
    this.sent.push({ args, ts, called: called(text, looksForNames) })
    this.#publish(message)
    return { ok: true, channel, ts, message }
  }

  #history(args: Args): Answer {
    const isTop = (message: FakeMessage): boolean =>
      message.thread_ts === undefined || message.thread_ts === message.ts || message.subtype === 'thread_broadcast'
    return this.#page(args, (message) => isTop(message) && isAfter(message, args), 'newest')
  }

  #replies(args: Args): Answer {
    const { channel, ts = '' } = args
    if (!this.messages.some((message) => message.channel === channel && message.ts === ts)) return { ok: false, error: 'thread_not_found' }
    // The parent comes with every page, whatever the bounds.
    return this.#page(args, (message) => message.ts === ts || (message.thread_ts === ts && isAfter(message, args)), 'oldest')
  }

  #page(args: Args, holds: (message: FakeMessage) => boolean, first: 'newest' | 'oldest'): Answer {
    const { channel = '', limit = '100', cursor = '0' } = args
    const place = this.places.get(channel)
    if (place === undefined) return { ok: false, error: 'channel_not_found' }
    if (!place.isMember) return { ok: false, error: 'not_in_channel' }
    const found = this.messages.filter((message) => message.channel === channel && holds(message))
    if (first === 'newest') found.reverse()
    const [from, count] = [Number(cursor), Number(limit)]
    const withMetadata = args['include_all_metadata'] === 'true'
    const messages = found.slice(from, from + count).map(({ metadata, channel: _own, ...rest }) => {
      return withMetadata && metadata !== undefined ? { ...rest, metadata } : rest
    })
    const has_more = found.length > from + count
    return { ok: true, messages, has_more, ...(has_more ? { response_metadata: { next_cursor: String(from + count) } } : {}) }
  }
}

const isAfter = ({ ts }: FakeMessage, { oldest = '0' }: Args): boolean => Number(ts) > Number(oldest)
