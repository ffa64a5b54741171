/**
 * What the gateway is told to do, after everything was checked: one frozen value. Names are those of `openclaw.yaml` in
 * camelCase, durations in milliseconds, sizes in bytes. What a channel's settings or a model's name mean is left to them.
 */
import type { AccessPolicy, AgentDefinition, JsonObject, RouteRule, TlsSettings } from '#contract'
import type { IdentityConfig } from './identity.ts'

export interface Config extends IdentityConfig {
  readonly project: string | null
  readonly version: string | null
  readonly server: ServerConfig
  readonly grpc: GrpcConfig
  readonly log: LogConfig
  /** null: no traces. */
  readonly tracing: TracingConfig | null
  /** At least one. */
  readonly agents: readonly AgentDefinition[]
  readonly routes: readonly ConfiguredRoute[]
  /** By tenant, the agent for what no route matches; none: a dead letter. */
  readonly fallbacks: { readonly [tenant: string]: string }
  readonly channels: readonly ChannelDeclaration[]
  readonly llm: LlmConfig
  readonly skills: SkillsConfig
  readonly session: SessionConfig
  readonly delivery: RetryConfig
  readonly turns: TurnsConfig
  readonly shutdown: { readonly drainMs: number }
  readonly retention: { readonly messagesMs: number; readonly auditMs: number }
  readonly webhooks: { readonly isHttpsOnly: boolean; readonly allowNetworks: readonly string[] }
  readonly audit: { readonly checkpointFile: string | null }
}

export interface ServerConfig {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** null: nothing listens for scrapes; `/api/metrics` is still there. */
  readonly metricsPort: number | null
  readonly publicHosts: readonly string[]
  readonly origins: readonly string[]
  readonly insecureHttp: boolean
  /** null: plain HTTP. */
  readonly tls: TlsSettings | null
  /** Addresses and networks in CIDR notation. */
  readonly trustedProxies: readonly string[]
  /** Requests a minute; 0: no limit. */
  readonly rateLimits: { readonly perIp: number; readonly perKey: number }
  readonly bodyLimitBytes: number
  readonly maxConnections: number
}

export interface GrpcConfig {
  readonly isEnabled: boolean
  readonly host: string
  /** 0: any free one. */
  readonly port: number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export type LogFormat = 'json' | 'text'
export interface LogConfig {
  readonly level: LogLevel
  readonly format: LogFormat
}

export interface TracingConfig {
  /** Of the collector. */
  readonly endpoint: string
  readonly serviceName: string
  /** 0 to 1. */
  readonly sampleRatio: number
}

/** The most specific rule wins; among equals the first. */
export interface ConfiguredRoute extends RouteRule {
  /** File and line, for people. */
  readonly origin: string
}

export interface ChannelDeclaration {
  readonly name: string
  readonly kind: string
  readonly tenant: string
  readonly access: AccessPolicy
  /** Everything beside the keys that all channels share, for the kind's own schema. */
  readonly settings: JsonObject
}

export interface LlmConfig {
  readonly providers: { readonly [name: string]: ProviderConfig }
  /** `provider/model`; null: the runtime's own choice. */
  readonly primary: string | null
  readonly fallback: readonly string[]
  readonly timeoutMs: number
  readonly totalTimeoutMs: number
  readonly maxRetries: number
  readonly prices: { readonly [model: string]: ModelPrice }
}
export interface ProviderConfig {
  readonly wire: 'openai-chat' | 'openai-responses' | 'anthropic'
  readonly baseUrl: string | null
  readonly apiKey: string | null
  readonly headers: { readonly [name: string]: string }
}
/** US dollars per million tokens. */
export interface ModelPrice {
  readonly input: number
  readonly output: number
  readonly cacheRead?: number
}

/** As `SkillsSettings` of the skills; what each means stands there. */
export interface SkillsConfig {
  readonly sandbox: 'auto' | 'docker' | 'bubblewrap' | 'none'
  readonly docker: {
    readonly socket: string | null
    readonly image: string
    readonly runtime: string | null
    readonly maxContainers: number
    readonly parked: number
  }
  readonly grade: SkillGrade
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly queueMs: number
  readonly signatures: { readonly policy: 'off' | 'warn' | 'enforce'; readonly keys: { readonly [kid: string]: string } }
  readonly hooks: { readonly before: readonly string[]; readonly after: readonly string[] }
  readonly privateHosts: readonly string[]
  readonly dependencies: { readonly wheelhouse: string | null; readonly npmCache: string | null }
  readonly entries: {
    readonly [id: string]: {
      readonly isEnabled: boolean
      readonly network: readonly string[] | null
      readonly secrets: { readonly [name: string]: string }
      readonly grade: SkillGrade | null
      readonly tenants: readonly string[]
    }
  }
}
export type SkillGrade = 'fresh' | 'lease' | 'resident'

export interface SessionConfig {
  /** Person → that person's accounts as `channel:sender`. */
  readonly identityLinks: { readonly [person: string]: readonly string[] }
}

/** Exponential with full jitter: attempt n waits up to `min(cap, base * 2^(n-1))`. */
export interface RetryConfig {
  readonly attempts: number
  readonly baseMs: number
  readonly capMs: number
}
export interface TurnsConfig extends RetryConfig {
  readonly maxConcurrent: number
  readonly leaseMs: number
}
