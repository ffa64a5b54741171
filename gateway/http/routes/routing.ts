/** Routes: which agent gets which message, changed while the gateway runs, and tried without a message. */
import { isJsonObject } from '#contract'
import type { HttpRequest, JsonObject, JsonValue, Metadata, Route } from '#contract'
import { operatorOf } from './caller.ts'
import { partRoutes } from './config-part.ts'
import { TEXT, TEXT_OR_NULL, TIME_OR_NULL, objectOf } from './schema.ts'
import type { Hub } from './hub.ts'

const NAME: JsonObject = { type: 'string', minLength: 1, maxLength: 1_000 }
const RULE: JsonObject = {
  type: 'object',
  required: ['match'],
  additionalProperties: false,
  description: 'As below `routes` in openclaw.yaml.',
  properties: {
    match: { type: 'object' },
    agent: NAME,
    route: { type: 'object', additionalProperties: false, properties: { target: NAME, transform: NAME } },
  },
}
const ROUTES: JsonObject = objectOf({
  // `fallback` stands beside it where it is set: else a tenant’s only agent takes what no rule does.
  routes: { type: 'array', items: RULE, maxItems: 10_000 },
  changed_by: TEXT_OR_NULL,
  changed_at: TIME_OR_NULL,
})
const CHANGE: JsonObject = {
  type: 'object',
  required: ['routes'],
  additionalProperties: false,
  properties: {
    routes: { type: 'array', items: RULE, maxItems: 10_000 },
    fallback: { type: ['string', 'null'], minLength: 1, maxLength: 64 },
  },
  examples: [{ routes: [{ match: { channel: 'support' }, agent: 'support-bot' }], fallback: 'assistant' }],
}
const TRY: JsonObject = {
  type: 'object',
  required: ['channel'],
  additionalProperties: false,
  description: 'What a message is routed by.',
  properties: {
    tenant: { ...NAME, description: 'Whose message it is. Default: the channel’s tenant, or, where all share the channel, the caller’s.' },
    channel: NAME,
    account: NAME,
    sender: NAME,
    agent_id: { ...NAME, description: 'An agent asked for by name or id, which no rule is asked about.' },
    topic: NAME,
    headers: { type: 'object', additionalProperties: { type: 'string' }, maxProperties: 100 },
    metadata: { type: 'object' },
  },
  examples: [{ channel: 'support', metadata: { user_id: '123' } }],
}
const VERDICT: JsonObject = objectOf({
  tenant: { ...TEXT, description: 'Whose agents were asked.' },
  agent: { ...TEXT_OR_NULL, description: 'null: it would become a dead letter, or, asked for by name, be refused.' },
  agent_id: { ...TEXT_OR_NULL, description: 'null: declared in the configuration.' },
  rule: { ...TEXT_OR_NULL, description: 'The rule that matched, `fallback`, or `agent_id`.' },
  rules: {
    type: 'array',
    description: 'All rules in the order in which they are tried, the most specific first.',
    items: objectOf({
      rule: TEXT,
      agent: TEXT,
      matches: { type: 'boolean', description: 'Of those that match the first is taken.' },
      failed: { type: 'array', items: objectOf({ condition: TEXT, expected: {} }), description: 'The conditions that did not hold.' },
    }),
  },
})

export function routingRoutes({ services }: Hub): readonly Route[] {
  const { config } = services
  return [
    ...partRoutes({
      path: '/v1/routes',
      part: { is: 'routes' },
      config,
      summaries: {
        show: 'Which agent gets which message',
        put: 'Other rules, all of them, over those of openclaw.yaml, from the next message on; honours If-Match',
        withdraw: 'The rules of openclaw.yaml again; honours If-Match',
      },
      shown: { description: 'The rules in effect.', schema: ROUTES },
      body: CHANGE,
      // As many rules as the schema lets in, each of a few members.
      maxMembers: 100_000,
    }),
    {
      method: 'POST',
      path: '/v1/routes/test',
      permission: 'config:read',
      isForOperator: true,
      summary: 'Where a message would go, and why no other rule took it; nothing is sent',
      tag: 'config',
      body: TRY,
      responses: { 200: { description: 'The verdict.', schema: VERDICT } },
      handle: (request) => ({ status: 200, body: verdict(services, request) }),
    },
  ]
}

function verdict(services: Hub['services'], request: HttpRequest): JsonObject {
  const caller = operatorOf(request)
  const asked = isJsonObject(request.body) ? request.body : {}
  const channel = textIn(asked['channel']) ?? ''
  const owner = services.channels.list().find(({ name }) => name === channel)?.tenant ?? null
  const tenant = textIn(asked['tenant']) ?? owner ?? caller.tenant
  const wanted = textIn(asked['agent_id'])
  const { routed, rules } = services.explain({
    tenant,
    channel,
    account: textIn(asked['account']) ?? '',
    sender: textIn(asked['sender']) ?? '',
    metadata: metadataOf(asked),
  })
  const named = wanted === null ? null : services.agents.find(tenant, wanted)
  const agent = wanted === null ? (routed === null ? null : services.agents.find(tenant, routed.agent)) : named
  return {
    tenant,
    agent: agent?.name ?? null,
    agent_id: agent?.id ?? null,
    rule: wanted === null ? (routed?.rule ?? null) : named === null ? null : 'agent_id',
    rules: rules.map(({ rule, agent: target, failed }) => ({ rule, agent: target, matches: failed.length === 0, failed: [...failed] })),
  }
}

function metadataOf({ metadata, headers, topic }: JsonObject): Metadata {
  const given = isJsonObject(headers) ? headers : {}
  const lower = Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (typeof value === 'string' ? [[name.toLowerCase(), value]] : [])),
  )
  return {
    ...(isJsonObject(metadata) ? metadata : {}),
    ...(headers !== undefined && { headers: lower }),
    ...(typeof topic === 'string' && { topic }),
  }
}

const textIn = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null)
