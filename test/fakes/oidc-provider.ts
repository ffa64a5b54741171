/**
 * A real OpenID Connect provider (`oidc-provider`, certified) on loopback: it issues access tokens (RFC 9068) for one resource, to a client by
 * itself and to a person by the code flow with PKCE, and changes its keys while it runs. Whoever asks is signed in at once.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
// @ts-expect-error -- it brings no types; what is used of it is named below
import { Provider } from 'oidc-provider'

interface Grant {
  addOIDCScope(scope: string): void
  addResourceScope(resource: string, scope: string): void
  save(): Promise<string>
}
interface Context {
  readonly oidc: { readonly client: { readonly clientId: string }; readonly session: { readonly accountId: string } }
}
interface ProviderLike {
  readonly Grant: new (of: { readonly clientId: string; readonly accountId: string }) => Grant
  callback(): RequestListener
  interactionFinished(request: IncomingMessage, response: ServerResponse, result: object, options: object): Promise<void>
}

const CLIENT = { id: 'robot', secret: 'robot-secret' }
const REDIRECT = 'https://client.example/back'
const SCOPES = 'messages:write agent:execute keys:write'

export class OidcProvider {
  readonly resource: string
  readonly #server: Server
  #keys: readonly object[] = [newKey('first')]
  #provider: ProviderLike | null = null
  /** Roles that tokens have, by subject. */
  readonly roles: { [subject: string]: readonly string[] } = {}

  constructor(resource: string) {
    this.resource = resource
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  get issuer(): string {
    const address = this.#server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.#provider = this.#make()
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  /** Signs with another key from now on; those before stay published, unless `forget`. */
  rotate(kid: string, { forget = false }: { readonly forget?: boolean } = {}): void {
    this.#keys = [newKey(kid), ...(forget ? [] : this.#keys)]
    this.#provider = this.#make()
  }

  /** OAuth 2.0 client credentials (RFC 6749 §4.4). */
  clientToken(scope = 'messages:write'): Promise<string> {
    return this.#token({ grant_type: 'client_credentials', scope, resource: this.resource })
  }

  /** OpenID Connect's code flow with PKCE (RFC 7636), as a browser goes through it. */
  async personToken(scope = 'messages:write'): Promise<string> {
    const verifier = randomBytes(32).toString('base64url')
    const query = new URLSearchParams({
      client_id: CLIENT.id,
      response_type: 'code',
      redirect_uri: REDIRECT,
      scope: `openid ${scope}`,
      resource: this.resource,
      state: 's',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    })
    const code = await this.#browse(`${this.issuer}/auth?${query.toString()}`)
    return this.#token({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier, resource: this.resource })
  }

  async #browse(start: string): Promise<string> {
    const cookies = new Map<string, string>()
    let url = start
    for (let hop = 0; hop < 10; hop++) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(url, { redirect: 'manual', headers: { cookie } })
      for (const set of response.headers.getSetCookie()) {
        const [name = '', value = ''] = (set.split(';', 1)[0] ?? '').split(/=(.*)/s)
        cookies.set(name, value)
      }
      const location = response.headers.get('location')
      if (location === null) throw new Error(`the provider answered ${response.status}: ${await response.text()}`)
      url = new URL(location, url).href
      if (url.startsWith(REDIRECT)) return new URL(url).searchParams.get('code') ?? Promise.reject(new Error(url))
    }
    throw new Error('the provider redirects without end')
  }

  async #token(form: { readonly [name: string]: string }): Promise<string> {
    const response = await fetch(`${this.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64')}` },
      body: new URLSearchParams(form),
    })
    const answer = (await response.json()) as { readonly access_token?: string }
    return answer.access_token ?? Promise.reject(new Error(JSON.stringify(answer)))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const provider = this.#provider
    if (provider === null) response.writeHead(503).end()
    else if (request.url?.startsWith('/interaction/') !== true) provider.callback()(request, response)
    else await provider.interactionFinished(request, response, { login: { accountId: 'alice' } }, { mergeWithLastSubmission: false })
  }

  #make(): ProviderLike {
    const { resource } = this
    const provider = new Provider(this.issuer, {
      jwks: { keys: this.#keys },
      cookies: { keys: ['a cookie secret of a test'] },
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          grant_types: ['client_credentials', 'authorization_code'],
          response_types: ['code'],
          redirect_uris: [REDIRECT],
          id_token_signed_response_alg: 'ES256',
        },
      ],
      scopes: ['openid', ...SCOPES.split(' ')],
      findAccount: (_context: unknown, sub: string) => ({ accountId: sub, claims: () => ({ sub }) }),
      extraTokenClaims: (_context: unknown, token: { readonly accountId?: string; readonly clientId?: string }) => ({
        roles: this.roles[token.accountId ?? token.clientId ?? ''] ?? [],
      }),
      loadExistingGrant: async ({ oidc }: Context) => {
        const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
        grant.addOIDCScope(`openid ${SCOPES}`)
        grant.addResourceScope(resource, SCOPES)
        await grant.save()
        return grant
      },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: () => ({
            scope: SCOPES,
            audience: resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: 600,
            jwt: { sign: { alg: 'ES256' } },
          }),
        },
      },
      interactions: { url: (_context: unknown, { uid }: { readonly uid: string }) => `/interaction/${uid}` },
      ttl: { Session: 600, Interaction: 600, Grant: 600, AccessToken: 600, ClientCredentials: 600, IdToken: 600, AuthorizationCode: 60 },
    }) as ProviderLike
    return provider
  }
}

const newKey = (kid: string): object => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  kid,
  alg: 'ES256',
  use: 'sig',
})
