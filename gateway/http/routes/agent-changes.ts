/**
 * Agents, changed while the gateway runs. What is declared in openclaw.yaml is changed over the file, and as the file has it again when the
 * change is taken away; what was registered is declared anew, or removed.
 */
import { ConflictError, NotFoundError, isJsonObject, isOperator } from '#contract'
import type { ConfigDocument, HttpReply, HttpRequest, JsonObject, JsonValue, Route } from '#contract'
import { CHANGE_PROBLEMS, checkMatch, tagged, withdrawn } from '../conditional.ts'
import { AGENT, agentDocument, agentOf, declaredOf, settingsOf } from './agents.ts'
import { principalOf } from './caller.ts'
import type { Hub } from './hub.ts'

const PATCH: JsonObject = {
  type: 'object',
  minProperties: 1,
  description: 'Merge patch (RFC 7396) of its declaration: what is not named stays, null is the default again.',
  // What people write to it is no matter of the audit.
  properties: { prompt: { type: ['string', 'null'], writeOnly: true }, description: { type: ['string', 'null'], maxLength: 1_000 } },
  examples: [{ prompt: 'You answer in one sentence.' }],
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
  const { id, tenant } = principalOf(request)
  const { definition } = agentOf(services, tenant, nameIn(request))
  const given = isJsonObject(request.body) ? request.body : {}
  if (declaredOf(services, tenant, definition.name) === null) {
    await services.agents.change(tenant, definition.id ?? '', (now) => {
      checkMatch(request, now)
      return mergePatch(now, given)
    })
  } else {
    const check = (now: ConfigDocument | null): void => checkMatch(request, now?.value ?? null)
    await services.config.change({ is: 'agent', name: definition.name }, { value: given, by: id, check })
  }
  const view = agentOf(services, tenant, definition.name)
  return tagged((await settingsOf(services, tenant, view)) ?? {}, agentDocument(view))
}

async function remove(services: Hub['services'], request: HttpRequest): Promise<HttpReply> {
  const caller = principalOf(request)
  const { tenant } = caller
  const found = services.agents.find(tenant, nameIn(request))
  if (found !== null && declaredOf(services, tenant, found.name) === null) {
    await services.agents.change(tenant, found.id ?? '', (now) => {
      checkMatch(request, now)
      return null
    })
    return { status: 204 }
  }
  // What was changed of an agent that is gone from the file belongs to nobody any more.
  const isLeftOver = services.config.read({ is: 'agent', name: nameIn(request) }) === null && isOperator(caller)
  if (found === null && !isLeftOver) throw missing()
  return withdraw(services, request, { name: found?.name ?? nameIn(request), by: caller.id })
}

async function withdraw(
  services: Hub['services'],
  request: HttpRequest,
  { name, by }: { readonly name: string; readonly by: string },
): Promise<HttpReply> {
  const { config } = services
  const part = { is: 'agent', name } as const
  const isDeclared = config.read(part) !== null
  try {
    // What is left over of one that is gone had no tag that could be matched.
    await config.change(part, { value: null, by, check: (now) => now !== null && checkMatch(request, now.value) })
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error
    if (!isDeclared) throw missing()
    const message = `Agent ${name} is declared in openclaw.yaml, and nothing of it was changed over the API. Remove it there.`
    throw new ConflictError(message, { code: 'AGENT_IN_CONFIG' })
  }
  return withdrawn(config.read(part)?.value ?? null)
}

const nameIn = ({ params }: HttpRequest): string => params['id'] ?? ''

const missing = (): NotFoundError => new NotFoundError('There is no agent of this name or id.', { code: 'AGENT_UNKNOWN' })

/** RFC 7396 §2. */
function mergePatch(target: JsonValue | undefined, patch: JsonObject): JsonObject {
  const merged: { [key: string]: JsonValue } = isJsonObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else merged[key] = isJsonObject(value) ? mergePatch(merged[key], value) : value
  }
  return merged
}
