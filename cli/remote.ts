/**
 * The running gateway, found and spoken to over HTTP. Found by OPENCLAW_URL and OPENCLAW_TOKEN, or by what the gateway left in
 * `.openclaw/`. A key from there is sent to that gateway only, never to an address from elsewhere.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import { gatewayDir } from '../gateway/config/environment.ts'
import type { World } from './command.ts'
import { rowsIn, text } from './document.ts'
import { readEvents } from './event-lines.ts'
import type { RemoteEvent } from './event-lines.ts'
import { CommandError, EXIT } from './exit.ts'
import type { ExitCode } from './exit.ts'

export interface Place {
  readonly url: string
  readonly token: string | null
  /** Of the process, where it is on this machine. */
  readonly pid: number | null
  readonly startedAt: number | null
}

export async function findGateway({ env, cwd }: Pick<World, 'env' | 'cwd'>): Promise<Place> {
  const dir = gatewayDir(env, cwd)
  const token = env['OPENCLAW_TOKEN'] || null
  if (env['OPENCLAW_URL']) return { url: checkUrl(env['OPENCLAW_URL']), token, pid: null, startedAt: null }
  const left = await readLeft(join(dir, '.openclaw', 'gateway.json'))
  if (!left) {
    throw new CommandError(
      `No gateway runs in ${dir}. Start one with "openclaw start", or set OPENCLAW_URL and OPENCLAW_TOKEN.`,
      EXIT.unreachable,
    )
  }
  const key =
    token ??
    (await readFile(join(dir, '.openclaw', 'admin.key'), 'utf8')
      .then((text) => text.trim())
      .catch(() => null))
  return { ...left, token: key }
}

async function readLeft(file: string): Promise<Omit<Place, 'token'> | null> {
  const text = await readFile(file, 'utf8').catch(() => 'null')
  try {
    const value: unknown = JSON.parse(text)
    if (!isJsonObject(value) || typeof value['url'] !== 'string') return null
    const { url, pid, startedAt } = value
    const at = typeof startedAt === 'string' ? Date.parse(startedAt) : startedAt
    return {
      url: checkUrl(url),
      pid: typeof pid === 'number' ? pid : null,
      startedAt: typeof at === 'number' && Number.isFinite(at) ? at : null,
    }
  } catch (error) {
    if (error instanceof CommandError) throw error
    return null
  }
}

function checkUrl(url: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new CommandError(`${url} is no address of a gateway, expected one like http://127.0.0.1:8400. Check OPENCLAW_URL.`, EXIT.usage)
  return url.replace(/\/+$/, '')
}

export interface Ask {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly query?: { readonly [name: string]: string | number | undefined }
  readonly body?: JsonValue
  readonly headers?: { readonly [name: string]: string }
  readonly timeoutMs?: number
  /** Statuses beside 2xx whose body is an answer too. */
  readonly also?: readonly number[]
}

/** One answer of the gateway; `body` is null where there is none. */
export interface Answer {
  readonly status: number
  readonly body: JsonValue
}

export class Remote {
  readonly place: Place
  readonly #signal: AbortSignal

  constructor(place: Place, signal: AbortSignal) {
    this.place = place
    this.#signal = signal
  }

  static async find(world: World): Promise<Remote> {
    return new Remote(await findGateway(world), world.signal)
  }

  async ask(path: string, ask: Ask = {}): Promise<Answer> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(ask.timeoutMs ?? 30_000)])
    const response = await this.#request(path, ask, signal)
    const text = await response.text().catch((error: unknown) => {
      throw this.#unreachable(error)
    })
    const body = parse(text)
    if (!response.ok && ask.also?.includes(response.status) !== true) throw refusal(response.status, body)
    return { status: response.status, body }
  }

  /** What is no JSON. */
  async text(path: string): Promise<string> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(30_000)])
    const response = await this.#request(path, {}, signal)
    const text = await response.text().catch((error: unknown) => {
      throw this.#unreachable(error)
    })
    if (!response.ok) throw refusal(response.status, parse(text))
    return text
  }

  /** Server-sent events, until they end or the reader stops. */
  async *events(path: string, ask: Ask = {}): AsyncGenerator<RemoteEvent> {
    const response = await this.#request(path, ask, this.#signal)
    if (!response.ok) throw refusal(response.status, parse(await response.text()))
    try {
      yield* readEvents(response.body ?? [])
    } catch (error) {
      throw error instanceof CommandError ? error : this.#unreachable(error)
    }
  }

  async #request(path: string, ask: Ask, signal: AbortSignal): Promise<Response> {
    const url = new URL(this.place.url + path)
    for (const [name, value] of Object.entries(ask.query ?? {})) if (value !== undefined) url.searchParams.set(name, String(value))
    const headers = {
      ...(this.place.token === null ? {} : { authorization: `Bearer ${this.place.token}` }),
      ...(ask.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...ask.headers,
    }
    const init = { method: ask.method ?? 'GET', headers, signal, ...(ask.body === undefined ? {} : { body: JSON.stringify(ask.body) }) }
    return fetch(url, init).catch((error: unknown) => {
      throw this.#unreachable(error)
    })
  }

  /** A document. */
  async get(path: string, query: Ask['query'] = {}): Promise<JsonObject> {
    const { body } = await this.ask(path, { query })
    if (!isJsonObject(body))
      throw new CommandError(`${this.place.url} answered something that is no document. Is it a gateway?`, EXIT.failed)
    return body
  }

  /** One page of a list, and whether there is more. */
  async list(
    path: string,
    query: Ask['query'] = {},
  ): Promise<{ readonly rows: readonly JsonObject[]; readonly page: JsonObject; readonly hasMore: boolean }> {
    const page = await this.get(path, query)
    return { page, rows: rowsIn(page['data']), hasMore: typeof page['cursor'] === 'string' }
  }

  #unreachable(error: unknown): CommandError {
    if (this.#signal.aborted) return new CommandError('Interrupted.', EXIT.failed, error)
    const { url, pid } = this.place
    const reason = error instanceof Error && error.name === 'TimeoutError' ? 'did not answer in time' : 'cannot be reached'
    const hint = pid === null ? 'Check OPENCLAW_URL.' : `It was process ${pid}; start it again with "openclaw start".`
    return new CommandError(`The gateway at ${url} ${reason}. ${hint}`, EXIT.unreachable, error)
  }
}

const parse = (text: string): JsonValue => {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return null
  }
}

/** RFC 9457 problem → what the operator reads. */
function refusal(status: number, body: JsonValue): CommandError {
  const problem = isJsonObject(body) ? body : {}
  const { title, detail, errors } = problem
  const words = forCommand(text(detail) || text(title) || `The gateway answered ${status}.`)
  const faults = (Array.isArray(errors) ? errors : [])
    .filter(isJsonObject)
    .map((fault) => `\n  ${text(fault['pointer']).replace(/^#\/(query\/)?/, '')}: ${text(fault['detail'])}`)
  const hint = status === 401 ? ' Set OPENCLAW_TOKEN to a valid key.' : ''
  // A message that tells all its faults itself needs no list of them.
  const list = faults.every((fault) => words.includes(fault.trim().replace(': ', ' '))) ? [] : faults
  return new CommandError(words + hint + list.join('') + logsHint(problem), exitOf(status))
}

/** Where the API speaks of itself, the command that does the same. */
const forCommand = (detail: string): string =>
  detail.replace(/\bGET \/v1\/([a-z-]+) lists\b/, '"openclaw $1" lists').replace(/; see `errors`\.$/, ':')

/** What a skill wrote before it failed is on record. */
function logsHint({ code, type, run_id: run }: JsonObject): string {
  const hasRun = text(type).endsWith('/skill-failed') || text(type).endsWith('/skill-timeout')
  return hasRun ? `\n  ${text(code)}. What it wrote: openclaw skills logs ${text(run)}` : ''
}

function exitOf(status: number): ExitCode {
  if (status === 401 || status === 403) return EXIT.denied
  return status === 404 ? EXIT.missing : EXIT.failed
}
