/** A gateway as the command sees it: HTTP answers that a test sets, WebSocket connections that a test speaks for. */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'

export interface Request {
  readonly method: string
  readonly path: string
  readonly query: { readonly [name: string]: string }
  readonly authorization: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}
export type Respond = (request: Request) => readonly [status: number, body?: unknown]

export class FakeGateway {
  readonly requests: Request[] = []
  /** `METHOD /path` → the answer; else 404. */
  readonly routes: Map<string, Respond> = new Map()
  /** `METHOD /path` → what is answered as server-sent events. */
  readonly streams: Map<string, readonly (readonly [event: string, data: object])[]> = new Map()
  /** False: they stay open. */
  endsStreams = true
  /** Called for each WebSocket connection that the token opens. */
  onSocket: (socket: WebSocket, send: (frame: object) => void) => void = () => undefined
  readonly token: string = 'secret-token'
  #server: Server | null = null
  #sockets: WebSocketServer | null = null

  get port(): number {
    const address = this.#server?.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  on(route: string, status: number, body?: unknown): this {
    this.routes.set(route, () => [status, body])
    return this
  }

  async start(port = 0): Promise<this> {
    const server = createServer((request, response) => void this.#answer(request, response))
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'openclaw.v1' })
    server.on('upgrade', (request, socket, head) => {
      const bearer = `base64url.bearer.authorization.openclaw.${Buffer.from(this.token).toString('base64url')}`
      const offered = request.headers['sec-websocket-protocol']?.split(/, */) ?? []
      if (request.url !== '/v1/ws' || offered[0] !== 'openclaw.v1' || offered[1] !== bearer) {
        return void socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n')
      }
      sockets.handleUpgrade(request, socket, head, (ws) => {
        const send = (frame: object): void => ws.send(JSON.stringify(frame))
        send({ type: 'ready', principal: 'admin', ping_ms: 30_000 })
        this.onSocket(ws, send)
      })
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    this.#server = server
    this.#sockets = sockets
    return this
  }

  cut(): void {
    for (const client of this.#sockets?.clients ?? []) client.terminate()
  }

  async stop(): Promise<void> {
    this.cut()
    const server = this.#server
    this.#server = null
    server?.closeAllConnections()
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x')
    const raw = Buffer.concat(await request.toArray()).toString()
    const seen: Request = {
      method: request.method ?? '',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      authorization: request.headers.authorization,
      headers: request.headers,
      body: raw === '' ? undefined : JSON.parse(raw),
    }
    this.requests.push(seen)
    const stream = this.streams.get(`${seen.method} ${seen.path}`)
    if (stream !== undefined) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('retry: 3000\n\n:\n\n')
      response.write(stream.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join(''))
      if (this.endsStreams) response.end()
      return
    }
    const [status, body] = this.#respond(seen)
    const json = status < 400 ? 'application/json' : 'application/problem+json'
    response.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain; charset=utf-8' : json })
    response.end(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body))
  }

  #respond(request: Request): readonly [number, unknown?] {
    const isPublic = /^\/(version|readyz)$/.test(request.path)
    if (!isPublic && request.authorization !== `Bearer ${this.token}`) {
      return [401, { title: 'Not authenticated', detail: 'The key is not valid.', code: 'UNAUTHENTICATED' }]
    }
    const respond = this.routes.get(`${request.method} ${request.path}`)
    return respond?.(request) ?? [404, { title: 'Not found', detail: `There is nothing at ${request.path}.`, code: 'NOT_FOUND' }]
  }
}
