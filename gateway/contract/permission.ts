/**
 * What somebody may be allowed to do, one catalogue for keys, tokens, certificates and roles. Both spellings of the field stand in it:
 * what is managed is plural (`agents:read`), an agent that is made to work is `agent:execute`.
 */
export const PERMISSIONS = [
  'messages:read',
  'messages:write',
  'sessions:read',
  'sessions:write',
  'agents:read',
  'agents:create',
  'agents:update',
  'agents:delete',
  'agent:execute',
  'channels:read',
  'channels:write',
  'deadletters:read',
  'deadletters:replay',
  'skills:read',
  'skills:write',
  'skills:execute',
  'webhooks:read',
  'webhooks:write',
  'keys:read',
  'keys:write',
  'state:read',
  'state:write',
  'events:read',
  'metrics:read',
  'logs:read',
  'audit:read',
  'config:read',
  'config:write',
] as const

export type Permission = (typeof PERMISSIONS)[number]

/** What a key can be given; `*` allows all. */
export const SCOPES: readonly string[] = ['*', ...PERMISSIONS]
