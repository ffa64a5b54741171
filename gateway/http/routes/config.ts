/** The configuration in effect, where each value comes from, and the rate limits, which can be changed while the gateway runs. */
import { isoTime } from '#contract'
import type { JsonObject, Route } from '#contract'
import { tagged } from '../conditional.ts'
import { operatorOf } from './caller.ts'
import { partRoutes } from './config-part.ts'
import { COUNT, TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, objectOf } from './schema.ts'
import type { Hub } from './hub.ts'

const CONFIG = objectOf({
  values: {
    type: 'array',
    items: objectOf({
      path: TEXT,
      value: { description: 'Secrets are masked.' },
      origin: { ...TEXT, description: '`default`, `openclaw.yaml:12`, `overlay by ops at …`, `env OPENCLAW_PORT`.' },
    }),
  },
  vain: {
    type: 'array',
    description: 'What was changed over the API and has no effect any more, because openclaw.yaml has become another.',
    items: objectOf({ path: TEXT, by: TEXT, at: TIME, reason: TEXT }),
  },
})
const PER_MINUTE: JsonObject = { ...COUNT, maximum: 1_000_000_000, description: 'Requests a minute; 0: no limit.' }
const LIMITS = objectOf({ per_ip: PER_MINUTE, per_key: PER_MINUTE, changed_by: TEXT_OR_NULL, changed_at: TIME_OR_NULL })

export function configRoutes({ services }: Hub): readonly Route[] {
  const { config } = services
  return [
    {
      method: 'GET',
      path: '/v1/config',
      permission: 'config:read',
      isForOperator: true,
      summary: 'The configuration in effect, each value with where it comes from',
      tag: 'config',
      responses: { 200: { description: 'All values.', schema: CONFIG } },
      handle: (request) => {
        operatorOf(request)
        const { values, vain } = config.effective()
        const body: JsonObject = {
          values: values.map((value) => ({ ...value })),
          vain: vain.map((row) => ({ ...row, at: isoTime(row.at) })),
        }
        return tagged(body, body)
      },
    },
    ...partRoutes({
      path: '/v1/limits',
      part: { is: 'limits' },
      config,
      summaries: {
        show: 'How many requests are taken',
        put: 'Other limits, over those of openclaw.yaml, from the next request on; honours If-Match',
        withdraw: 'The limits of openclaw.yaml again; honours If-Match',
      },
      shown: { description: 'The limits in effect; a variable of the environment comes before them.', schema: LIMITS },
      body: {
        type: 'object',
        required: ['per_ip', 'per_key'],
        additionalProperties: false,
        properties: { per_ip: PER_MINUTE, per_key: PER_MINUTE },
        examples: [{ per_ip: 100, per_key: 1_000 }],
      },
    }),
  ]
}
