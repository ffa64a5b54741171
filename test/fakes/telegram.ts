/**
 * A stand-in for api.telegram.org that speaks the Bot API over loopback: long polls, webhooks, sends with their limits and
 * refusals, files. A test lets people speak, makes calls fail in every way they do, and reads what was sent. Knows
 * nothing of ours.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { parseHtml } from './telegram-html.ts'
import { UpdateQueue } from './telegram-update.ts'
import type { Update } from './telegram-update.ts'
import { World } from './telegram-world.ts'
import type { Message, Saying } from './telegram-world.ts'

export interface Call {
  readonly method: string
  readonly params: { readonly [name: string]: unknown }
  /** Epoch milliseconds. */
  readonly at: number
}

/** What stands in the chat now; `text` is what people see. */
export interface SentMessage {
  readonly id: number
  readonly chat: number
  readonly text: string
  readonly entities: readonly object[]
  readonly html: string | null
  readonly thread: number | null
  readonly replyTo: number | null
  readonly at: number
}

export type Misfortune =
  | { readonly do: 'refuse'; readonly code: number; readonly description: string; readonly parameters?: object }
  /** Takes the request and never answers. */
  | { readonly do: 'hang' }
  /** Does nothing and closes the connection. */
  | { readonly do: 'cut' }
  /** Does it, and closes the connection without an answer. */
  | { readonly do: 'lose' }
  /** A gateway before the server answers with a page of its own. */
  | { readonly do: 'page'; readonly code: number }

interface Rule {
  readonly method: string
  readonly misfortune: Misfortune
  readonly chat: number | undefined
  /** So many pass before. */
  after: number
  left: number
}

type Answer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error_code: number; readonly description: string; readonly parameters?: object }

const WAIT_LIMIT_MS = 15_000
const MAX_TEXT_UNITS = 4_096
const MAX_FILE_BYTES = 20 * 1024 * 1024

export class FakeTelegram {
  readonly token: string
  readonly world: World
  readonly updates: UpdateQueue = new UpdateQueue(() => this.#changed())
  readonly calls: Call[] = []
  readonly sent: SentMessage[] = []
  isTokenRevoked = false
  /** Long polls that wait for an answer. */
  livePolls = 0
  /** Calls that were answered 401. */
  unauthorized = 0
  #server: Server | null = null
  #port = 0
  readonly #sockets = new Set<Socket>()
  #rules: Rule[] = []
  readonly #watchers = new Set<() => void>()

  constructor(bot: { readonly token?: string; readonly botId?: number; readonly username?: string } = {}) {
    const { token = '4242:AAF-a_test_token_of_nobody', botId = 4_242, username = 'gate_bot' } = bot
    this.token = token
    this.world = new World({ id: botId, username })
  }

  get root(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Again after `down()`, at the same address. */
  async start(): Promise<string> {
    const server = createServer((request, response) => void this.#serve(request, response))
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    return this.root
  }

  /** Nobody listens there any more. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const closed = new Promise((resolve) => server.close(resolve))
    this.cut()
    await closed
  }

  async stop(): Promise<void> {
    this.updates.stop()
    await this.down()
  }

  /** Every connection, in the middle of whatever it is doing. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  say(said: Saying): Message {
    const message = this.world.make(said)
    this.updates.add('message', message.chat.id, message)
    return message
  }

  edit(message: Message, text: string, at?: number): Message {
    const edited = this.world.edited(message, text, at)
    this.updates.add('edited_message', message.chat.id, edited)
    return edited
  }

  /** The group becomes a supergroup. Its new id. */
  migrate(group: number): number {
    const [out, into] = this.world.migrate(group)
    this.updates.add('message', group, out)
    this.updates.add('message', into.chat.id, into)
    return into.chat.id
  }

  react(message: Message, from: number): Update | null {
    const { chat, message_id } = message
    return this.updates.add('message_reaction', chat.id, { chat, message_id, user: this.world.person(from), new_reaction: [] })
  }

  /** `times` calls of the method (to that chat) end so, once `after` have passed. */
  fail(
    method: string,
    misfortune: Misfortune,
    { times = 1, after = 0, chat }: { readonly times?: number; readonly after?: number; readonly chat?: number } = {},
  ): void {
    this.#rules.push({ method, misfortune, chat, after, left: times })
  }

  heal(): void {
    this.#rules = []
  }

  called(method: string): readonly Call[] {
    return this.calls.filter((call) => call.method === method)
  }

  /** Calls it whenever something has happened. */
  listen(told: () => void): void {
    this.#watchers.add(told)
  }

  /** Resolves as soon as it holds. */
  async until(holds: () => boolean, what: string): Promise<void> {
    if (holds()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const watch = (): void => (holds() ? resolve() : undefined)
    const limit = setTimeout(() => reject(new Error(`the fake Telegram waited in vain for ${what}`)), WAIT_LIMIT_MS)
    this.#watchers.add(watch)
    await promise.finally(() => {
      clearTimeout(limit)
      this.#watchers.delete(watch)
    })
  }

  #changed(): void {
    for (const watch of this.#watchers) watch()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake')
    const file = /^\/file\/bot([^/]+)\/(.+)$/.exec(url.pathname)
    if (file !== null) return this.#download(response, file[1] ?? '', file[2] ?? '')
    const body = await bodyOf(request)
    const path = /^\/bot([^/]+)\/(\w+)$/.exec(url.pathname)
    if (path === null) return answer(response, failure(404, 'Not Found'))
    if (path[1] !== this.token || this.isTokenRevoked) {
      this.unauthorized++
      this.#changed()
      return answer(response, failure(401, 'Unauthorized'))
    }
    const method = path[2] ?? ''
    const params = { ...Object.fromEntries(url.searchParams), ...body }
    this.calls.push({ method, params, at: Date.now() })
    const misfortune = this.#misfortune(method, params)
    this.#changed()
    switch (misfortune?.do) {
      case undefined: {
        const content = await this.#do(method, params, request, response)
        this.#changed()
        return answer(response, content)
      }
      case 'refuse':
        return answer(response, failure(misfortune.code, misfortune.description, misfortune.parameters))
      case 'page':
        response.writeHead(misfortune.code, { 'content-type': 'text/html' }).end('<html><h1>Bad Gateway</h1></html>')
        return
      case 'cut':
        request.socket.destroy()
        return
      case 'lose':
        await this.#do(method, params, request, response)
        request.socket.destroy()
        return
      case 'hang':
        return
    }
  }

  #misfortune(method: string, params: Call['params']): Misfortune | undefined {
    const rule = this.#rules.find(
      (rule) => rule.left > 0 && rule.method === method && (rule.chat === undefined || rule.chat === Number(params['chat_id'])),
    )
    if (rule === undefined) return undefined
    if (rule.after > 0) {
      rule.after--
      return undefined
    }
    rule.left--
    return rule.misfortune
  }

  async #do(method: string, params: Call['params'], request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    switch (method) {
      case 'getMe':
        return success({ ...this.world.bot, can_join_groups: true, can_read_all_group_messages: false, supports_inline_queries: false })
      case 'getUpdates':
        return this.#poll(params, response)
      case 'setWebhook':
        return this.#setWebhook(params)
      case 'deleteWebhook':
        if (params['drop_pending_updates'] === true) this.updates.drop()
        this.updates.webhook = null
        return success(true)
      case 'getWebhookInfo':
        return success({
          url: this.updates.webhook?.url ?? '',
          has_custom_certificate: false,
          pending_update_count: this.updates.pending.length,
          ...(this.updates.lastWebhookError === null
            ? {}
            : { last_error_message: this.updates.lastWebhookError, last_error_date: seconds() }),
        })
      case 'sendMessage':
        return this.#send(params)
      case 'sendChatAction':
        return this.world.chat(Number(params['chat_id'])) === undefined ? failure(400, 'Bad Request: chat not found') : success(true)
      case 'getFile':
        return this.#file(textOf(params['file_id']))
      default:
        request.resume()
        return failure(404, 'Not Found: method not found')
    }
  }

  async #poll(params: Call['params'], response: ServerResponse): Promise<Answer> {
    if (this.updates.webhook !== null) {
      return failure(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
    }
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    this.updates.allow(params['allowed_updates'] as readonly string[] | undefined)
    const limit = Math.min(100, Number(params['limit'] ?? 100))
    const timeoutMs = Math.min(50, Number(params['timeout'] ?? 0)) * 1_000
    this.livePolls++
    const end = await this.updates.poll({ offset: Number(params['offset'] ?? 0), limit, timeoutMs, gone: gone.signal })
    this.livePolls--
    this.#changed()
    if (end.is === 'conflict') {
      return failure(409, 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running')
    }
    return success(end.is === 'updates' ? end.updates : [])
  }

  #setWebhook(params: Call['params']): Answer {
    const url = textOf(params['url'])
    const secret = params['secret_token']
    if (secret !== undefined && !/^[\w-]{1,256}$/.test(textOf(secret))) {
      return failure(400, 'Bad Request: secret token contains unallowed characters')
    }
    this.updates.allow(params['allowed_updates'] as readonly string[] | undefined)
    this.updates.webhook = url === '' ? null : { url, secret: secret === undefined ? null : textOf(secret) }
    this.updates.endPoll()
    this.updates.push()
    return success(true)
  }

  #send(params: Call['params']): Answer {
    const chat = Number(params['chat_id'])
    const moved = this.world.movedTo(chat)
    if (moved !== undefined) {
      return failure(400, 'Bad Request: group chat was upgraded to a supergroup chat', { migrate_to_chat_id: moved })
    }
    if (this.world.chat(chat) === undefined) return failure(400, 'Bad Request: chat not found')
    const refusal = this.world.refusal(chat)
    if (refusal !== undefined) return failure(refusal.startsWith('Forbidden') ? 403 : 400, refusal)
    const source = textOf(params['text'])
    const isHtml = params['parse_mode'] === 'HTML'
    const markup = isHtml ? parseHtml(source) : { ok: true as const, text: source, entities: [] }
    if (!markup.ok) return failure(400, markup.why)
    const text = markup.text.trim()
    if (text === '') return failure(400, 'Bad Request: message text is empty')
    if (text.length > MAX_TEXT_UNITS) return failure(400, 'Bad Request: message is too long')
    const thread = params['message_thread_id'] === undefined ? null : Number(params['message_thread_id'])
    if (thread !== null && !this.world.hasTopic(chat, thread)) return failure(400, 'Bad Request: message thread not found')
    const reply = params['reply_parameters'] as { message_id: number; allow_sending_without_reply?: boolean } | undefined
    const answered = reply === undefined ? undefined : this.world.find(chat, reply.message_id)
    if (reply !== undefined && answered === undefined && reply.allow_sending_without_reply !== true) {
      return failure(400, 'Bad Request: message to be replied not found')
    }
    const message = this.world.make({
      chat,
      from: this.world.bot.id,
      text,
      entities: markup.entities,
      ...(thread === null ? {} : { thread }),
      ...(answered === undefined ? {} : { replyTo: answered }),
    })
    this.sent.push({
      id: message.message_id,
      chat,
      text,
      entities: markup.entities,
      html: isHtml ? source : null,
      thread,
      replyTo: answered?.message_id ?? null,
      at: Date.now(),
    })
    this.#changed()
    return success(message)
  }

  #file(id: string): Answer {
    const file = this.world.files.get(id)
    if (file === undefined) return failure(400, 'Bad Request: wrong file_id or the file is temporarily unavailable')
    if (file.bytes.length > MAX_FILE_BYTES) return failure(400, 'Bad Request: file is too big')
    return success({ file_id: id, file_unique_id: id, file_size: file.bytes.length, file_path: file.path })
  }

  #download(response: ServerResponse, token: string, path: string): void {
    const file = [...this.world.files.values()].find((file) => file.path === path)
    if (token !== this.token || file === undefined) return answer(response, failure(404, 'Not Found'))
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': file.bytes.length }).end(file.bytes)
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')
const seconds = (): number => Math.floor(Date.now() / 1_000)
const success = (result: unknown): Answer => ({ ok: true, result })
const failure = (code: number, description: string, parameters?: object): Answer => ({
  ok: false,
  error_code: code,
  description,
  ...(parameters === undefined ? {} : { parameters }),
})

function answer(response: ServerResponse, content: Answer): void {
  if (response.destroyed) return
  response.writeHead(content.ok ? 200 : content.error_code, { 'content-type': 'application/json' }).end(JSON.stringify(content))
}

async function bodyOf(request: IncomingMessage): Promise<{ readonly [name: string]: unknown }> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString('utf8')
  return text === '' ? {} : (JSON.parse(text) as { readonly [name: string]: unknown })
}
