/**
 * `openclaw.yaml` in its own terms after the check, and what its parts say about each other: an agent that a route names must
 * exist, a model must belong to a provider, a wait must not be longer than its cap. What a single value may be is the schema's.
 */
import { nearest } from '#contract'
import type { ChannelSettings } from './access.ts'
import type { AgentSettings } from './agent.ts'
import type { LogFormat, LogLevel, SkillGrade, SkillsConfig } from './config.ts'
import { checkIdentity } from './identity.ts'
import { checkTls } from './tls.ts'
import type { TlsFileSettings } from './tls.ts'
import type { IdentitySettings } from './identity.ts'
import { durationMs, isNetwork } from './quantity.ts'
import type { Keys, Tell } from './tree.ts'

export interface Settings extends IdentitySettings {
  readonly project: string | null
  readonly version: string | null
  readonly server: {
    readonly host: string
    readonly port: number
    readonly metrics_port: number
    readonly public_hosts: readonly string[]
    readonly origins: readonly string[]
    readonly insecure_http: boolean
    readonly tls: TlsFileSettings | null
    readonly trusted_proxies: readonly string[]
    readonly rate_limits: { readonly per_ip: number; readonly per_key: number }
    readonly body_limit: string | number
    readonly max_connections: number
  }
  readonly grpc: { readonly enabled: boolean; readonly host?: string; readonly port: number }
  readonly log: { readonly level: LogLevel; readonly format: LogFormat }
  readonly observability: {
    readonly opentelemetry: { readonly endpoint: string | null; readonly service_name: string; readonly sample_ratio: number }
  }
  readonly agents: { readonly [name: string]: AgentSettings & { readonly tenant: string } }
  readonly routes: readonly RouteSettings[]
  readonly rules?: readonly RouteSettings[]
  readonly fallback?: string | null
  readonly channels: { readonly [name: string]: ChannelSettings }
  readonly llm: {
    readonly providers: { readonly [name: string]: ProviderSettings }
    readonly defaults: {
      readonly primary: string | null
      readonly fallback: readonly string[]
      readonly timeout: Wait
      readonly total_timeout: Wait
      readonly max_retries: number
    }
    readonly prices: {
      readonly [model: string]: { readonly input_usd: number; readonly output_usd: number; readonly cache_read_usd?: number }
    }
  }
  readonly skills: {
    readonly sandbox: SkillsConfig['sandbox']
    readonly docker: {
      readonly socket: string | null
      readonly image: string
      readonly runtime: string | null
      readonly max_containers: number
      readonly parked: number
    }
    readonly grade: SkillGrade
    readonly max_concurrent: number
    readonly queue: number
    readonly queue_time: Wait
    readonly signatures: SkillsConfig['signatures']
    readonly hooks: SkillsConfig['hooks']
    readonly private_hosts: readonly string[]
    readonly dependencies: { readonly wheelhouse: string | null; readonly npm_cache: string | null }
    readonly entries: {
      readonly [id: string]: {
        readonly enabled: boolean
        readonly network?: { readonly allow: readonly string[] }
        readonly secrets: { readonly [name: string]: string }
        readonly grade?: SkillGrade
        readonly tenants: readonly string[]
      }
    }
  }
  readonly session: { readonly identity_links: { readonly [person: string]: readonly string[] } }
  readonly delivery: RetrySettings
  readonly turns: RetrySettings & { readonly max_concurrent: number; readonly lease: Wait }
  readonly shutdown: { readonly drain: Wait }
  readonly retention: { readonly messages: Wait; readonly audit: Wait }
  readonly webhooks: { readonly https_only: boolean; readonly allow_networks: readonly string[] }
  readonly audit: { readonly checkpoint_file: string | null }
}
type Wait = string | number
interface RetrySettings {
  readonly attempts: number
  readonly base: Wait
  readonly cap: Wait
}
export interface RouteSettings {
  readonly match: {
    readonly channel?: string
    readonly account?: string
    readonly sender?: string
    readonly header?: string | { readonly [name: string]: string }
    readonly equals?: string
    readonly metadata: { readonly [path: string]: string | number | boolean | null }
    readonly topic?: string
  }
  readonly agent?: string
  readonly route?: { readonly target?: string }
}
export interface ProviderSettings {
  readonly api_key?: string
  readonly base_url?: string
  readonly api?: 'chat' | 'responses' | 'messages'
  readonly headers: { readonly [name: string]: string }
  readonly models: readonly string[]
}

/** Providers that need no `base_url`. */
const WELL_KNOWN = ['builtin', 'openai', 'anthropic', 'ollama']

/** `provider/model` for a model as written, null when nobody has it. */
export function resolveModel(model: string, providers: { readonly [name: string]: ProviderSettings }): string | null {
  for (const [name, { models }] of Object.entries(providers)) if (models.includes(model)) return `${name}/${model}`
  const slash = model.indexOf('/')
  const provider = model.slice(0, slash)
  return slash > 0 && slash < model.length - 1 && (Object.hasOwn(providers, provider) || WELL_KNOWN.includes(provider)) ? model : null
}

export function crossCheck(settings: Settings, tell: Tell): void {
  const agents = Object.keys(settings.agents)
  for (const [name, agent] of Object.entries(settings.agents)) checkAgentModels(name, agent, settings, tell)
  for (const list of ['routes', 'rules'] as const) settings[list]?.forEach((rule, i) => checkRoute([list, i], rule, agents, tell))
  if (settings.routes.length > 0 && settings.rules) {
    tell(['rules'], '`routes` and `rules` both, expected one of them: they are the same thing')
  }
  if (typeof settings.fallback === 'string') checkAgent(['fallback'], settings.fallback, agents, tell)
  checkModels(settings, tell)
  checkLinks(settings, tell)
  checkIdentity(settings, tell)
  checkTls(settings.server.tls, Object.keys(settings.roles), tell)
  settings.webhooks.allow_networks.forEach((network, i) => {
    if (!isNetwork(network))
      tell(['webhooks', 'allow_networks', i], `${JSON.stringify(network)}, expected a network like 10.0.0.0/8 or fd00::/8`)
  })
  for (const part of ['delivery', 'turns'] as const) {
    if (longer(settings[part].base, settings[part].cap)) tell([part, 'base'], `longer than ${part}.cap, expected at most that`)
  }
}

function checkAgentModels(name: string, agent: AgentSettings, settings: Settings, tell: Tell): void {
  const at = ['agents', name]
  if (agent.model !== null) checkModel([...at, 'model'], agent.model, settings, tell)
  else if (agent.fallback.length > 0) tell([...at, 'fallback'], 'models without `model`, expected `model` beside it')
  agent.fallback.forEach((model, i) => checkModel([...at, 'fallback', i], model, settings, tell))
}

function checkRoute(at: Keys, rule: RouteSettings, agents: readonly string[], tell: Tell): void {
  const { header, equals, topic } = rule.match
  const target = rule.route?.target
  if (rule.agent !== undefined && target !== undefined) tell([...at, 'route'], '`agent` and `route` both, expected one of them')
  else if (rule.agent !== undefined) checkAgent([...at, 'agent'], rule.agent, agents, tell)
  else if (target !== undefined) checkAgent([...at, 'route', 'target'], target, agents, tell)
  else tell([...at, 'agent'], 'nothing, expected the name of an agent')
  if (typeof header === 'string' && equals === undefined) {
    tell([...at, 'match', 'header'], 'a header without a value, expected `equals` beside it')
  }
  if (typeof header !== 'string' && equals !== undefined) {
    tell([...at, 'match', 'equals'], '`equals` without a header, expected the name of one in `header` beside it')
  }
  if (topic?.split('.').includes('')) tell([...at, 'match', 'topic'], 'an empty word between dots, expected words like user.*.created')
}

function checkAgent(at: Keys, name: string, known: readonly string[], tell: Tell): void {
  if (!known.includes(name))
    tell(at, `no agent is called ${JSON.stringify(name)}, expected one of ${known.join(', ')}`, nearest(name, known))
}

function checkModels(settings: Settings, tell: Tell): void {
  const { defaults, providers } = settings.llm
  const at = ['llm', 'defaults']
  if (defaults.primary !== null) checkModel([...at, 'primary'], defaults.primary, settings, tell)
  defaults.fallback.forEach((model, i) => checkModel([...at, 'fallback', i], model, settings, tell))
  if (longer(defaults.timeout, defaults.total_timeout)) {
    tell([...at, 'timeout'], 'longer than llm.defaults.total_timeout, expected at most that')
  }
  for (const [name, provider] of Object.entries(providers)) {
    if (provider.base_url !== undefined || WELL_KNOWN.includes(name)) continue
    const message = `no base_url, expected one because ${JSON.stringify(name)} is not among ${WELL_KNOWN.join(', ')}`
    tell(['llm', 'providers', name], message, nearest(name, WELL_KNOWN))
  }
}

function checkModel(at: Keys, model: string, settings: Settings, tell: Tell): void {
  const { providers } = settings.llm
  if (resolveModel(model, providers) !== null) return
  const names = [...new Set([...Object.keys(providers), ...WELL_KNOWN])]
  const slash = model.indexOf('/')
  const listed = Object.values(providers).flatMap((provider) => provider.models)
  const guess = slash > 0 ? nearest(model.slice(0, slash), names) : nearest(model, listed)
  const meant = guess !== null && slash > 0 ? guess + model.slice(slash) : guess
  tell(at, `no provider has the model ${JSON.stringify(model)}, expected provider/model with one of ${names.join(', ')}`, meant)
}

function checkLinks(settings: Settings, tell: Tell): void {
  const owners = new Map<string, string>()
  for (const [person, links] of Object.entries(settings.session.identity_links)) {
    links.forEach((link, i) => {
      const owner = owners.get(link)
      owners.set(link, person)
      if (owner === undefined || owner === person) return
      tell(['session', 'identity_links', person, i], `an account of ${JSON.stringify(owner)} already, expected one person for each account`)
    })
  }
}

const longer = (a: Wait, b: Wait): boolean => (durationMs(a) ?? 0) > (durationMs(b) ?? 0)
