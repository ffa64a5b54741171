/**
 * grammY's client for single calls, over requests of our own: each is a connection of its own, save the polls, so that it is
 * known whether anything was sent when one fails. No retries, no loop; what an error means is fault.ts.
 */
import { Agent as HttpAgent, request as requestHttp } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { Api } from 'grammy'
import type { RawApi } from 'grammy'

export const PUBLIC_ROOT = 'https://api.telegram.org'

export interface Account {
  readonly token: string
  /** Without a slash at its end. */
  readonly root: string
}

export interface CallOptions {
  readonly signal: AbortSignal
  /** Default: a minute. */
  readonly timeoutMs?: number
  /** Over the connection of the last poll: a repeat does no harm. */
  readonly isPoll?: boolean
}

/** The request failed before anything of it left. */
export class Unsent extends Error {
  readonly code: string | null
  constructor(code: string | null) {
    super('nothing was sent')
    this.code = code
  }
}

export class BotApi {
  readonly #account: Account
  readonly #polls: HttpAgent
  /** A connection that lay idle may be dead without anybody's knowing, and what is written to it is neither sent nor unsent. */
  readonly #calls: HttpAgent

  constructor(account: Account) {
    this.#account = account
    const Agent = account.root.startsWith('https:') ? HttpsAgent : HttpAgent
    this.#polls = new Agent({ keepAlive: true })
    this.#calls = new Agent({ keepAlive: false })
  }

  call({ signal, timeoutMs = CALL_TIMEOUT_MS, isPoll = false }: CallOptions): RawApi {
    const agent = isPoll ? this.#polls : this.#calls
    const fetch = (url: string, { headers, body, signal: theirs }: GrammyRequest): Promise<Response> => {
      // grammY's signals are of a class of their own.
      const cut = new AbortController()
      theirs.addEventListener('abort', () => cut.abort())
      return post(new URL(url), { agent, headers, body, signal: AbortSignal.any([signal, cut.signal]) })
    }
    return new Api(this.#account.token, { apiRoot: this.#account.root, timeoutSeconds: timeoutMs / 1_000, fetch }).raw
  }

  fileUrl(path: string): string {
    return `${this.#account.root}/file/bot${this.#account.token}/${path}`
  }

  close(): void {
    this.#polls.destroy()
    this.#calls.destroy()
  }
}

interface GrammyRequest {
  readonly headers: { readonly [name: string]: string }
  readonly body: string
  readonly signal: { addEventListener(type: 'abort', listener: () => void): void }
}

interface PostOptions {
  readonly agent: HttpAgent
  readonly headers: { readonly [name: string]: string }
  readonly body: string
  readonly signal: AbortSignal
}

const CALL_TIMEOUT_MS = 60_000

async function post(url: URL, { agent, headers, body, signal }: PostOptions): Promise<Response> {
  const isSecure = url.protocol === 'https:'
  const request = (isSecure ? requestHttps : requestHttp)(url, { method: 'POST', agent, headers: { ...headers }, signal })
  let isConnected = false
  request.on('socket', (socket) => {
    // A socket that is used again is connected already.
    if (!socket.connecting) isConnected = true
    socket.once(isSecure ? 'secureConnect' : 'connect', () => (isConnected = true))
  })
  try {
    const response = await answerTo(request, body)
    return readable(response.statusCode ?? 0, response.statusMessage ?? '', await textOf(response))
  } catch (error) {
    throw isConnected ? error : new Unsent(codeOf(error))
  }
}

function answerTo(request: ClientRequest, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', resolve)
    request.end(body)
  })
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) text += String(chunk)
  return text
}

/** A gateway in between answers with a page of its own where the server fails; as the Bot API would say it. */
function readable(status: number, reason: string, text: string): Response {
  if (status >= 500 && !text.startsWith('{')) return Response.json({ ok: false, error_code: status, description: reason })
  return new Response(text)
}

export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}
