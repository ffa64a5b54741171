/**
 * Agents, changed while the gateway runs. What is declared in openclaw.yaml is changed over the file, and as the file has it again when the
 * change is taken away; what was registered is declared anew, or removed.
 */
import { ConflictError, DEFAULT_TENANT, NotFoundError, isJsonObject } from '#contract'
import type { HttpReply, HttpRequest, JsonObject, JsonValue, Principal, Route } from '#contract'
import { CHANGE_PROBLEMS, checkMatch, tagged, withdrawn } from '../conditional.ts'
import { AGENT, agentDocument, agentOf, settingsOf } from './agents.ts'
import { principalOf } from './caller.ts'
import type { Hub } from './hub.ts'

const PATCH: JsonObject = {
  type: 'object',
  minProperties: 1,
  description: 'Merge patch (RFC 7396) of its declaration: what is not named stays, null is the default again.',
  // What people write to it is no matter of the audit.
  properties: { prompt: { type: ['string', 'null'], writeOnly: true }, description: { type: ['string', 'null'], maxLength: 1_000 } },
}

export function agentChangeRoutes({ services }: Hub): readonly Route[] {
  return [
    {
      method: 'PATCH',
      path: '/v1/agents/{id}',
      permission: 'agents:update',
      summary: 'Changes an agent for the turns that begin from now on; honours If-Match',
      tag: 'agents',
      body: PATCH,
      responses: { ...CHANGE_PROBLEMS, 200: { description: 'The agent as it is now.', schema: AGENT } },
      handle: (request) => patch(services, request),
    },
    {
      method: 'DELETE',
      path: '/v1/agents/{id}',
      permission: 'agents:delete',
      summary: 'Removes an agent that was registered, or what was changed of one that openclaw.yaml declares; honours If-Match',
      tag: 'agents',
      responses: { ...CHANGE_PROBLEMS, 204: { description: 'It is done.' } },
      handle: (request) => remove(services, request),
    },
  ]
}

async function patch(services: Hub['services'], request: HttpRequest): Promise<HttpReply> {
  const principal = owner(request)
  const { definition } = agentOf(services, nameIn(request))
  const given = isJsonObject(request.body) ? request.body : {}
  const part = { is: 'agent', name: definition.name } as const
  if (services.config.read(part) !== null) {
    await services.config.change(part, {
      value: given,
      by: principal.id,
      check: (now) => checkMatch(request, now?.value ?? null),
    })
  } else {
    await services.agents.change(definition.id ?? '', (now) => {
      checkMatch(request, now)
      return mergePatch(now, given)
    })
  }
  const view = agentOf(services, definition.name)
  return tagged((await settingsOf(services, view)) ?? {}, agentDocument(view))
}

async function remove(services: Hub['services'], request: HttpRequest): Promise<HttpReply> {
  const principal = owner(request)
  const { config, agents } = services
  const name = nameIn(request)
  const found = agents.find(name)
  const part = { is: 'agent', name: found?.name ?? name } as const
  if (found !== null && config.read(part) === null) {
    await agents.change(found.id ?? '', (now) => {
      checkMatch(request, now)
      return null
    })
    return { status: 204 }
  }
  try {
    await config.change(part, { value: null, by: principal.id, check: (now) => checkMatch(request, now?.value ?? null) })
  } catch (error) {
    // Of an agent that is there, nothing was changed; of one that is not, nothing is left to be taken away.
    if (!(error instanceof NotFoundError)) throw error
    if (found === null) throw new NotFoundError('There is no agent of this name or id.', { code: 'AGENT_UNKNOWN' })
    const message = `Agent ${found.name} is declared in openclaw.yaml, and nothing of it was changed over the API. Remove it there.`
    throw new ConflictError(message, { code: 'AGENT_IN_CONFIG' })
  }
  return withdrawn(config.read(part)?.value ?? null)
}

const nameIn = ({ params }: HttpRequest): string => params['id'] ?? ''

/** Every agent is the default tenant's; to all others it looks missing. */
function owner(request: HttpRequest): Principal {
  const principal = principalOf(request)
  if (principal.tenant === DEFAULT_TENANT) return principal
  throw new NotFoundError('There is no agent of this name or id.', { code: 'AGENT_UNKNOWN' })
}

/** RFC 7396 §2. */
function mergePatch(target: JsonValue | undefined, patch: JsonObject): JsonObject {
  const merged: { [key: string]: JsonValue } = isJsonObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else merged[key] = isJsonObject(value) ? mergePatch(merged[key], value) : value
  }
  return merged
}
