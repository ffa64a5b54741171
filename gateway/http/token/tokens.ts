/**
 * Tokens of OpenID Connect issuers (JWT, RFC 7519) as proof of who asks. Which issuer is meant is read from the unverified token, but only
 * to choose among those that the configuration names. What a token may give is what the configuration lets its issuer give: permissions
 * of the roles it claims, and of its scopes those that are grantable. `jose` is loaded with the first token.
 */
import { hash } from 'node:crypto'
import type * as jose from 'jose'
import type { Clock, Counter, IssuerConfig, Lifecycle, Log, Metrics, Outbound, RevocationRecord, RevocationStore } from '#contract'
import type { Proof, Refusal, Verifier } from '../credentials.ts'
import type { Roles } from '../roles.ts'
import { Issuer, excerpt } from './issuer.ts'
import type { ValidToken } from './issuer.ts'
import { KeySet } from './key-set.ts'
import { Revocations } from './revocations.ts'
import type { Revoked } from './revocations.ts'

type Jose = typeof jose

const MAX_TOKEN_CHARS = 8_192
/** JWS Compact Serialization (RFC 7515 §7.1); a stripped signature is told as one, not as another kind of credential. */
const SHAPE = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/

export interface TokensOptions {
  readonly store: Pick<RevocationStore, 'list' | 'add'>
  readonly issuers: readonly IssuerConfig[]
  readonly roles: Roles
  /** For key sets and discovery. */
  readonly outbound: Outbound
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

export class Tokens implements Verifier, Lifecycle {
  readonly #options: TokensOptions
  readonly #revocations: Revocations
  readonly #fetches: Counter
  readonly #stopping = new AbortController()
  readonly #listeners = new Set<(proofId: string) => void>()
  #configs: ReadonlyMap<string, IssuerConfig>
  /** Those that a token was seen of. */
  readonly #issuers = new Map<string, Issuer>()
  #loading: Promise<Jose> | null = null

  constructor(options: TokensOptions) {
    this.#options = options
    this.#revocations = new Revocations(options)
    this.#configs = byName(options.issuers)
    this.#fetches = options.metrics.counter({
      name: 'openclaw_key_set_fetches_total',
      help: 'Fetches of the keys of token issuers.',
      labels: ['result'],
    })
  }

  start(): Promise<void> {
    return this.#revocations.start()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('The gateway is going down.'))
  }

  /** @throws UnavailableError while the issuer's keys cannot be had */
  async verify(token: string): Promise<Proof | Refusal> {
    if (this.#configs.size === 0 || token.length > MAX_TOKEN_CHARS || !SHAPE.test(token)) return 'malformed'
    this.#loading ??= import('jose')
    const jose = await this.#loading
    const issuer = this.#issuerOf(jose, token)
    if (typeof issuer === 'string') return this.#refuse(jose, token, issuer)
    const valid = await issuer.verify(token)
    if (typeof valid === 'string') return this.#refuse(jose, token, valid)
    const { config } = issuer
    if (this.#revocations.has(config.issuer, valid, config.toleranceMs)) return this.#refuse(jose, token, 'revoked')
    // It was taken out of the configuration, or changed, while its keys were fetched.
    if (this.#configs.get(config.issuer) !== config) return this.#refuse(jose, token, 'issuer')
    return this.#proof(token, valid, config)
  }

  /** Other issuers. What was proven by one that is gone or changed has to be proven anew. */
  configure(issuers: readonly IssuerConfig[]): void {
    const before = this.#configs
    this.#configs = byName(issuers)
    for (const [name, config] of before) {
      if (JSON.stringify(this.#configs.get(name)) === JSON.stringify(config)) {
        this.#configs = new Map(this.#configs).set(name, config)
        continue
      }
      this.#issuers.delete(name)
      this.#end(issuerId(name))
    }
  }

  isIssuer(name: string): boolean {
    return this.#configs.has(name)
  }

  /** From when this resolves what is meant gets nobody in, and what it held open is closed. */
  async revoke(
    tenant: string,
    revocation: { readonly issuer: string; readonly of: Revoked; readonly by: string },
  ): Promise<RevocationRecord> {
    const { record, proofId } = await this.#revocations.add(tenant, revocation)
    this.#end(proofId)
    return record
  }

  revocations(tenant: string): readonly RevocationRecord[] {
    return this.#revocations.list(tenant)
  }

  /** Calls `listen` with the id of the proofs that end before their time, until the returned function is called. */
  onEnd(listen: (proofId: string) => void): () => void {
    this.#listeners.add(listen)
    return () => this.#listeners.delete(listen)
  }

  #issuerOf(jose: Jose, token: string): Issuer | Refusal {
    const name = issuerNamed(jose, token)
    if (name === null) return 'claims'
    const config = this.#configs.get(name)
    if (config === undefined) return 'issuer'
    const known = this.#issuers.get(name)
    if (known !== undefined) return known
    const { outbound, clock, log } = this.#options
    const keys = new KeySet({
      ...config,
      jose,
      outbound,
      clock,
      log,
      onFetched: (result) => this.#fetches.inc([result]),
      signal: this.#stopping.signal,
    })
    const issuer = new Issuer({ config, jose, keys, clock })
    this.#issuers.set(name, issuer)
    return issuer
  }

  #proof(token: string, valid: ValidToken, { issuer, grantableScopes }: IssuerConfig): Proof {
    const { tenant, subject, jti, expiresAt } = valid
    const roles = valid.roles.filter((name) => this.#options.roles.find(tenant, name) !== null)
    const granted = valid.scopes.filter((scope) => grantableScopes.includes(scope))
    return {
      principal: {
        // No name of a key has these characters, and no issuer has a `#`: nobody is taken for another.
        id: `${issuer}#${subject}`,
        credential: `token:${jti ?? hash('sha256', token, 'base64url').slice(0, 22)}`,
        tenant,
        scopes: new Set([...this.#options.roles.permissions(tenant, roles), ...granted]),
      },
      by: 'token',
      roles,
      expiresAt,
      endsWith: [issuerId(issuer), ...this.#revocations.proofIds(issuer, valid), ...this.#options.roles.proofIds(tenant, valid.roles)],
      touch: () => undefined,
    }
  }

  #refuse(jose: Jose, token: string, reason: Refusal): Refusal {
    this.#options.log.info({ reason, ...excerpt(jose, token) }, 'A token was refused.')
    return reason
  }

  #end(proofId: string): void {
    for (const listen of this.#listeners) listen(proofId)
  }
}

const byName = (issuers: readonly IssuerConfig[]): ReadonlyMap<string, IssuerConfig> =>
  new Map(issuers.map((config) => [config.issuer, config]))
const issuerId = (name: string): string => `issuer:${name}`

function issuerNamed(jose: Jose, token: string): string | null {
  try {
    const { iss } = jose.decodeJwt(token)
    return typeof iss === 'string' ? iss : null
  } catch {
    return null
  }
}
