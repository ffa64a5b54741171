/**
 * What each route takes, said once more and by hand: the table of the gateway is what is tried, so it cannot be what it is held against. A route
 * that is new, or takes another permission, is written here too, by somebody who has thought about it.
 */
import type { Permission } from '#contract'

const BY_PERMISSION: { readonly [Name in Permission | 'public']?: readonly string[] } = {
  public: [
    'DELETE /v1/console/session',
    'GET /api/health',
    'GET /healthz',
    'GET /readyz',
    'GET /startupz',
    'GET /v1/openapi.json',
    'GET /v1/whoami',
    'GET /version',
    'POST /v1/console/session',
  ],
  'messages:read': [
    'GET /v1/deliveries/{id}',
    'GET /v1/messages',
    'GET /v1/messages/{id}',
    'GET /v1/messages/{id}/media/{index}',
    'GET /v1/messages/{id}/stream',
  ],
  'messages:write': ['GET /v1/ws', 'POST /v1/messages'],
  'sessions:read': ['GET /v1/sessions', 'GET /v1/sessions/{id}', 'GET /v1/sessions/{id}/messages'],
  'sessions:write': ['DELETE /v1/sessions/{id}', 'POST /v1/messages/{id}/cancel', 'POST /v1/sessions/{id}/reset'],
  'agents:read': ['GET /v1/agents', 'GET /v1/agents/{id}'],
  'agents:create': ['POST /v1/agents'],
  'agents:update': ['PATCH /v1/agents/{id}'],
  'agents:delete': ['DELETE /v1/agents/{id}'],
  'agent:execute': [
    'GET /v1/models',
    'GET /v1/models/{publisher}/{name}',
    'POST /v1/agents/{id}/invoke',
    'POST /v1/chat/completions',
    'POST /v1/responses',
  ],
  'skills:read': [
    'GET /v1/runs',
    'GET /v1/runs/{id}',
    'GET /v1/runs/{id}/events',
    'GET /v1/runs/{id}/logs',
    'GET /v1/skills',
    'GET /v1/skills/runtime',
    'GET /v1/skills/{id}',
    'GET /v1/skills/{id}/versions',
    'GET /v1/skills/{id}/versions/{version}',
    'GET /v1/skills/{id}/versions/{version}/archive',
  ],
  'skills:write': [
    'DELETE /v1/skills/{id}',
    'DELETE /v1/skills/{id}/versions/{version}',
    'POST /v1/skills',
    'POST /v1/skills/validate',
    'POST /v1/skills/{id}/rollback',
    'POST /v1/skills/{id}/versions/{version}/deprecate',
    'POST /v1/skills/{id}/versions/{version}/disable',
    'POST /v1/skills/{id}/versions/{version}/enable',
    'POST /v1/skills/{id}/versions/{version}/promote',
    'PUT /v1/skills/{id}/canary',
  ],
  'skills:execute': ['POST /v1/runs/{id}/cancel', 'POST /v1/skills/{id}/invoke'],
  'channels:read': ['GET /v1/channels', 'GET /v1/channels/{name}', 'GET /v1/channels/{name}/grants', 'GET /v1/channels/{name}/pairings'],
  'channels:write': [
    'DELETE /v1/channels/{name}',
    'DELETE /v1/channels/{name}/grants/{sender}',
    'DELETE /v1/channels/{name}/pairings/{code}',
    'PATCH /v1/channels/{name}',
    'POST /v1/channels/{name}/link',
    'POST /v1/channels/{name}/pairings/{code}/approve',
    'POST /v1/channels/{name}/pause',
    'POST /v1/channels/{name}/resume',
    'POST /v1/channels/{name}/send',
  ],
  'webhooks:read': ['GET /v1/webhook-deliveries/{id}', 'GET /v1/webhooks', 'GET /v1/webhooks/{id}', 'GET /v1/webhooks/{id}/deliveries'],
  'webhooks:write': [
    'DELETE /v1/webhooks/{id}',
    'PATCH /v1/webhooks/{id}',
    'POST /v1/webhook-deliveries/{id}/redeliver',
    'POST /v1/webhooks',
    'POST /v1/webhooks/{id}/recover',
    'POST /v1/webhooks/{id}/rotate-secret',
    'POST /v1/webhooks/{id}/test',
  ],
  'deadletters:read': ['GET /v1/dead-letters', 'GET /v1/dead-letters/{id}'],
  'deadletters:replay': ['DELETE /v1/dead-letters/{id}', 'POST /v1/dead-letters/replay', 'POST /v1/dead-letters/{id}/replay'],
  'events:read': ['GET /v1/events/stream'],
  'keys:read': ['GET /v1/keys', 'GET /v1/keys/{id}', 'GET /v1/revocations', 'GET /v1/roles', 'GET /v1/roles/{name}'],
  'keys:write': [
    'DELETE /v1/keys/{id}',
    'DELETE /v1/roles/{name}',
    'POST /v1/keys',
    'POST /v1/keys/{id}/rotate',
    'POST /v1/revocations',
    'POST /v1/roles',
    'PUT /v1/roles/{name}',
  ],
  'config:read': ['GET /v1/config', 'GET /v1/limits', 'GET /v1/routes', 'POST /v1/routes/test'],
  'config:write': ['DELETE /v1/limits', 'DELETE /v1/routes', 'PUT /v1/limits', 'PUT /v1/routes'],
  'audit:read': ['GET /v1/audit', 'GET /v1/audit/export', 'GET /v1/audit/stream', 'GET /v1/audit/verify'],
  'metrics:read': ['GET /api/metrics'],
}

/** `GET /v1/keys` → the one permission that opens it, or public. */
export const PERMISSION_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(BY_PERMISSION).flatMap(([permission, routes]) => routes.map((route) => [route, permission] as const)),
)

/** Whatever else they may, principals of another tenant than the operator's may not. */
export const OPERATOR_ONLY: readonly string[] = [
  'DELETE /v1/limits',
  'DELETE /v1/routes',
  'GET /api/metrics',
  'GET /v1/config',
  'GET /v1/limits',
  'GET /v1/routes',
  'POST /v1/routes/test',
  'PUT /v1/limits',
  'PUT /v1/routes',
]

/** They change nothing for others, or are what senders do all day: without an entry of the audit. */
export const UNAUDITED_CHANGES: readonly string[] = [
  'DELETE /v1/console/session',
  'POST /v1/agents/{id}/invoke',
  'POST /v1/chat/completions',
  'POST /v1/console/session',
  'POST /v1/messages',
  'POST /v1/responses',
  'POST /v1/routes/test',
  'POST /v1/runs/{id}/cancel',
  'POST /v1/skills/{id}/invoke',
]
