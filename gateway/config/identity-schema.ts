/** The shape of what `openclaw.yaml` says about who may what: token issuers, roles, keys. */
import { DEFAULT_TENANT, GRANTABLE_SCOPES, PERMISSIONS, ROLE_NAME, SCOPES, TENANT_PATTERN } from '#contract'
import type { JsonObject } from '#contract'
import { choice, duration, list, map, object, text } from './schema-parts.ts'

/** Asymmetric ones alone: with a shared secret whoever can check a token can make one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

const uri = (description: string): JsonObject => ({ type: 'string', format: 'uri', description })

const issuer: JsonObject = {
  ...object('One issuer of tokens (JWT), by OpenID Connect', {
    issuer: { ...uri('Its name, exactly as its tokens have it in `iss`'), maxLength: 2_048 },
    audience: {
      type: ['string', 'array'],
      minLength: 1,
      items: { type: 'string', minLength: 1 },
      minItems: 1,
      description: 'What tokens for this gateway have in `aud`: one, or a list of which one has to be there',
    },
    jwks_uri: uri('Where its keys are; none: discovery tells'),
    discovery: uri('Its discovery document; none: `<issuer>/.well-known/openid-configuration`'),
    algorithms: {
      ...list('Signatures that are taken', choice('One of them', ALGORITHMS), ['RS256', 'ES256', 'EdDSA', 'PS256']),
      minItems: 1,
    },
    clock_tolerance: duration('How far its clock may be from ours', '30s', 0, 300),
    max_token_age: duration('Older tokens are refused, whatever they say of their end', '24h', 60, 604_800),
    typ: text('What the header of its tokens has to have in `typ`. Default: `at+jwt`, `JWT` or nothing'),
    claims: object('Where things stand in a token: a claim, or a dotted path into one', {
      subject: text('Who it is', 'sub'),
      scopes: text('Scopes', 'scope'),
      roles: text('Names of roles; none: its tokens have none'),
      tenant: text('Tenant; none: all are of `tenant`'),
    }),
    grantable_scopes: list('Scopes of a token that count beside what its roles give', choice('One of them', PERMISSIONS), GRANTABLE_SCOPES),
    tenant: {
      type: 'string',
      pattern: TENANT_PATTERN,
      description: `Tenant of tokens that claim none. Default: \`${DEFAULT_TENANT}\` without \`claims.tenant\`; with it such tokens are refused`,
    },
  }),
  required: ['issuer', 'audience'],
}

const key: JsonObject = {
  ...object('One API key, by its digest', {
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$',
      description: 'The owner: keys of one name share what the name owns',
    },
    sha256: { type: 'string', description: 'SHA-256 of the whole key in hex, never the key; `openclaw keys generate` makes both' },
    scopes: list('What it may do', choice('One of them', SCOPES)),
    roles: list('Roles whose permissions it has too', text('One of them')),
    tenant: { type: 'string', pattern: TENANT_PATTERN, default: DEFAULT_TENANT, description: 'Whose it is' },
  }),
  required: ['name', 'sha256'],
}

export const identitySchema: { readonly [key: string]: JsonObject } = {
  auth: object('Tokens of identity providers', {
    issuers: { ...list('Issuers whose tokens are taken', issuer), maxItems: 32 },
    allow_networks: list(
      'Networks beside the public ones in which issuers may be, `10.0.0.0/8`; http is spoken to loopback only',
      text('One of them'),
    ),
  }),
  roles: map(
    'Role → permissions, for all tenants; to `admin`, `developer` and `viewer` it adds',
    list('What it gives', choice('One of them', SCOPES)),
    ROLE_NAME,
  ),
  keys: { ...list('API keys beside those made over the API', key), maxItems: 1_000 },
}
