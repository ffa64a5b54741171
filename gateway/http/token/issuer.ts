/**
 * One issuer: whether a token is one of its own, for us, and valid now (RFC 8725). What the configuration leaves open is decided to the safe
 * side: issuer, audience, algorithms, expiry, time of issue and subject are always required, and no key or address that a token brings
 * along is looked at.
 */
import type * as jose from 'jose'
import type { JWTVerifyResult } from 'jose'
import { UnavailableError, isJsonObject } from '#contract'
import type { Clock, IssuerConfig, JsonObject } from '#contract'
import type { Refusal } from '../credentials.ts'
import { readHolder } from './claim.ts'
import type { Holder } from './claim.ts'
import type { KeySet } from './key-set.ts'

type Jose = typeof jose

export interface ValidToken extends Holder {
  readonly issuedAt: number
  /** With the tolerance. */
  readonly expiresAt: number
  readonly jti: string | null
}

/** RFC 9068 §2.1 and RFC 7519 §5.1; a token of another kind (a logout token, a proof of possession) says so. */
const TYPES: readonly (string | undefined)[] = [undefined, 'jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']
const MAX_JTI_CHARS = 255
/** What the configuration can allow at most. */
export const MAX_TOKEN_AGE_MS: number = 7 * 86_400_000

export class Issuer {
  readonly config: IssuerConfig
  readonly #jose: Jose
  readonly #keys: KeySet
  readonly #clock: Clock

  constructor(options: { readonly config: IssuerConfig; readonly jose: Jose; readonly keys: KeySet; readonly clock: Clock }) {
    this.config = options.config
    this.#jose = options.jose
    this.#keys = options.keys
    this.#clock = options.clock
  }

  async verify(token: string): Promise<ValidToken | Refusal> {
    const { issuer, audiences, algorithms, toleranceMs, maxAgeMs, typ } = this.config
    try {
      const result = await this.#jose.jwtVerify(token, (header, input) => this.#keys.key(header, input), {
        issuer,
        audience: [...audiences],
        algorithms: [...algorithms],
        requiredClaims: ['exp', 'iat'],
        clockTolerance: toleranceMs / 1_000,
        maxTokenAge: maxAgeMs / 1_000,
        currentDate: new Date(this.#clock.now()),
        ...(typ !== null && { typ }),
      })
      return this.#read(result)
    } catch (error) {
      if (error instanceof UnavailableError) throw error
      return refusalOf(error, this.#jose.errors)
    }
  }

  #read({ payload, protectedHeader }: JWTVerifyResult): ValidToken | Refusal {
    const { toleranceMs, maxAgeMs, typ, claims: paths, tenant } = this.config
    if (typ === null && !TYPES.includes(protectedHeader.typ?.toLowerCase())) return 'type'
    const claims: unknown = payload
    const { exp, iat, jti } = payload
    if (!isJsonObject(claims) || exp === undefined || iat === undefined) return 'claims'
    if (jti !== undefined && (typeof jti !== 'string' || jti.length > MAX_JTI_CHARS || !jti.isWellFormed())) return 'claims'
    const holder = readHolder(claims, paths, tenant)
    if (typeof holder === 'string') return holder
    return {
      ...holder,
      issuedAt: iat * 1_000,
      expiresAt: Math.floor(Math.min(exp * 1_000, iat * 1_000 + maxAgeMs)) + toleranceMs,
      jti: jti ?? null,
    }
  }
}

/** Why a token was refused, in words of a closed set. */
function refusalOf(error: unknown, errors: Jose['errors']): Refusal {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWTClaimValidationFailed)
    return error.reason === 'check_failed' ? (CLAIM_REFUSALS[error.claim] ?? 'claims') : 'claims'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature'
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) return 'signing_key'
  if (error instanceof errors.JWKSInvalid) return 'signing_key'
  if (error instanceof errors.JOSENotSupported) return 'algorithm'
  if (error instanceof errors.JOSEError) return 'claims'
  // A key of the issuer's that is no usable key.
  return 'signing_key'
}

const CLAIM_REFUSALS: { readonly [claim: string]: Refusal | undefined } = {
  iss: 'issuer',
  aud: 'audience',
  nbf: 'early',
  iat: 'early',
  typ: 'type',
}

/** The parts of a token that a log may have (and nothing else): unverified, cut short, without control characters. */
export function excerpt(jose: Jose, token: string): { readonly [field: string]: string | undefined } {
  const header = parsed(() => jose.decodeProtectedHeader(token))
  const claims = parsed(() => jose.decodeJwt(token))
  const { kid, alg } = header
  const { iss, aud, sub, exp } = claims
  return { iss: shown(iss), aud: shown(aud), sub: shown(sub), kid: shown(kid), alg: shown(alg), exp: shown(exp) }
}

function parsed(read: () => unknown): JsonObject {
  try {
    const value = read()
    return isJsonObject(value) ? value : {}
  } catch {
    return {}
  }
}

function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text
    .slice(0, 128)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
}
