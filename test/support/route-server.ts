/**
 * A bare HTTP server that mounts a channel's routes and upgrades, so that channels are tested over real sockets without the
 * gateway's own server. It knows tokens, parses JSON, and turns thrown errors into statuses; nothing more.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { ConflictError, DeniedError, InvalidError, OpenClawError, UnavailableError, may } from '#contract'
import type { Channel, HttpReply, JsonValue, Principal, Route, UpgradeCaller } from '#contract'

const SUBPROTOCOL = 'base64url.bearer.authorization.openclaw.'

export class RouteServer {
  readonly #server: Server
  readonly #channel: Channel
  readonly #tokens = new Map<string, Principal>()
  readonly #gone = new Map<string, Set<() => void>>()
  /** Where an upgrade seems to come from. */
  ip = '127.0.0.1'
  /** How long whoever sends has to wait; null: not at all. */
  waitSeconds: number | null = null

  constructor(channel: Channel) {
    this.#channel = channel
    this.#server = createServer((request, response) => void this.#answer(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  static async open(channel: Channel): Promise<RouteServer> {
    const server = new RouteServer(channel)
    server.allow('secret', { id: 'admin', credential: 'key-1', tenant: 'default', scopes: new Set(['*']) })
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get origin(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  allow(token: string, principal: Principal): void {
    this.#tokens.set(token, principal)
  }

  revoke(token: string): void {
    const principal = this.#tokens.get(token)
    this.#tokens.delete(token)
    for (const gone of this.#gone.get(principal?.credential ?? '') ?? []) gone()
  }

  /** How many channels' connections want to hear of revocations. */
  get watchers(): number {
    return [...this.#gone.values()].reduce((sum, set) => sum + set.size, 0)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    try {
      const url = new URL(request.url ?? '/', `http://${this.origin}`)
      const found = this.#find(request.method ?? '', url.pathname)
      if (found === null) throw new OpenRouteError(404)
      found.route.screen?.(request.headers as { [name: string]: string })
      const chunks: Uint8Array[] = []
      for await (const chunk of request) chunks.push(chunk as Uint8Array)
      const raw = Buffer.concat(chunks)
      const principal = this.#bearer(request)
      const { permission } = found.route
      if (permission === 'signed') {
        const query = Object.fromEntries(url.searchParams)
        const headers = request.headers as { [name: string]: string }
        const { params, route } = found
        return send(
          response,
          await route.handle({
            id: 'request-1',
            params,
            query,
            headers,
            body: undefined,
            raw,
            principal,
            ip: '127.0.0.1',
            signal: gone.signal,
          }),
        )
      }
      if (principal === null) throw new OpenRouteError(401)
      if (permission !== 'public' && !may(principal, permission)) throw new OpenRouteError(403)
      const wait = url.searchParams.get('wait')
      const reply = await found.route.handle({
        id: 'request-1',
        params: found.params,
        query: wait === null ? {} : { wait: Number(wait) },
        headers: request.headers as { [name: string]: string },
        body: JSON.parse(raw.toString()) as JsonValue,
        raw,
        principal,
        ip: '127.0.0.1',
        signal: gone.signal,
      })
      send(response, reply)
    } catch (error) {
      send(response, problem(error))
    }
  }

  #find(method: string, path: string): { route: Route; params: { [name: string]: string } } | null {
    for (const route of this.#channel.routes ?? []) {
      for (const known of [route.path, ...(route.aliases ?? [])]) {
        const match = new RegExp(`^${known.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`).exec(path)
        if (match === null || route.method !== method) continue
        const params = Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)])
        return { route, params: Object.fromEntries(params) as { [name: string]: string } }
      }
    }
    return null
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const route = this.#channel.upgrades?.find(({ path }) => path === request.url)
    if (route === undefined) {
      socket.destroy()
      return
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/).find((name) => name.startsWith(SUBPROTOCOL))
    const token = offered === undefined ? undefined : Buffer.from(offered.slice(SUBPROTOCOL.length), 'base64url').toString()
    const cookie = /(?:^|; )oc=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
    const principal = this.#bearer(request) ?? this.#tokens.get(token ?? '') ?? this.#tokens.get(cookie ?? '') ?? null
    const caller: UpgradeCaller = {
      principal,
      ip: this.ip,
      authenticate: (text) => Promise.resolve(this.#tokens.get(text) ?? null),
      waitOf: () => this.waitSeconds,
      onRevoked: ({ credential }, gone) => {
        const set = this.#gone.get(credential) ?? new Set()
        this.#gone.set(credential, set.add(gone))
        return () => set.delete(gone)
      },
    }
    route.handle(request, socket, head, caller)
  }

  #bearer(request: IncomingMessage): Principal | null {
    return this.#tokens.get((request.headers.authorization ?? '').replace(/^Bearer /, '')) ?? null
  }
}

class OpenRouteError extends Error {
  readonly status: number
  constructor(status: number) {
    super(String(status))
    this.status = status
  }
}

function problem(error: unknown): HttpReply {
  const body = error instanceof OpenClawError ? { code: error.code, detail: error.message } : { code: 'INTERNAL', detail: String(error) }
  if (error instanceof OpenRouteError) return { status: error.status, body }
  if (error instanceof InvalidError) {
    return { status: 400, body: { ...body, errors: error.faults.map(({ pointer, detail }) => ({ pointer, detail })) } }
  }
  if (error instanceof DeniedError) return { status: error.reason === 'forbidden' ? 403 : 401, body }
  if (error instanceof ConflictError) return { status: 422, body }
  if (error instanceof UnavailableError) {
    return { status: 503, headers: { 'retry-after': String(Math.ceil(error.retryAfterMs / 1_000)) }, body }
  }
  return { status: 500, body }
}

function send(response: ServerResponse, reply: HttpReply): void {
  if ('events' in reply) throw new Error('no streams are known here')
  if ('bytes' in reply) throw new Error('no bytes are known here')
  if ('text' in reply) {
    response.writeHead(reply.status, { 'content-type': reply.contentType, ...reply.headers }).end(reply.text)
    return
  }
  response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers })
  response.end(JSON.stringify(reply.body))
}
