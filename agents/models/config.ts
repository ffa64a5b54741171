/**
 * What a person may say about models, and what is meant when they say nothing. Parsing belongs to the configuration;
 * here is the typed form it has to arrive in, and the meaning of the names that are known.
 */
import { anthropic } from './anthropic.ts'
import type { Endpoint } from './http.ts'
import { openaiChat } from './openai-chat.ts'
import { openaiResponses } from './openai-responses.ts'
import type { Price } from './prices.ts'
import type { Wire } from './wire.ts'

export type WireName = 'openai-chat' | 'openai-responses' | 'anthropic' | 'builtin'

export interface ModelsConfig {
  readonly providers: { readonly [name: string]: ProviderConfig }
  /** `provider/model` for agents that name none; null: chosen by what is there, see choice.ts. */
  readonly primary: string | null
  readonly fallback: readonly string[]
  /** One attempt. */
  readonly timeoutMs: number
  /** All attempts at all models for one step. */
  readonly totalTimeoutMs: number
  /** Beyond the first attempt, for each model. */
  readonly maxRetries: number
  /** `provider/model` → price; before the table. */
  readonly prices: { readonly [model: string]: Price }
}

/** What is left out is taken from the name, if it is a known one. */
export interface ProviderConfig {
  readonly wire?: WireName | undefined
  /** With its version: `https://api.openai.com/v1`. */
  readonly baseUrl?: string | null | undefined
  readonly apiKey?: string | null | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
}

export interface Env {
  readonly [name: string]: string | undefined
}

export const DEFAULT_MODELS: ModelsConfig = {
  providers: {},
  primary: null,
  fallback: [],
  timeoutMs: 120_000,
  totalTimeoutMs: 300_000,
  maxRetries: 3,
  prices: {},
}

const WIRES: { readonly [name in Exclude<WireName, 'builtin'>]: Wire } = {
  'openai-chat': openaiChat,
  'openai-responses': openaiResponses,
  anthropic,
}

/** Where a provider's models are. builtin: in this process. null: nobody said. */
export function endpointOf(config: ModelsConfig, env: Env, provider: string): Endpoint | 'builtin' | null {
  const given = config.providers[provider]
  const known = knownProvider(provider, env)
  const wire = given?.wire ?? known?.wire
  if (wire === 'builtin') return 'builtin'
  const baseUrl = given?.baseUrl ?? known?.baseUrl
  if (baseUrl === undefined || baseUrl === null || !URL.canParse(baseUrl)) return null
  const url = new URL(baseUrl)
  return {
    wire: WIRES[wire ?? usualWire(url)],
    baseUrl: url,
    apiKey: given?.apiKey ?? known?.apiKey ?? null,
    headers: given?.headers ?? {},
  }
}

/** OpenAI's newer models take tools by the responses API only; everybody else speaks chat completions. */
const usualWire = (url: URL): 'openai-responses' | 'openai-chat' => (url.hostname === 'api.openai.com' ? 'openai-responses' : 'openai-chat')

function knownProvider(name: string, env: Env): ProviderConfig | null {
  switch (name) {
    case 'builtin':
      return { wire: 'builtin' }
    case 'openai':
      return { baseUrl: env['OPENAI_BASE_URL'] ?? 'https://api.openai.com/v1', apiKey: env['OPENAI_API_KEY'] ?? null }
    case 'anthropic':
      return { wire: 'anthropic', baseUrl: 'https://api.anthropic.com/v1', apiKey: env['ANTHROPIC_API_KEY'] ?? null }
    case 'ollama':
      return { wire: 'openai-chat', baseUrl: `${ollamaOrigin(env)}/v1` }
    default:
      return null
  }
}

/** `OLLAMA_HOST` as Ollama reads it: a host, with or without scheme and port; 0.0.0.0 is where it listens, not where it is. */
export function ollamaOrigin(env: Env): string {
  const host = env['OLLAMA_HOST'] ?? ''
  const text = host === '' ? '127.0.0.1' : host
  const withScheme = text.includes('://') ? text : `http://${text}`
  if (!URL.canParse(withScheme)) return 'http://127.0.0.1:11434'
  const url = new URL(withScheme)
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1'
  if (url.port === '' && url.protocol === 'http:' && !/:80\/?$/.test(text)) url.port = '11434'
  return url.origin
}

export const isLocal = (endpoint: Endpoint | 'builtin'): boolean =>
  endpoint === 'builtin' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(endpoint.baseUrl.hostname)

/** `provider/model`; models may have slashes of their own. */
export function splitName(name: string): { readonly provider: string; readonly model: string } {
  const at = name.indexOf('/')
  return at === -1 ? { provider: name, model: '' } : { provider: name.slice(0, at), model: name.slice(at + 1) }
}
