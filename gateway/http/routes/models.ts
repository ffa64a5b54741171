/** Agents as models, for clients of OpenAI's API. Talking to one is the matter of the channel that lends those routes. */
import { NotFoundError } from '#contract'
import type { JsonObject, Route } from '#contract'
import type { AgentView } from '../services.ts'
import { TEXT, objectOf } from './schema.ts'
import { tenantOf } from './caller.ts'
import type { Hub } from './hub.ts'

const PREFIX = 'openclaw/'
const MODEL = objectOf({ id: TEXT, object: { const: 'model' }, created: { type: 'integer' }, owned_by: TEXT })

export function modelRoutes({ services }: Hub): readonly Route[] {
  const { agents } = services
  return [
    {
      method: 'GET',
      path: '/v1/models',
      permission: 'agent:execute',
      summary: 'The agents as models of the OpenAI API: `openclaw/<agent>`',
      tag: 'openai',
      errors: 'plain',
      responses: {
        200: { description: 'All of them.', schema: objectOf({ object: { const: 'list' }, data: { type: 'array', items: MODEL } }) },
      },
      handle: (request) => ({ status: 200, body: { object: 'list', data: agents.list(tenantOf(request)).map(modelOf) } }),
    },
    {
      method: 'GET',
      path: '/v1/models/{publisher}/{name}',
      // Clients escape the slash in a model's name.
      aliases: ['/v1/models/{id}'],
      permission: 'agent:execute',
      summary: 'One agent as a model',
      tag: 'openai',
      errors: 'plain',
      responses: { 200: { description: 'The model.', schema: MODEL } },
      handle: (request) => {
        const { params } = request
        const { id, publisher, name } = params
        const asked = id ?? `${publisher ?? ''}/${name ?? ''}`
        const found = agents.list(tenantOf(request)).find(({ definition }) => `${PREFIX}${definition.name}` === asked)
        if (found === undefined) {
          throw new NotFoundError('There is no model of this name. GET /v1/models lists those there are.', { code: 'MODEL_NOT_FOUND' })
        }
        return { status: 200, body: modelOf(found) }
      },
    },
  ]
}

/** No time is kept of when an agent came to be, and clients want a number. */
const modelOf = ({ definition }: AgentView): JsonObject => ({
  id: PREFIX + definition.name,
  object: 'model',
  created: 0,
  owned_by: 'openclaw',
})
