/**
 * The front door: listens, guards the sockets, and hands requests to the app and upgrades to the channels. Who may do what and what
 * happens then stands in `endpoint.ts` and the route table.
 */
import type { KeyObject } from 'node:crypto'
import { ServerResponse, createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { ConflictError, describeError } from '#contract'
import type { Clock, KeyId, Lifecycle, Log, Metrics, Route, UpgradeRoute } from '#contract'
import { endSocket } from './answer.ts'
import { buildApp } from './app.ts'
import { ClientAddresses } from './client-address.ts'
import { ConsoleFiles } from './console-files.ts'
import { Credentials } from './credentials.ts'
import { Cursors } from './cursor.ts'
import type { Door } from './endpoint.ts'
import { newRequestId } from './exchange.ts'
import { Guard, bracketed, checkBinding } from './guard.ts'
import { KeptAnswers } from './kept-answers.ts'
import { Meter } from './meter.ts'
import { Limits, type RateLimits } from './limits.ts'
import { MetricsListener } from './metrics-listener.ts'
import { PageSessions } from './page-session.ts'
import { ProtocolError, problemOf } from './problem.ts'
import { routeTable } from './routes/table.ts'
import { Schemas } from './schema.ts'
import type { Services } from './services.ts'
import { Signer, loadSecret } from './signer.ts'
import { Upgrades } from './upgrade.ts'

export interface HttpServerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Names by which others reach us, `gateway.example` or `gateway.example:8443`. */
  readonly publicHosts: readonly string[]
  /** Beyond loopback without TLS: somebody said yes. */
  readonly insecureHttp: boolean
  /** Addresses and networks whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[]
  readonly rateLimits: RateLimits
  /** `/metrics` on loopback; 0 or null: none. */
  readonly metricsPort: number | null
  readonly services: Services
  /** Lent by channels; found before the hub's own. */
  readonly routes: readonly Route[]
  readonly upgrades: readonly UpgradeRoute[]
  /** null: no console. */
  readonly consoleDir: string | null
  /** Where the gateway keeps its own secret, `<dir>/.openclaw`. */
  readonly stateDir: string
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  readonly limits?: Partial<HttpLimits>
}

export interface HttpLimits {
  readonly bodyBytes: number
  readonly connections: number
  readonly streams: number
  /** A request's header fields, and the whole of it, must have come by then. */
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  /** How long `stop` waits for answers that are being made. */
  readonly stopMs: number
}

const LIMITS: HttpLimits = {
  bodyBytes: 1_048_576,
  connections: 20_000,
  streams: 1_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  stopMs: 5_000,
}
/** Longer than the idle time of usual load balancers, so that they close first. */
const KEEP_ALIVE_MS = 65_000

interface Running {
  readonly server: Server
  readonly door: Door
  readonly pages: PageSessions
  readonly upgrades: Upgrades
  readonly metrics: MetricsListener | null
  readonly port: number
  readonly release: () => void
}

export class HttpServer implements Lifecycle {
  readonly #options: HttpServerOptions
  readonly #limits: HttpLimits
  #running: Running | null = null
  #stopped: Promise<void> = Promise.resolve()

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
  }

  /** Where a client on this machine finds it. */
  get url(): string {
    const { host } = this.#options
    const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
    return `http://${bracketed(name)}:${this.#need().port}`
  }

  /** Where the metrics listener is; null: there is none. */
  get metricsPort(): number | null {
    return this.#running?.metrics?.port ?? null
  }

  /** A one-time code that signs one page in as that key: the start-up link is `<url>/#code=<code>`. */
  issueCode(key: KeyId): string {
    return this.#need().pages.issueCode(key)
  }

  async start(): Promise<void> {
    if (this.#running !== null) return
    const { host, port, insecureHttp, consoleDir, stateDir, metricsPort, services, log } = this.#options
    checkBinding(host, insecureHttp)
    const [secret, files] = await Promise.all([
      loadSecret(join(stateDir, 'secret'), 'open pages have to sign in again'),
      ConsoleFiles.read(consoleDir),
    ])
    const server = this.#createServer()
    const bound = await listen(server, host, port)
    try {
      this.#running = this.#assemble({ server, port: bound, secret, files })
      if (metricsPort !== null && metricsPort !== 0) {
        const metrics = new MetricsListener({ port: metricsPort, read: () => services.metricsText(), log })
        this.#running = { ...this.#running, metrics }
        await metrics.start()
      }
    } catch (error) {
      server.close()
      throw error
    }
  }

  stop(): Promise<void> {
    const running = this.#running
    if (running !== null) {
      this.#running = null
      this.#stopped = this.#close(running)
    }
    return this.#stopped
  }

  async #close({ server, door, upgrades, metrics, release }: Running): Promise<void> {
    door.isStopping = true
    const closed = Promise.withResolvers<void>()
    server.close(() => closed.resolve())
    for (const stream of door.streams) stream.end()
    const cancelTimer = this.#options.clock.after(this.#limits.stopMs, () => {
      server.closeAllConnections()
      upgrades.destroyAll()
    })
    await Promise.all([closed.promise, metrics?.stop()])
    cancelTimer()
    door.credentials.stop()
    release()
  }

  #need(): Running {
    if (this.#running === null) throw new ConflictError('The HTTP server is not started.', { code: 'NOT_STARTED' })
    return this.#running
  }

  #createServer(): Server {
    const { headersTimeoutMs, requestTimeoutMs, connections } = this.#limits
    const server = createServer({
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // How late after its time a slow client is found.
      connectionsCheckingInterval: Math.min(1_000, headersTimeoutMs),
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: 16_384,
      noDelay: true,
    })
    server.maxConnections = connections
    server.on('clientError', refuseSocket)
    return server
  }

  /** Needs the port, by which host names and cookies are known: so it comes after listening, in the same turn of the event loop. */
  #assemble({ server, port, secret, files }: { server: Server; port: number; secret: KeyObject; files: ConsoleFiles }): Running {
    const { host, publicHosts, trustedProxies, rateLimits, services, routes, clock, metrics, log } = this.#options
    const guard = new Guard({ host, port, publicHosts })
    const meter = new Meter(metrics, log)
    const limits = new Limits({ limits: rateLimits, clock, metrics })
    const addresses = new ClientAddresses(trustedProxies)
    const pages = new PageSessions({ port, keys: services.keys, signer: new Signer(secret, 'page session'), clock })
    const credentials = new Credentials({
      bearer: [services.keys],
      cookie: { name: pages.cookieName, verifier: pages },
      clock,
      failures: meter.authFailures,
    })
    const release = services.keys.onRevoked((id) => credentials.end(id))
    const door: Door = {
      guard,
      limits,
      addresses,
      credentials,
      schemas: new Schemas(),
      kept: new KeptAnswers(services.store.idempotency, clock),
      audit: services.audit,
      meter,
      clock,
      redact: services.redact,
      streams: new Set(),
      maxBodyBytes: this.#limits.bodyBytes,
      maxStreams: this.#limits.streams,
      isStopping: false,
    }
    const hub = { services, cursors: new Cursors(new Signer(secret, 'cursor')), pages, credentials, clock }
    const table = routeTable(hub, routes, this.#options.upgrades)
    const upgrades = new Upgrades({ routes: this.#options.upgrades, guard, credentials, meter, limits, addresses })
    server.on('request', buildApp({ routes: table, files, door }))
    server.on('error', (error) => log.error({ error }, 'The HTTP server cannot take a connection.'))
    server.on('upgrade', (request: IncomingMessage, socket, head) => void upgrades.handle(request, socket, head))
    return { server, door, pages, upgrades, metrics: null, port, release }
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new ConflictError(
              `Port ${port} on ${host} is in use. Stop what uses it, or set \`OPENCLAW_PORT\` to another (0: any free one).`,
              {
                code: 'PORT_IN_USE',
                cause: error,
              },
            )
          : new ConflictError(`Cannot listen on ${host}:${port}: ${describeError(error).message}.`, {
              code: 'LISTEN_FAILED',
              cause: error,
            }),
      )
    })
    server.listen({ host, port, backlog: 1_024 }, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

/** What the parser refused: malformed, ambiguous (RFC 9112 §6.3), too large or too slow. */
function refuseSocket(error: NodeJS.ErrnoException, socket: Socket): void {
  // An answer that is being made to a request that came whole would be torn, or taken for this one.
  // oxlint-disable-next-line no-underscore-dangle -- the only way to know, and how Node itself does
  const answer = '_httpMessage' in socket && socket._httpMessage instanceof ServerResponse ? socket._httpMessage : null
  const isAnswering = answer !== null && (answer.headersSent || answer.req.complete)
  if (!socket.writable || isAnswering || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const id = newRequestId()
  const problem = problemOf(parserProblem(error.code), id)
  endSocket(socket, { ...problem, headers: { 'x-request-id': id } })
}

function parserProblem(code: string | undefined): ProtocolError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ProtocolError('The request did not arrive in time.', { code: 'REQUEST_TIMEOUT', slug: 'request-timeout' })
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ProtocolError('The header fields may have 16 KiB together.', { code: 'HEADERS_TOO_LARGE', slug: 'headers-too-large' })
  }
  return new ProtocolError('The request is not valid HTTP/1.1.', { code: 'INVALID_HTTP', slug: 'invalid-request' })
}
