/** Checked settings → the frozen `Config`: units, names and aliases. Nothing can fail here. */
import { DEFAULT_TENANT } from '#contract'
import type { AgentDefinition, RouteMatch } from '#contract'
import { accessPolicy, withoutShared } from './access.ts'
import { agentFromSettings } from './agent.ts'
import type { AgentSettings } from './agent.ts'
import type { Origin } from './check.ts'
import type { ChannelDeclaration, Config, ConfiguredRoute, LlmConfig, ProviderConfig, RetryConfig, SkillsConfig } from './config.ts'
import { identityConfig } from './identity.ts'
import { durationMs, sizeBytes } from './quantity.ts'
import { tlsConfig } from './tls.ts'
import { resolveModel } from './settings.ts'
import type { ProviderSettings, RouteSettings, Settings } from './settings.ts'

export function buildConfig(settings: Settings, origins: ReadonlyMap<string, Origin>): Config {
  const { server, turns } = settings
  const agents = Object.entries(settings.agents).map(([name, agent]) =>
    agentFromSettings(name, { ...withModels(agent, settings), tenant: agent.tenant }),
  )
  const routes = [...routeRules('routes', settings, origins), ...routeRules('rules', settings, origins)]
  return deepFreeze({
    project: settings.project,
    version: settings.version,
    server: {
      host: server.host,
      port: server.port,
      metricsPort: server.metrics_port === 0 ? null : server.metrics_port,
      publicHosts: server.public_hosts,
      origins: server.origins,
      insecureHttp: server.insecure_http,
      tls: tlsConfig(server.tls),
      trustedProxies: server.trusted_proxies,
      rateLimits: { perIp: server.rate_limits.per_ip, perKey: server.rate_limits.per_key },
      bodyLimitBytes: sizeBytes(server.body_limit) ?? 0,
      maxConnections: server.max_connections,
    },
    ...identityConfig(settings),
    grpc: { isEnabled: settings.grpc.enabled, host: settings.grpc.host ?? server.host, port: settings.grpc.port },
    log: settings.log,
    tracing: tracingConfig(settings),
    agents,
    routes,
    fallbacks: fallbacksOf(settings.fallback, agents, routes),
    channels: Object.entries(settings.channels).map(([name, channel]): ChannelDeclaration => ({
      name,
      kind: channel.kind ?? name,
      tenant: channel.tenant,
      access: accessPolicy(channel),
      settings: withoutShared(channel),
    })),
    llm: llmConfig(settings),
    skills: skillsConfig(settings.skills),
    session: { identityLinks: settings.session.identity_links },
    delivery: retry(settings.delivery),
    turns: { ...retry(turns), maxConcurrent: turns.max_concurrent, leaseMs: ms(turns.lease) },
    shutdown: { drainMs: ms(settings.shutdown.drain) },
    retention: { messagesMs: ms(settings.retention.messages), auditMs: ms(settings.retention.audit) },
    webhooks: { isHttpsOnly: settings.webhooks.https_only, allowNetworks: settings.webhooks.allow_networks },
    audit: { checkpointFile: settings.audit.checkpoint_file },
  })
}

function tracingConfig({ observability }: Settings): Config['tracing'] {
  const { endpoint, service_name, sample_ratio } = observability.opentelemetry
  return endpoint === null ? null : { endpoint, serviceName: service_name, sampleRatio: sample_ratio }
}

const ms = (wait: string | number): number => durationMs(wait) ?? 0
const retry = (settings: Settings['delivery']): RetryConfig => ({
  attempts: settings.attempts,
  baseMs: ms(settings.base),
  capMs: ms(settings.cap),
})

function withModels(agent: AgentSettings, settings: Settings): AgentSettings {
  const full = (model: string): string => resolveModel(model, settings.llm.providers) ?? model
  return { ...agent, model: agent.model === null ? null : full(agent.model), fallback: agent.fallback.map(full) }
}

/** The one that is named, in its tenant. Else, unless nobody is meant to be, a tenant's only agent, if no route leads to it anyway. */
function fallbacksOf(
  named: string | null | undefined,
  agents: readonly AgentDefinition[],
  routes: readonly ConfiguredRoute[],
): Config['fallbacks'] {
  if (named === null) return {}
  const fallbacks: { [tenant: string]: string } = {}
  for (const [tenant, [first, ...others] = []] of Map.groupBy(agents, (agent) => agent.tenant)) {
    const isOnly = others.length === 0 && !routes.some((route) => route.tenant === tenant)
    if (first !== undefined && isOnly) fallbacks[tenant] = first.name
  }
  const agent = agents.find(({ name }) => name === named)
  return agent === undefined ? fallbacks : { ...fallbacks, [agent.tenant]: agent.name }
}

function routeRules(list: 'routes' | 'rules', settings: Settings, origins: ReadonlyMap<string, Origin>): readonly ConfiguredRoute[] {
  return (settings[list] ?? []).map((rule, i) => {
    const id = `${list}[${i}]`
    const origin = origins.get(`${id}.agent`) ?? origins.get(`${id}.route.target`)
    const agent = rule.agent ?? rule.route?.target ?? ''
    const tenant = settings.agents[agent]?.tenant ?? DEFAULT_TENANT
    return { id, match: routeMatch(rule.match), agent, tenant, origin: origin?.from === 'file' ? `${origin.file}:${origin.line}` : id }
  })
}

function routeMatch(match: RouteSettings['match']): RouteMatch {
  const { header, equals, metadata, ...plain } = match
  const headers = typeof header === 'string' ? [[header, equals ?? ''] as const] : Object.entries(header ?? {})
  return {
    ...plain,
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])) }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  }
}

function llmConfig(settings: Settings): LlmConfig {
  const { defaults, prices, providers } = settings.llm
  const full = (model: string): string => resolveModel(model, providers) ?? model
  return {
    providers: Object.fromEntries(Object.entries(providers).map(([name, provider]) => [name, providerConfig(name, provider)])),
    primary: defaults.primary === null ? null : full(defaults.primary),
    fallback: defaults.fallback.map(full),
    timeoutMs: ms(defaults.timeout),
    totalTimeoutMs: ms(defaults.total_timeout),
    maxRetries: defaults.max_retries,
    prices: Object.fromEntries(
      Object.entries(prices).map(([model, price]) => [
        full(model),
        {
          input: price.input_usd,
          output: price.output_usd,
          ...(price.cache_read_usd === undefined ? {} : { cacheRead: price.cache_read_usd }),
        },
      ]),
    ),
  }
}

function skillsConfig({
  docker,
  max_concurrent,
  queue,
  queue_time,
  private_hosts,
  dependencies,
  entries,
  ...skills
}: Settings['skills']): SkillsConfig {
  const { max_containers, ...engine } = docker
  return {
    ...skills,
    docker: { ...engine, maxContainers: max_containers },
    maxConcurrent: max_concurrent,
    maxQueued: queue,
    queueMs: ms(queue_time),
    privateHosts: private_hosts,
    dependencies: { wheelhouse: dependencies.wheelhouse, npmCache: dependencies.npm_cache },
    entries: Object.fromEntries(
      Object.entries(entries).map(([id, { enabled, network, secrets, grade, tenants }]) => [
        id,
        { isEnabled: enabled, network: network?.allow ?? null, secrets, grade: grade ?? null, tenants },
      ]),
    ),
  }
}

const WIRES = { chat: 'openai-chat', responses: 'openai-responses', messages: 'anthropic' } as const

function providerConfig(name: string, provider: ProviderSettings): ProviderConfig {
  const wire = WIRES[provider.api ?? (name === 'anthropic' ? 'messages' : 'chat')]
  return {
    wire,
    baseUrl: provider.base_url === undefined ? null : apiRoot(provider.base_url, wire),
    apiKey: provider.api_key ?? null,
    headers: provider.headers,
  }
}

/** Servers that speak OpenAI's formats serve them below `/v1`; an address without a path means that (`http://ollama:11434`). */
function apiRoot(address: string, wire: ProviderConfig['wire']): string {
  const url = new URL(address)
  if (url.pathname === '/' && wire !== 'anthropic') url.pathname = '/v1'
  return url.href.replace(/\/$/, '')
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const member of Object.values(value)) deepFreeze(member)
  }
  return value
}
