/**
 * The front door: listens, guards the sockets, and hands requests to the app and upgrades to the channels. Who may do what and what
 * happens then stands in `endpoint.ts` and the route table.
 */
import type { KeyObject } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import { join } from 'node:path'
import { ConflictError } from '#contract'
import type { CertificateClient, Clock, KeyId, LeftSession, Lifecycle, Log, Metrics, Route, TlsSettings, UpgradeRoute } from '#contract'
import { buildApp } from './app.ts'
import { Certificates } from './certificate.ts'
import { Calls } from './calls.ts'
import { ClientAddresses, type Connected } from './client-address.ts'
import { ConsoleFiles } from './console-files.ts'
import { Credentials, type Proven } from './credentials.ts'
import { Cursors } from './cursor.ts'
import { Endpoint } from './endpoint.ts'
import type { Door } from './endpoint.ts'
import { Guard, bracketed, checkBinding, isOfOwnPage } from './guard.ts'
import { createListener, listen, type ListenerLimits } from './listener.ts'
import { KeptAnswers } from './kept-answers.ts'
import { Meter } from './meter.ts'
import { Limits, type RateLimits } from './limits.ts'
import { MetricsListener } from './metrics-listener.ts'
import { loadSecret } from './own-secret.ts'
import { PageSessions } from './page-session.ts'
import { routeTable } from './routes/table.ts'
import { Schemas } from './schema.ts'
import type { Services } from './services.ts'
import { Signer } from './signer.ts'
import { TlsFiles } from './tls.ts'
import { Upgrades } from './upgrade.ts'

export interface HttpServerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Names by which others reach us, `gateway.example` or `gateway.example:8443`. */
  readonly publicHosts: readonly string[]
  /** Of pages elsewhere that may use the API, `https://app.example.com`. */
  readonly origins: readonly string[]
  /** Beyond loopback without TLS: somebody said yes. */
  readonly insecureHttp: boolean
  /** null: plain HTTP. */
  readonly tls: TlsSettings | null
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

export interface HttpLimits extends ListenerLimits {
  readonly bodyBytes: number
  readonly streams: number
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

interface Running {
  readonly server: Server
  readonly keys: TlsFiles | null
  readonly certificates: Certificates
  readonly door: Door
  readonly calls: Calls
  readonly pages: PageSessions
  readonly upgrades: Upgrades
  readonly metrics: MetricsListener | null
  readonly port: number
  readonly release: () => void
}

interface Bound {
  readonly server: Server
  readonly keys: TlsFiles | null
  readonly port: number
  readonly secret: KeyObject
  readonly files: ConsoleFiles
  /** Pages that signed out in former lives. */
  readonly left: readonly LeftSession[]
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
    return `${this.#options.tls === null ? 'http' : 'https'}://${bracketed(name)}:${this.#need().port}`
  }

  /** The same table for other doors; valid after `start`. */
  get calls(): Calls {
    return this.#need().calls
  }

  /** Where the metrics listener is; null: there is none. */
  get metricsPort(): number | null {
    return this.#running?.metrics?.port ?? null
  }

  /** A one-time code that signs one page in as that key: the start-up link is `<url>/#code=<code>`. */
  issueCode(key: KeyId): string {
    return this.#need().pages.issueCode(key)
  }

  /** Other rate limits, from the next request on. */
  configureLimits(limits: RateLimits): void {
    this.#running?.door.limits.configure(limits)
  }

  /** Other clients with certificates; connections of those that are gone are closed. */
  configureClients(clients: readonly CertificateClient[]): void {
    const running = this.#running
    for (const id of running?.certificates.configure(clients) ?? []) running?.door.credentials.end(id)
  }

  async start(): Promise<void> {
    if (this.#running !== null) return
    const { host, port, insecureHttp, tls, consoleDir, stateDir, metricsPort, services, clock, log } = this.#options
    checkBinding(host, insecureHttp || tls !== null)
    const [secret, files, left] = await Promise.all([
      loadSecret(join(stateDir, 'secret'), 'open pages have to sign in again'),
      ConsoleFiles.read(consoleDir),
      services.store.revocations.leftSessions(clock.now()),
    ])
    const keys = tls === null ? null : new TlsFiles({ settings: tls, clock, log })
    const server = createListener({ ...this.#limits, tls: (await keys?.read()) ?? null })
    keys?.watch((context) => 'setSecureContext' in server && server.setSecureContext(context))
    const bound = await listen(server, host, port)
    try {
      this.#running = this.#assemble({ server, keys, port: bound, secret, files, left })
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

  async #close({ server, keys, door, upgrades, metrics, release }: Running): Promise<void> {
    door.isStopping = true
    keys?.stop()
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

  /** Needs the port, by which host names and cookies are known: so it comes after listening, in the same turn of the event loop. */
  #assemble({ server, keys, port, secret, files, left }: Bound): Running {
    const { host, publicHosts, origins, trustedProxies, rateLimits, tls, services, routes, clock, metrics, log } = this.#options
    const meter = new Meter(metrics, log)
    const guard = new Guard({ host, port, publicHosts, origins, failures: meter.authFailures })
    const limits = new Limits({ limits: rateLimits, clock, metrics })
    const addresses = new ClientAddresses(trustedProxies)
    const signer = new Signer(secret, 'page session')
    const pages = new PageSessions({ port, keys: services.keys, signer, clock, store: services.store.revocations, left })
    const credentials = new Credentials({
      bearer: [services.keys, services.tokens],
      cookie: { name: pages.cookieName, verifier: pages },
      clock,
      failures: meter.authFailures,
    })
    const certificates = new Certificates({ clients: tls?.clients ?? [], roles: services.roles })
    const certified = ({ socket, headers }: Connected): Proven | null => {
      // A browser shows it by itself, as it sends the cookie.
      const proven = isOfOwnPage(headers) ? certificates.prove(socket) : null
      // A connection can outlive its certificate, which TLS looked at once.
      return proven === null || (proven.expiresAt ?? Infinity) <= clock.now() ? null : credentials.adopt(proven)
    }
    const release = endingsOf(services, credentials, certificates)
    const door: Door = {
      guard,
      limits,
      addresses,
      credentials,
      certified,
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
    const hub = { services, cursors: new Cursors(new Signer(secret, 'cursor')), pages, credentials, certificates, clock }
    const table = routeTable(hub, routes, this.#options.upgrades)
    const upgrades = new Upgrades({ routes: this.#options.upgrades, guard, credentials, meter, limits, addresses, certified })
    const endpoints = table.map((route) => new Endpoint(route, door))
    server.on('request', buildApp({ endpoints, upgrades: this.#options.upgrades, files, door }))
    server.on('error', (error) => log.error({ error }, 'The HTTP server cannot take a connection.'))
    server.on('upgrade', (request: IncomingMessage, socket, head) => void upgrades.handle(request, socket, head))
    return { server, keys, certificates, door, calls: new Calls(endpoints, door), pages, upgrades, metrics: null, port, release }
  }
}

/** Whoever may say that a proof counts no more. */
function endingsOf({ keys, roles, tokens }: Services, credentials: Credentials, certificates: Certificates): () => void {
  const end = (id: string, at: number | null = null): void => credentials.end(id, at)
  const releases = [keys.onEnd(end), roles.onChanged(end), roles.onChanged(() => certificates.forget()), tokens.onEnd(end)]
  return () => releases.forEach((release) => release())
}
