/** Roles: names for sets of permissions. Three there always are; the configuration and the API add others. */

/** The three that there always are. The configuration can add to what they give, nothing takes from it. */
export const BUILTIN_ROLES: { readonly [name: string]: readonly string[] } = {
  admin: ['*'],
  developer: ['agents:read', 'agents:create', 'agents:update', 'logs:read', 'state:read'],
  viewer: ['agents:read', 'logs:read'],
}

/** How a role may be called. */
export const ROLE_NAME: string = '^[a-z0-9][a-z0-9._-]{0,63}$'

/** What an issuer's tokens may add to their roles by their scopes, unless the configuration says otherwise. */
export const GRANTABLE_SCOPES: readonly string[] = ['agent:execute', 'skills:execute', 'messages:write']
