/**
 * How much anybody may ask. Who proves who they are is counted by credential, everybody else by address. Whoever keeps failing to prove
 * it is shut out for a while before the next try is even looked at, so that guessing gets slower than the credentials are long.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Clock, Metrics } from '#contract'
import { Buckets } from './buckets.ts'
import type { BucketPolicy, Taken } from './buckets.ts'
import { isLoopbackAddress, networkOf } from './client-address.ts'
import { isLoopbackHost } from './guard.ts'
import { ProtocolError } from './problem.ts'

export interface RateLimits {
  /** Requests a minute from one address without a valid credential; 0: no limit. */
  readonly perIp: number
  /** Requests a minute with one credential; 0: no limit. */
  readonly perKey: number
}

const WINDOW_MS = 60_000
/** About 100 bytes each. */
const MAX_KEPT = 20_000
const MAX_FAILURES = 10
const LOCK_MS = 300_000

/**
 * By what somebody tries to prove who they are: each is counted for itself, signatures by their path. Platforms send for everybody from the same
 * addresses, so that what one sends amiss must not shut out what another sends elsewhere.
 */
export type CredentialClass = 'bearer' | 'cookie' | `signed ${string}`

interface Failures {
  count: number
  since: number
  lockedUntil: number
}

/** Header fields for the answer, names and values in turn. */
export type QuotaFields = readonly string[]
const NO_FIELDS: QuotaFields = []

export class Limits {
  readonly #clock: Clock
  readonly #byAddress: Buckets
  readonly #byCredential: Buckets
  readonly #failures = new LRUCache<string, Failures>({ max: MAX_KEPT })
  readonly #limited: (policy: string) => void

  constructor(options: { readonly limits: RateLimits; readonly clock: Clock; readonly metrics: Metrics }) {
    const { limits, clock, metrics } = options
    this.#clock = clock
    this.#byAddress = new Buckets({ name: 'ip', count: limits.perIp, windowMs: WINDOW_MS }, MAX_KEPT)
    this.#byCredential = new Buckets({ name: 'key', count: limits.perKey, windowMs: WINDOW_MS }, MAX_KEPT)
    const counter = metrics.counter({
      name: 'openclaw_rate_limited_total',
      help: 'Requests that were refused because there were too many.',
      labels: ['policy'],
    })
    for (const policy of ['ip', 'key', 'lockout']) counter.inc([policy], 0)
    this.#limited = (policy) => counter.inc([policy])
    metrics
      .gauge({ name: 'openclaw_rate_limit_buckets', help: 'Addresses and credentials whose requests are counted.', labels: ['policy'] })
      .collect((set) => {
        set(this.#byAddress.size, ['ip'])
        set(this.#byCredential.size, ['key'])
        set(this.#failures.size, ['lockout'])
      })
  }

  /** From the next request on. */
  configure({ perIp, perKey }: RateLimits): void {
    this.#byAddress.allow(perIp)
    this.#byCredential.allow(perKey)
  }

  /** @throws ProtocolError when the address has asked enough */
  stranger(ip: string): QuotaFields {
    return this.#take(this.#byAddress, networkOf(ip))
  }

  /** @throws ProtocolError when the credential has asked enough */
  known(credential: string): QuotaFields {
    return this.#take(this.#byCredential, credential)
  }

  /** For what comes over a socket that stays open; the whole seconds to wait, or null: go on. */
  waitOf(credential: string): number | null {
    const { policy } = this.#byCredential
    if (policy.count === 0) return null
    const { isAllowed, seconds } = this.#byCredential.take(credential, this.#clock.now())
    if (isAllowed) return null
    this.#limited(policy.name)
    return seconds
  }

  /** Before a credential is looked at. @throws ProtocolError while the address is shut out */
  checkLock(ip: string, by: CredentialClass, headers: IncomingHttpHeaders): void {
    if (this.#failures.size === 0) return
    const failures = this.#failures.get(`${by} ${networkOf(ip)}`)
    if (failures === undefined) return
    const now = this.#clock.now()
    if (failures.lockedUntil <= now || isOwnProgram(ip, headers)) return
    this.#limited('lockout')
    const seconds = Math.ceil((failures.lockedUntil - now) / 1_000)
    throw tooMany('Too many credentials from this address were not valid. None is looked at for a while.', 'lockout', 'LOCKED_OUT', seconds)
  }

  failed(ip: string, by: CredentialClass): void {
    const key = `${by} ${networkOf(ip)}`
    const now = this.#clock.now()
    let failures = this.#failures.get(key)
    if (failures === undefined || (failures.since + WINDOW_MS <= now && failures.lockedUntil <= now)) {
      this.#failures.set(key, (failures = { count: 0, since: now, lockedUntil: 0 }))
    }
    failures.count += 1
    if (failures.count >= MAX_FAILURES) failures.lockedUntil = now + LOCK_MS
  }

  #take(buckets: Buckets, key: string): QuotaFields {
    const { policy } = buckets
    if (policy.count === 0) return NO_FIELDS
    const taken = buckets.take(key, this.#clock.now())
    if (taken.isAllowed) return fieldsOf(policy, taken)
    this.#limited(policy.name)
    const what = policy.name === 'ip' ? 'without a valid credential from one address' : 'with one credential'
    const detail = `${policy.count} requests a minute ${what} are allowed.`
    throw tooMany(detail, policy.name, 'RATE_LIMITED', taken.seconds, fieldsOf(policy, taken))
  }
}

/** draft-ietf-httpapi-ratelimit-headers-11, and the three fields that most clients know instead. */
function fieldsOf({ name, count, windowMs }: BucketPolicy, { remaining, seconds }: Taken): QuotaFields {
  return [
    'ratelimit-policy',
    `"${name}";q=${count};w=${windowMs / 1_000}`,
    'ratelimit',
    `"${name}";r=${remaining};t=${seconds}`,
    'x-ratelimit-limit',
    String(count),
    'x-ratelimit-remaining',
    String(remaining),
    'x-ratelimit-reset',
    String(seconds),
  ]
}

function tooMany(message: string, policy: string, code: string, seconds: number, fields: QuotaFields = NO_FIELDS): ProtocolError {
  const headers: { [name: string]: string } = { 'retry-after': String(seconds) }
  for (let i = 0; i + 1 < fields.length; i += 2) headers[fields[i] ?? ''] = fields[i + 1] ?? ''
  return new ProtocolError(message, {
    code,
    slug: 'quota-exceeded',
    headers,
    // The type that the draft registers, with its member.
    members: { type: 'https://iana.org/assignments/http-problem-types#quota-exceeded', 'violated-policies': [policy] },
  })
}

/**
 * A program on this machine with an old key does not shut its user out; a page in a browser may be anybody's (CVE-2026-25253), and so may
 * whoever comes by a proxy here that nobody named: it tells so by a field, or by the name that it was asked for.
 */
const isOwnProgram = (ip: string, headers: IncomingHttpHeaders): boolean =>
  isLoopbackAddress(ip) &&
  isLoopbackHost(headers.host ?? 'localhost') &&
  headers.origin === undefined &&
  headers['sec-fetch-site'] === undefined &&
  PROXIED.every((name) => headers[name] === undefined)

/** What proxies add. */
const PROXIED = ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip', 'x-forwarded-host', 'x-forwarded-proto'] as const
