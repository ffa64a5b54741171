/** Which model answers when nobody said: a key in the environment, a local Ollama, or the one that is always there. */
import { get } from 'node:http'
import { isJsonObject } from '#contract'
import { ollamaOrigin } from './config.ts'
import type { Env, ModelsConfig } from './config.ts'

const OPENAI = 'openai/gpt-6-sol'
const ANTHROPIC = 'anthropic/claude-sonnet-5-5'
export const BUILTIN: string = 'builtin/echo'
const PROBE_MS = 150

/** @param ollama a model that a local Ollama has; null: there is none, or nobody looked yet */
export function chooseDefault(config: ModelsConfig, env: Env, ollama: string | null): readonly string[] {
  return [config.primary ?? bestOf(config, env, ollama), ...config.fallback]
}

/** Only where nothing else decides is it worth looking for an Ollama. */
export const wantsProbe = (config: ModelsConfig, env: Env): boolean =>
  config.primary === null && !hasKey(config, env, 'openai') && !hasKey(config, env, 'anthropic')

function bestOf(config: ModelsConfig, env: Env, ollama: string | null): string {
  if (hasKey(config, env, 'openai')) return OPENAI
  if (hasKey(config, env, 'anthropic')) return ANTHROPIC
  if (ollama !== null || given(env['OLLAMA_HOST'])) return `ollama/${ollama ?? 'llama3.2'}`
  return BUILTIN
}

const given = (value: string | null | undefined): boolean => value !== undefined && value !== null && value !== ''
const hasKey = (config: ModelsConfig, env: Env, provider: 'openai' | 'anthropic'): boolean =>
  given(config.providers[provider]?.apiKey) || given(env[`${provider.toUpperCase()}_API_KEY`])

/** The first model of an Ollama that answers soon; never rejects. */
export function probeOllama(env: Env): Promise<string | null> {
  return new Promise((resolve) => {
    const request = get(`${ollamaOrigin(env)}/api/tags`, { agent: false, signal: AbortSignal.timeout(PROBE_MS) }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
        if (body.length > 1_000_000) response.destroy()
      })
      response.on('error', () => resolve(null))
      response.on('close', () => resolve(firstModel(body)))
    })
    request.on('error', () => resolve(null))
  })
}

function firstModel(body: string): string | null {
  try {
    const parsed: unknown = JSON.parse(body)
    const models = isJsonObject(parsed) ? parsed['models'] : undefined
    const first: unknown = Array.isArray(models) ? models[0] : undefined
    const name = isJsonObject(first) ? first['name'] : undefined
    return typeof name === 'string' && name !== '' ? name : null
  } catch {
    return null
  }
}
