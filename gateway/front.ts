/**
 * The front door as one object: who may come in (roles, keys, tokens), the record of what they change, and the two ways in, HTTP and gRPC,
 * over one table of routes. What lies behind it is handed in by `gateway.ts`.
 */
import { join } from 'node:path'
import type { Clock, KeyId, Lifecycle, Log, Metrics, Store } from '#contract'
import { AuditKeeper } from './audit/keeper.ts'
import type { AuditTrail } from './audit/trail.ts'
import type { Config } from './config/config.ts'
import { ownAddresses } from './guarded/address.ts'
import { GuardedClient } from './guarded/client.ts'
import type { GrpcServer } from './grpc/server.ts'
import { Keys } from './http/keys.ts'
import { Roles } from './http/roles.ts'
import { HttpServer } from './http/server.ts'
import type { Services } from './http/services.ts'
import { Tokens } from './http/token/tokens.ts'
import type { Channels } from './pipeline/channels.ts'

export interface FrontParts {
  readonly config: Config
  /** Where `.openclaw/` lies. */
  readonly dir: string
  readonly consoleDir: string
  readonly store: Store
  readonly audit: { readonly trail: AuditTrail; readonly key: Uint8Array }
  /** They lend routes, upgrades and the dialogue. */
  readonly channels: Channels
  /** What lies behind the door. */
  readonly services: Omit<Services, 'keys' | 'roles' | 'tokens' | 'audit'>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

export class Front implements Lifecycle {
  readonly #parts: FrontParts
  readonly #roles: Roles
  readonly #keys: Keys
  readonly #tokens: Tokens
  readonly #audit: AuditKeeper
  readonly #http: HttpServer
  #grpc: GrpcServer | null = null
  #adminKey: KeyId | null = null

  constructor(parts: FrontParts) {
    const { config, store, channels, services, clock, log, metrics } = parts
    this.#parts = parts
    this.#roles = new Roles({ store: store.roles, clock, configured: config.roles })
    this.#keys = new Keys({ store: store.keys, clock, log, roles: this.#roles, configured: config.keys })
    this.#tokens = new Tokens({
      store: store.revocations,
      issuers: config.auth.issuers,
      outbound: new GuardedClient({ clock, own: ownAddresses, isHttpsOnly: true, allowNetworks: config.auth.allowNetworks }),
      roles: this.#roles,
      clock,
      log,
      metrics,
    })
    this.#audit = new AuditKeeper({
      ...parts.audit,
      store: store.audit,
      keepMs: config.retention.auditMs,
      checkpointFile: config.audit.checkpointFile,
      clock,
      log,
    })
    const { server } = config
    this.#http = new HttpServer({
      host: server.host,
      port: server.port,
      publicHosts: server.publicHosts,
      origins: server.origins,
      insecureHttp: server.insecureHttp,
      tls: server.tls,
      trustedProxies: server.trustedProxies,
      rateLimits: server.rateLimits,
      metricsPort: server.metricsPort,
      limits: { bodyBytes: server.bodyLimitBytes, connections: server.maxConnections },
      services: {
        ...services,
        keys: this.#keys,
        roles: this.#roles,
        tokens: this.#tokens,
        audit: parts.audit.trail.desk((tenant) => this.#audit.verify(tenant)),
      },
      routes: channels.routes,
      upgrades: channels.upgrades,
      consoleDir: parts.consoleDir,
      stateDir: join(parts.dir, '.openclaw'),
      clock,
      log,
      metrics,
    })
  }

  /** Where HTTP listens; valid after `start`. */
  get url(): string {
    return this.#http.url
  }

  /** Where gRPC listens, `host:port`; null: it is off. */
  get grpcAddress(): string | null {
    return this.#grpc?.address ?? null
  }

  /** A link that opens the chat page signed in, once. */
  signInLink(): string {
    if (this.#adminKey === null) throw new Error('The gateway is not started.')
    return `${this.url}/#code=${this.#http.issueCode(this.#adminKey)}`
  }

  /** Reads who may come in. Before `start`, and after the store's. */
  async prepare(): Promise<void> {
    await Promise.all([this.#roles.start(), this.#keys.start(), this.#tokens.start()])
    this.#adminKey = (await this.#keys.ensureAdmin(join(this.#parts.dir, '.openclaw', 'admin.key'))).id
  }

  async start(): Promise<void> {
    await this.#http.start()
    await this.#openGrpc()
    await this.#audit.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#http.stop(), this.#grpc?.stop()])
    await Promise.all([this.#keys.stop(), this.#tokens.stop()])
    await this.#audit.stop()
  }

  /** Roles, keys, issuers, clients with certificates and rate limits as they are from now on. */
  configure(config: Config): void {
    this.#roles.configure(config.roles)
    this.#keys.configure(config.keys)
    this.#tokens.configure(config.auth.issuers)
    this.#http.configureClients(config.server.tls?.clients ?? [])
    this.#http.configureLimits(config.server.rateLimits)
  }

  /** The libraries are heavy: only who asks for it pays. */
  async #openGrpc(): Promise<void> {
    const { clock, log, metrics, channels, config } = this.#parts
    const { grpc, server } = config
    if (!grpc.isEnabled) return
    const { GrpcServer } = await import('./grpc/server.ts')
    this.#grpc = new GrpcServer({
      host: grpc.host,
      port: grpc.port,
      insecure: server.insecureHttp,
      maxMessageBytes: server.bodyLimitBytes,
      calls: this.#http.calls,
      dialogue: channels.dialogue,
      clock,
      log,
      metrics,
    })
    await this.#grpc.start()
  }
}
