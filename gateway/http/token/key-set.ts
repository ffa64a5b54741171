/**
 * The keys of one issuer, fetched when they are needed. A set counts as new for ten minutes; then, or when a token names a key that is not
 * in it, it is fetched again, by one request for all who wait and at most once in 30 seconds, whatever tokens come. While the issuer cannot
 * be reached the last good set counts for a day. `jose` picks the key; its own remote set neither keeps the last good one nor rests after
 * a failure.
 */
import type * as jose from 'jose'
import type { FlattenedJWSInput, JSONWebKeySet, JWSHeaderParameters } from 'jose'
import { UnavailableError, describeError, isJsonObject } from '#contract'
import type { Clock, JsonValue, Log, Outbound } from '#contract'

const FRESH_MS = 600_000
const REST_MS = 30_000
const KEPT_MS = 86_400_000
const TIMEOUT_MS = 5_000
const MAX_BYTES = 262_144

type PublicKey = Awaited<ReturnType<ReturnType<Jose['createLocalJWKSet']>>>
type Jose = typeof jose

export interface KeySetOptions {
  readonly issuer: string
  /** Where the keys are; null: discovery tells. */
  readonly jwksUri: string | null
  /** OpenID Connect Discovery §4. */
  readonly discoveryUri: string
  readonly jose: Jose
  /** Goes to https and public addresses only, unless the operator opened others. */
  readonly outbound: Outbound
  readonly clock: Clock
  readonly log: Log
  readonly onFetched: (result: 'ok' | 'failed') => void
  /** Aborted when nobody wants the answer any more. */
  readonly signal: AbortSignal
}

interface Held {
  readonly pick: ReturnType<Jose['createLocalJWKSet']>
  readonly at: number
}

export class KeySet {
  readonly #options: KeySetOptions
  #held: Held | null = null
  /** When the last fetch ended. */
  #triedAt = -Infinity
  #fetching: Promise<void> | null = null

  constructor(options: KeySetOptions) {
    this.#options = options
  }

  /** The key for a token, as `jwtVerify` asks for it. @throws UnavailableError while no usable set can be had */
  async key(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<PublicKey> {
    if (this.#age() > FRESH_MS) await this.#refresh()
    const held = this.#usable()
    try {
      return await held.pick(header, token)
    } catch (error) {
      if (!(error instanceof this.#options.jose.errors.JWKSNoMatchingKey)) throw error
      await this.#refresh()
      const newer = this.#usable()
      if (newer === held) throw error
      return await newer.pick(header, token)
    }
  }

  #usable(): Held {
    if (this.#held !== null && this.#age() <= KEPT_MS) return this.#held
    throw new UnavailableError(`The keys of ${this.#options.issuer} cannot be had now, so its tokens cannot be checked. Try again later.`, {
      code: 'ISSUER_UNREACHABLE',
      retryAfterMs: REST_MS,
    })
  }

  #age(): number {
    return this.#held === null ? Infinity : this.#options.clock.now() - this.#held.at
  }

  /** Resolves when a fetch has ended, well or not; at once while it rests. */
  async #refresh(): Promise<void> {
    const { clock } = this.#options
    if (this.#fetching === null && clock.now() - this.#triedAt < REST_MS) return
    this.#fetching ??= this.#fetchAll().finally(() => {
      this.#fetching = null
      this.#triedAt = clock.now()
    })
    await this.#fetching
  }

  async #fetchAll(): Promise<void> {
    const { issuer, jose, clock, log, onFetched } = this.#options
    try {
      const set = await this.#fetch(this.#options.jwksUri ?? (await this.#discover()))
      this.#held = { pick: jose.createLocalJWKSet(set as unknown as JSONWebKeySet), at: clock.now() }
      onFetched('ok')
    } catch (error) {
      onFetched('failed')
      const still = this.#age() <= KEPT_MS ? 'the last good ones count on' : 'its tokens are refused until then'
      log.warn(
        { issuer, 'error.code': describeError(error).code, error: error instanceof Error ? error : undefined },
        `The keys of an issuer could not be fetched; ${still}.`,
      )
    }
  }

  /** OpenID Connect Discovery §4.3: who speaks for another issuer is not listened to. */
  async #discover(): Promise<string> {
    const { issuer, discoveryUri } = this.#options
    const found = await this.#fetch(discoveryUri)
    const { issuer: named, jwks_uri: uri } = isJsonObject(found) ? found : {}
    if (named === issuer && typeof uri === 'string' && URL.canParse(uri)) return uri
    throw new Error(`${discoveryUri} is not the discovery document of ${issuer}.`)
  }

  async #fetch(url: string): Promise<JsonValue> {
    const { outbound, signal } = this.#options
    const { status, body } = await outbound.send({
      url,
      headers: { accept: 'application/json' },
      maxBytes: MAX_BYTES,
      timeoutMs: TIMEOUT_MS,
      signal,
    })
    if (status !== 200) throw new Error(`${new URL(url).host} answered ${status}.`)
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as JsonValue
  }
}
