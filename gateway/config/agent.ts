/**
 * One agent's declaration → the definition that the gateway works with. The same for `openclaw.yaml` and for `POST /v1/agents`. Names of
 * models are resolved by whoever knows the providers.
 */
import { InvalidError } from '#contract'
import type { AgentDefinition, Fault, JsonObject, QueueMode, SessionScope } from '#contract'
import { agentSchema } from './agent-schema.ts'
import { check } from './check.ts'
import { durationMs } from './quantity.ts'
import { fromJson } from './tree.ts'

/** A declaration that passed the check, defaults filled in. */
export interface AgentSettings {
  readonly version: string
  readonly description: string
  readonly capabilities: readonly string[]
  readonly prompt: string
  readonly model: string | null
  readonly fallback: readonly string[]
  readonly skills: readonly string[]
  readonly limits: {
    readonly max_steps: number
    readonly max_context_tokens: number
    readonly max_output_tokens: number
    readonly turn_timeout: string | number
    readonly max_concurrent_turns: number
    readonly events_per_minute: number | null
    readonly llm_tokens_per_hour: number | null
  }
  readonly queue: { readonly mode: QueueMode; readonly cap: number; readonly debounce: string | number }
  readonly session: { readonly scope: SessionScope }
}

const AGENT_NAME: RegExp = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export type AgentResult = { readonly ok: true; readonly agent: AgentDefinition } | { readonly ok: false; readonly faults: readonly Fault[] }

/** For a declaration that came as JSON; faults carry JSON Pointers. A member `name` in it is left to the caller. */
/** @param owner the name, which the caller reads, and the tenant, which no declaration says */
export function agentFromDeclaration({ tenant, name }: Pick<AgentDefinition, 'tenant' | 'name'>, declaration: JsonObject): AgentResult {
  const { name: _, ...members } = declaration
  const checked = check(fromJson(members, { file: '', line: 0, column: 0 }), agentSchema)
  const faults: Fault[] = checked.faults.map((fault) => ({
    pointer: pointer(fault.path),
    detail: fault.nearest === undefined ? fault.message : `${fault.message}; did you mean ${JSON.stringify(fault.nearest)}?`,
  }))
  if (!AGENT_NAME.test(name)) faults.unshift({ pointer: '#/name', detail: `expected a name like ${AGENT_NAME.source}` })
  if (faults.length > 0) return { ok: false, faults }
  const settings = checked.settings as unknown as AgentSettings
  if (settings.model === null && settings.fallback.length > 0) {
    return { ok: false, faults: [{ pointer: '#/fallback', detail: 'models without `model`, expected `model` beside it' }] }
  }
  return { ok: true, agent: agentFromSettings(name, { ...settings, tenant }) }
}

/** For one that names itself. @throws InvalidError with every fault of the declaration */
export function declaredAgent(tenant: string, declaration: JsonObject): AgentDefinition {
  const name = declaration['name']
  const result = agentFromDeclaration({ tenant, name: typeof name === 'string' ? name : '' }, declaration)
  if (result.ok) return result.agent
  throw new InvalidError('The agent cannot be registered as it is declared.', { code: 'AGENT_INVALID', faults: result.faults })
}

/** @param settings checked against the schema, their models resolved */
export function agentFromSettings(name: string, settings: AgentSettings & { readonly tenant: string }): AgentDefinition {
  const { limits, queue } = settings
  return {
    tenant: settings.tenant,
    name,
    id: null,
    version: settings.version,
    description: settings.description,
    capabilities: settings.capabilities,
    prompt: settings.prompt,
    models: settings.model === null ? [] : [settings.model, ...settings.fallback],
    skills: settings.skills,
    limits: {
      maxSteps: limits.max_steps,
      maxContextTokens: limits.max_context_tokens,
      maxOutputTokens: limits.max_output_tokens,
      turnTimeoutMs: durationMs(limits.turn_timeout) ?? 0,
      maxConcurrentTurns: limits.max_concurrent_turns,
      turnsPerMinute: limits.events_per_minute,
      tokensPerHour: limits.llm_tokens_per_hour,
    },
    queue: { mode: queue.mode, cap: queue.cap, debounceMs: durationMs(queue.debounce) ?? 0 },
    sessionScope: settings.session.scope,
  }
}

export const pointer = (path: string): string =>
  path === ''
    ? '#'
    : `#/${path
        .replaceAll('~', '~0')
        .replaceAll('/', '~1')
        .replaceAll(/\[(\d+)\]/g, '.$1')
        .replaceAll('.', '/')}`
