/** A server that takes the tokens of a fake issuer, and what such a token says unless a test says otherwise. */
import type { TestContext } from 'node:test'
import type { HttpServerOptions } from '../../../../gateway/http/server.ts'
import { FakeIssuer, signingKey, token } from '../../../fakes/issuer.ts'
import type { Json, SigningKey } from '../../../fakes/issuer.ts'
import { Hub, startServer } from '../double.ts'
import type { Started } from '../double.ts'
import type { IssuerConfig } from '#contract'

export const issuerConfig = (issuer: string, change: Partial<IssuerConfig> = {}): IssuerConfig => ({
  issuer,
  audiences: ['openclaw'],
  jwksUri: `${issuer}/jwks`,
  discoveryUri: `${issuer}/.well-known/openid-configuration`,
  algorithms: ['RS256', 'ES256', 'EdDSA', 'PS256'],
  toleranceMs: 30_000,
  maxAgeMs: 86_400_000,
  typ: null,
  claims: { subject: 'sub', scopes: 'scope', roles: 'roles', tenant: null },
  tenant: 'default',
  grantableScopes: ['agent:execute', 'skills:execute', 'messages:write'],
  ...change,
})

export interface World extends Started {
  readonly issuer: FakeIssuer
  readonly key: string
  readonly signer: SigningKey
  /** Claims of a token that is in order, changed; undefined takes one away. */
  claims(change?: Json): Json
  /** Such a token. */
  token(change?: Json): string
  as(token: string, path?: string): Promise<Response>
  /** How often a credential was refused for that reason. */
  refused(reason: string): number
}

/** Made once: it takes a while. */
const shared = signingKey('k1')

export async function startWorld(
  t: TestContext,
  change: Partial<IssuerConfig> = {},
  { signer = shared, ...options }: { readonly signer?: SigningKey } & Pick<Partial<HttpServerOptions>, 'upgrades' | 'rateLimits'> = {},
): Promise<World> {
  const issuer = await new FakeIssuer(signer).start()
  t.after(() => issuer.stop())
  const hub = new Hub()
  hub.tokens.configure([issuerConfig(issuer.url, change)])
  const started = await startServer(t, { hub, ...options })
  const seconds = (): number => Math.floor(hub.clock.now() / 1_000)
  const claims = (change: Json = {}): Json =>
    JSON.parse(
      JSON.stringify({
        iss: issuer.url,
        aud: 'openclaw',
        sub: 'alice',
        iat: seconds(),
        exp: seconds() + 600,
        jti: 't1',
        roles: ['viewer'],
        ...change,
      }),
    ) as Json
  return {
    ...started,
    issuer,
    signer,
    claims,
    token: (change) => token(signer, claims(change)),
    as: (bearer, path = '/v1/agents') => fetch(`${started.url}${path}`, { headers: { authorization: `Bearer ${bearer}` } }),
    refused: (reason) => hub.metrics.value(`openclaw_auth_failures_total ${reason}`),
  }
}
