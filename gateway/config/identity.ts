/** Who may what, as `openclaw.yaml` says it: what its parts say about each other, and the values that the gateway is given. */
import { isIP } from 'node:net'
import { BUILTIN_ROLES, DEFAULT_TENANT, nearest } from '#contract'
import type { IssuerConfig } from '#contract'
import { durationMs } from './quantity.ts'
import type { Keys, Tell } from './tree.ts'

/** After the check. */
export interface IdentitySettings {
  readonly auth: {
    readonly issuers: readonly IssuerSettings[]
    readonly allow_networks: readonly string[]
  }
  readonly roles: RolesConfig
  readonly keys: readonly KeyConfig[]
}
interface IssuerSettings {
  readonly issuer: string
  readonly audience: string | readonly string[]
  readonly jwks_uri?: string
  readonly discovery?: string
  readonly algorithms: readonly string[]
  readonly clock_tolerance: string | number
  readonly max_token_age: string | number
  readonly typ?: string
  readonly claims: { readonly subject: string; readonly scopes: string; readonly roles?: string; readonly tenant?: string }
  readonly grantable_scopes: readonly string[]
  readonly tenant?: string
}

/** What each means stands with those who use it, in `gateway/http/`. */
export interface IdentityConfig {
  readonly auth: AuthConfig
  readonly roles: RolesConfig
  readonly keys: readonly KeyConfig[]
}
export interface AuthConfig {
  readonly issuers: readonly IssuerConfig[]
  readonly allowNetworks: readonly string[]
}
interface RolesConfig {
  readonly [name: string]: readonly string[]
}
interface KeyConfig {
  readonly name: string
  readonly sha256: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  readonly tenant: string
}

export function checkIdentity({ auth, roles, keys }: IdentitySettings, tell: Tell): void {
  const issuers = auth.issuers.map(({ issuer }) => issuer)
  auth.issuers.forEach((issuer, i) => {
    const at = ['auth', 'issuers', i]
    if (issuers.indexOf(issuer.issuer) !== i) tell([...at, 'issuer'], 'an issuer that is there already, expected each once')
    for (const key of ['issuer', 'jwks_uri', 'discovery'] as const) checkAddress([...at, key], issuer[key], tell)
    if (issuer.jwks_uri !== undefined && issuer.discovery !== undefined)
      tell([...at, 'discovery'], '`discovery` beside `jwks_uri`, expected one of them')
  })
  auth.allow_networks.forEach((network, i) => {
    if (!isNetwork(network)) tell(['auth', 'allow_networks', i], 'no network, expected one like 10.0.0.0/8 or fd00::/8')
  })
  const known = [...Object.keys(BUILTIN_ROLES), ...Object.keys(roles)]
  const names = keys.map(({ name }) => name)
  keys.forEach((key, i) => {
    const at = ['keys', i]
    if (names.indexOf(key.name) !== i) tell([...at, 'name'], 'a name that another key here has, expected each once')
    if (!/^[0-9a-f]{64}$/.test(key.sha256)) tell([...at, 'sha256'], digestAdvice(key.sha256))
    if (key.scopes.length + key.roles.length === 0) tell(at, 'a key that may do nothing, expected `scopes` or `roles`')
    key.roles.forEach((role, j) => {
      if (!known.includes(role))
        tell([...at, 'roles', j], `no role is called ${JSON.stringify(role)}, expected one of ${known.join(', ')}`, nearest(role, known))
    })
  })
}

export function identityConfig({ auth, roles, keys }: IdentitySettings): IdentityConfig {
  return { auth: { issuers: auth.issuers.map(issuerConfig), allowNetworks: auth.allow_networks }, roles, keys }
}

function issuerConfig(settings: IssuerSettings): IssuerConfig {
  const { issuer, audience, claims } = settings
  return {
    issuer,
    audiences: typeof audience === 'string' ? [audience] : audience,
    jwksUri: settings.jwks_uri ?? null,
    // OpenID Connect Discovery §4: a slash that ends the issuer's name is taken away before.
    discoveryUri: settings.discovery ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    algorithms: settings.algorithms,
    toleranceMs: durationMs(settings.clock_tolerance) ?? 0,
    maxAgeMs: durationMs(settings.max_token_age) ?? 0,
    typ: settings.typ ?? null,
    claims: { subject: claims.subject, scopes: claims.scopes, roles: claims.roles ?? null, tenant: claims.tenant ?? null },
    tenant: settings.tenant ?? (claims.tenant === undefined ? DEFAULT_TENANT : null),
    grantableScopes: settings.grantable_scopes,
  }
}

/** http is for a provider on this machine; whether it may be reached at all is `allow_networks`' and the guarded client's to say. */
function checkAddress(at: Keys, address: string | undefined, tell: Tell): void {
  if (address === undefined) return
  const url = new URL(address)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal(url.hostname)))
    tell(at, 'an address without TLS, expected https:// (http:// only to this machine)')
  // OpenID Connect Discovery §2: an issuer has neither query nor fragment.
  if (url.hash !== '' || (url.search !== '' && at.at(-1) === 'issuer') || url.username !== '' || url.password !== '')
    tell(at, 'an address with a query, a fragment or a user in it, expected one without')
}

const isLocal = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)

function isNetwork(text: string): boolean {
  const [address = '', bits, more] = text.split('/')
  const width = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return more === undefined && width > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= width))
}

/** Whoever reads the file must not be able to use what stands in it. */
const digestAdvice = (given: string): string =>
  given.startsWith('ock_')
    ? 'a key in plain text, expected its SHA-256: `printf %s "$KEY" | sha256sum`. Take another key: this one may be known'
    : 'no digest, expected the SHA-256 of the whole key as 64 hex digits in lower case: `printf %s "$KEY" | sha256sum`'
