/** Who may write to a channel, changed while the gateway runs. Everything else of a channel stands in openclaw.yaml alone. */
import { InvalidError, NotFoundError, isJsonObject, isOperator } from '#contract'
import type { ConfigPart, HttpReply, HttpRequest, JsonObject, Route } from '#contract'
import { CHANGE_PROBLEMS, checkMatch, tagged, withdrawn } from '../conditional.ts'
import { principalOf } from './caller.ts'
import { CHANNEL, channelDocument, ownOf, rulesOf, viewOf } from './channels.ts'
import type { Hub } from './hub.ts'

const PATCH: JsonObject = {
  type: 'object',
  minProperties: 1,
  description: 'Merge patch (RFC 7396) of its access rules: what is not named stays, null is the default again.',
  examples: [{ access: 'allowlist', allow: ['+491511234567'] }],
}

export function channelChangeRoutes({ services }: Hub): readonly Route[] {
  return [
    {
      method: 'PATCH',
      path: '/v1/channels/{name}',
      permission: 'channels:write',
      summary: 'Changes who may write to a channel, from the next message on; honours If-Match',
      tag: 'channels',
      body: PATCH,
      responses: { ...CHANGE_PROBLEMS, 200: { description: 'The channel as it is now.', schema: CHANNEL } },
      handle: (request) => patch(services, request),
    },
    {
      method: 'DELETE',
      path: '/v1/channels/{name}',
      permission: 'channels:write',
      summary: 'The access rules of openclaw.yaml again; the channel stays. Honours If-Match',
      tag: 'channels',
      responses: { ...CHANGE_PROBLEMS, 204: { description: 'They are.' } },
      handle: (request) => remove(services, request),
    },
  ]
}

async function remove(services: Hub['services'], request: HttpRequest): Promise<HttpReply> {
  const caller = principalOf(request)
  const part = { is: 'channel', name: request.params['name'] ?? '' } as const
  if (isOperator(caller) && services.config.read(part) === null) return removeLeftOver(services, request, part)
  ownOf(services, request)
  await services.config.change(part, { value: null, by: caller.id, check: (now) => checkMatch(request, now?.value ?? null) })
  return withdrawn(services.config.read(part)?.value ?? null)
}

/** What was changed of a channel that is gone from the file is the operator's to take away. It had no tag that could be matched. */
async function removeLeftOver(services: Hub['services'], request: HttpRequest, part: ConfigPart): Promise<HttpReply> {
  try {
    await services.config.change(part, { value: null, by: principalOf(request).id, check: () => undefined })
  } catch (error) {
    // One that never was is answered as another tenant's is.
    if (error instanceof NotFoundError) viewOf(services, request)
    throw error
  }
  return withdrawn(null)
}

async function patch(services: Hub['services'], request: HttpRequest): Promise<HttpReply> {
  const { id } = principalOf(request)
  const { name, access } = ownOf(services, request)
  if (access === null) {
    const message = `No stranger reaches channel ${name}: who may write to it is told by keys and brokers, so it has no access rules.`
    throw new InvalidError(message, { code: 'CONFIG_CHANGE_INVALID' })
  }
  const value = isJsonObject(request.body) ? request.body : {}
  await services.config.change({ is: 'channel', name }, { value, by: id, check: (now) => checkMatch(request, now?.value ?? null) })
  return tagged(rulesOf(services, name), channelDocument(viewOf(services, request)))
}
