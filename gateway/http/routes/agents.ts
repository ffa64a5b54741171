/** Agents: who answers, and the registering of more. Invoking one is the matter of the channel that lends that route. */
import { DeniedError, InvalidError, NotFoundError, isJsonObject, may, textOf } from '#contract'
import type { AgentDefinition, JsonObject, Principal, Route } from '#contract'
import { tagged } from '../conditional.ts'
import { PAGING } from '../cursor.ts'
import type { AgentView, Services } from '../services.ts'
import { principalOf, tenantOf } from './caller.ts'
import { COUNT, TEXT, TEXT_OR_NULL, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

export const AGENT: JsonObject = objectOf({
  id: { ...TEXT_OR_NULL, description: 'null: declared in the configuration.' },
  name: TEXT,
  version: TEXT,
  description: TEXT,
  capabilities: { type: 'array', items: TEXT },
  models: { type: 'array', items: TEXT, description: 'What answers, in the order in which it is tried.' },
  skills: { type: 'array', items: TEXT },
  session_scope: TEXT,
  queue: objectOf({ mode: TEXT, cap: COUNT, debounce_ms: COUNT }),
  limits: objectOf({
    max_steps: COUNT,
    max_context_tokens: COUNT,
    max_output_tokens: COUNT,
    turn_timeout_ms: COUNT,
    max_concurrent_turns: COUNT,
  }),
  status: { enum: ['idle', 'running', 'down'], description: 'down: its gateway cannot begin turns, because it stops or cannot write.' },
  running_turns: COUNT,
})

/** What every declaration has; the rest is checked where agents are made. */
const DECLARATION: JsonObject = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' },
    version: { type: 'string', minLength: 1, maxLength: 64 },
    description: { type: 'string', maxLength: 1_000 },
    capabilities: { type: 'array', items: { type: 'string', minLength: 1, maxLength: 64 }, maxItems: 64 },
    prompt: { type: 'string', writeOnly: true },
  },
  examples: [{ name: 'my-agent', version: '1.0', capabilities: ['process', 'scale'] }],
}

export function agentRoutes({ services, cursors }: Hub): readonly Route[] {
  const { agents } = services
  return [
    {
      method: 'GET',
      path: '/v1/agents',
      aliases: ['/api/agents'],
      permission: 'agents:read',
      summary: 'All agents, configured and registered',
      tag: 'agents',
      query: PAGING,
      responses: { 200: { description: 'A page of them.', schema: pageOf(AGENT) } },
      handle: async (request) => ({
        status: 200,
        body: await cursors.whole({ request, list: 'agents', rows: agents.list(tenantOf(request)), show: agentDocument }),
      }),
    },
    {
      method: 'GET',
      path: '/v1/agents/{id}',
      permission: 'agents:read',
      summary: 'One agent, by name or id',
      tag: 'agents',
      responses: { 200: { description: 'The agent.', schema: AGENT } },
      handle: async (request) => {
        const tenant = tenantOf(request)
        const view = agentOf(services, tenant, request.params['id'] ?? '')
        return tagged((await settingsOf(services, tenant, view)) ?? {}, agentDocument(view))
      },
    },
    {
      method: 'POST',
      path: '/v1/agents',
      permission: 'agents:create',
      summary: 'Registers an agent, or, with `agents:update`, replaces the declaration of one that was registered',
      tag: 'agents',
      body: DECLARATION,
      idempotency: 'kept',
      responses: {
        201: { description: 'It is registered.', schema: objectOf({ id: TEXT, name: TEXT, status: { const: 'registered' } }) },
      },
      handle: async (request) => {
        const { body } = request
        if (!isJsonObject(body)) throw new InvalidError('A declaration is an object.', { code: 'SCHEMA_VIOLATION' })
        const principal = principalOf(request)
        checkMayReplace(principal, agents.find(principal.tenant, textOf(body['name'])))
        const { id, name } = await agents.register(principal.tenant, body)
        return { status: 201, headers: { location: `/v1/agents/${id}` }, body: { id, name, status: 'registered' } }
      },
    },
  ]
}

/** What is somebody's already, by its name or its id, is changed and not made. */
function checkMayReplace(principal: Principal, there: AgentDefinition | null): void {
  if (there === null || may(principal, 'agents:update')) return
  throw new DeniedError(
    'There is an agent of this name or id already. To replace it needs the scope agents:update, which the credential does not have.',
    {
      code: 'INSUFFICIENT_SCOPE',
      reason: 'forbidden',
    },
  )
}

/** @throws NotFoundError when the tenant has no such agent */
export function agentOf({ agents }: Services, tenant: string, nameOrId: string): AgentView {
  const found = agents.find(tenant, nameOrId)
  const view = found === null ? undefined : agents.list(tenant).find(({ definition }) => definition.name === found.name)
  if (view !== undefined) return view
  throw new NotFoundError('There is no agent of this name or id.', { code: 'AGENT_UNKNOWN' })
}

/** What openclaw.yaml, with what was changed over it, says of an agent of the tenant; null: it is not from there. */
export function declaredOf({ config }: Services, tenant: string, name: string): JsonObject | null {
  const value = config.read({ is: 'agent', name })?.value ?? null
  return value?.['tenant'] === tenant ? value : null
}

/** As it is declared, in the configuration or over the API; null: gone meanwhile. The file wins a name. */
export async function settingsOf(services: Services, tenant: string, { definition }: AgentView): Promise<JsonObject | null> {
  const declared = declaredOf(services, tenant, definition.name)
  if (declared !== null) return declared
  return definition.id === null ? null : services.agents.registration(tenant, definition.id)
}

/** The prompt is left out: it may hold what only its author should read. */
export function agentDocument({ definition, models, runningTurns, status }: AgentView): JsonObject {
  const { queue, limits } = definition
  return {
    id: definition.id,
    name: definition.name,
    version: definition.version,
    description: definition.description,
    capabilities: definition.capabilities,
    models,
    skills: definition.skills,
    session_scope: definition.sessionScope,
    queue: { mode: queue.mode, cap: queue.cap, debounce_ms: queue.debounceMs },
    limits: {
      max_steps: limits.maxSteps,
      max_context_tokens: limits.maxContextTokens,
      max_output_tokens: limits.maxOutputTokens,
      turn_timeout_ms: limits.turnTimeoutMs,
      max_concurrent_turns: limits.maxConcurrentTurns,
    },
    status,
    running_turns: runningTurns,
  }
}
