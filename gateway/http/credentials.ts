/**
 * Who is asking. The one seam for ways to prove it: bearer tokens go through a list of verifiers in order (API keys, tokens of issuers), the
 * page's cookie through its own. What was proven is remembered for as long as it holds, so that a request in a burst costs one look-up; whoever keeps
 * a connection open is told when the proof ends.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock, Counter, Principal } from '#contract'
import { isOfOwnPage } from './guard.ts'

export interface Proof {
  readonly principal: Principal
  /** How it was proven. */
  readonly by: 'key' | 'page' | 'token' | 'certificate'
  /** By name; what they give stands in the principal's scopes. */
  readonly roles: readonly string[]
  readonly expiresAt: number | null
  /** Ids whose end is the end of this proof: the key's, the page session's, the token's, the subject's, the roles'. */
  readonly endsWith: readonly string[]
  /** It was used just now. Must cost nothing. */
  touch(now: number): void
}
/** Also the label of the metric, so it is a closed set. */
export type Refusal =
  | 'malformed'
  | 'unknown'
  | 'expired'
  | 'revoked'
  | 'early'
  | 'algorithm'
  | 'signature'
  | 'signing_key'
  | 'issuer'
  | 'audience'
  | 'type'
  | 'claims'
  | 'tenant'
  | 'unavailable'

/** Answers `malformed` for what is not of its kind: the next one is asked. */
export interface Verifier {
  verify(token: string): Proof | Refusal | Promise<Proof | Refusal>
}

/** Somebody who proved who they are, and how: only what a browser sends by itself needs protection against forged requests. */
export interface Proven extends Proof {
  readonly via: 'bearer' | 'cookie' | 'certificate'
  /** Whose requests are counted together: a key's. Of tokens one has as many as one likes, so there it is their subject. */
  readonly countedAs: string
}

const MAX_REMEMBERED = 4_096
/** Timers hold 2^31 ms at most; what expires later is looked at again. */
const MAX_TIMER_MS = 3_600_000

interface Watch {
  readonly endsWith: readonly string[]
  expiresAt: number | null
  readonly gone: () => void
}

export class Credentials {
  readonly #bearer: readonly Verifier[]
  readonly #cookie: { readonly name: string; readonly verifier: Verifier }
  readonly #clock: Clock
  readonly #failures: Counter
  /** By the whole header value or the cookie's; they cannot be confused, a cookie's begins with its name. */
  readonly #remembered = new Map<string, Proven>()
  readonly #proofs = new WeakMap<Principal, Proven>()
  readonly #watches = new Set<Watch>()
  /** Counts the calls of `end`. */
  #ends = 0
  #cancelTimer: (() => void) | null = null
  /** When the timer goes off. */
  #armedFor = Infinity

  constructor(options: {
    readonly bearer: readonly Verifier[]
    readonly cookie: { readonly name: string; readonly verifier: Verifier }
    readonly clock: Clock
    readonly failures: Counter
  }) {
    this.#bearer = options.bearer
    this.#cookie = options.cookie
    this.#clock = options.clock
    this.#failures = options.failures
  }

  /** null: nothing was given, or nothing that holds. A promise only when it is not remembered. */
  prove(headers: IncomingHttpHeaders): Proven | null | Promise<Proven | null> {
    const { authorization } = headers
    if (authorization !== undefined) return this.#recall(authorization) ?? this.#fromHeader(authorization)
    const pair = headers.cookie === undefined ? null : this.#ownCookie(headers)
    return pair === null
      ? null
      : (this.#recall(pair) ?? this.#learn(pair, [this.#cookie.verifier], pair.slice(pair.indexOf('=') + 1), 'cookie'))
  }

  /** What a request tries to prove itself by; null: it does not try. Other programs on this host set cookies too. */
  classOf(headers: IncomingHttpHeaders): 'bearer' | 'cookie' | null {
    if (headers.authorization !== undefined) return 'bearer'
    return headers.cookie !== undefined && this.#ownCookie(headers) !== null ? 'cookie' : null
  }

  async authenticate(token: string): Promise<Principal | null> {
    const proven = this.#recall(`Bearer ${token}`) ?? (await this.#learn(`Bearer ${token}`, this.#bearer, token, 'bearer'))
    return proven === null ? null : proven.principal
  }

  countedAs(principal: Principal): string {
    return this.#proofs.get(principal)?.countedAs ?? principal.credential
  }

  /** What was proven elsewhere, by the connection itself, ends here like all else. */
  adopt(proven: Proven): Proven {
    if (!this.#proofs.has(proven.principal)) this.#proofs.set(proven.principal, proven)
    return proven
  }

  /** How that principal was proven; null: not here. */
  proofOf(principal: Principal): Proof | null {
    return this.#proofs.get(principal) ?? null
  }

  /** Calls `gone` once when the proof of that principal ends, until the returned function is called. */
  onEnd(principal: Principal, gone: () => void): () => void {
    const proof = this.#proofs.get(principal)
    const watch: Watch = { endsWith: proof?.endsWith ?? [principal.credential], expiresAt: proof?.expiresAt ?? null, gone }
    this.#watches.add(watch)
    if (watch.expiresAt !== null && watch.expiresAt < this.#armedFor) this.#arm(watch.expiresAt)
    return () => {
      this.#watches.delete(watch)
      if (this.#watches.size === 0) this.#disarm()
    }
  }

  /** A key was revoked, a page session left, a role changed: forget it and tell those who wait, at once or when the time has come. */
  end(id: string, at: number | null = null): void {
    this.#ends++
    for (const [text, proven] of this.#remembered) if (proven.endsWith.includes(id)) this.#remembered.delete(text)
    for (const watch of this.#watches) {
      if (!watch.endsWith.includes(id)) continue
      if (at === null) this.#fire(watch)
      else if (at < (watch.expiresAt ?? Infinity)) {
        watch.expiresAt = at
        if (at < this.#armedFor) this.#arm(at)
      }
    }
  }

  stop(): void {
    this.#disarm()
    this.#watches.clear()
    this.#remembered.clear()
  }

  #recall(text: string): Proven | null {
    const proven = this.#remembered.get(text)
    if (proven === undefined) return null
    const now = this.#clock.now()
    if (proven.expiresAt !== null && proven.expiresAt <= now) {
      this.#remembered.delete(text)
      return null
    }
    proven.touch(now)
    return proven
  }

  async #fromHeader(authorization: string): Promise<Proven | null> {
    const token = /^Bearer +([A-Za-z0-9._~+/-]{1,8192}={0,2})$/i.exec(authorization)?.[1]
    if (token === undefined) {
      this.#failures.inc(['malformed'])
      return null
    }
    return this.#learn(authorization, this.#bearer, token, 'bearer')
  }

  async #learn(text: string, verifiers: readonly Verifier[], token: string, via: Proven['via']): Promise<Proven | null> {
    let refusal: Refusal = 'malformed'
    for (const verifier of verifiers) {
      const proof = await this.#ask(verifier, token)
      if (typeof proof !== 'string') return this.#remember(text, { ...proof, via, countedAs: countedAs(proof) })
      refusal = proof
      if (refusal !== 'malformed') break
    }
    this.#failures.inc([refusal])
    return null
  }

  /** What ended while the verifier was at it may be what it relied on: it has to look again. */
  async #ask(verifier: Verifier, token: string): Promise<Proof | Refusal> {
    for (;;) {
      const before = this.#ends
      const proof = await this.#verify(verifier, token)
      if (before === this.#ends) return proof
    }
  }

  async #verify(verifier: Verifier, token: string): Promise<Proof | Refusal> {
    try {
      return await verifier.verify(token)
    } catch (error) {
      this.#failures.inc(['unavailable'])
      throw error
    }
  }

  #remember(text: string, proven: Proven): Proven {
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const [oldest] = this.#remembered.keys()
      if (oldest !== undefined) this.#remembered.delete(oldest)
    }
    this.#remembered.set(text, proven)
    this.#proofs.set(proven.principal, proven)
    proven.touch(this.#clock.now())
    return proven
  }

  /** The page's cookie as `name=value`. */
  #ownCookie(headers: IncomingHttpHeaders): string | null {
    if (!isOfOwnPage(headers)) return null
    const prefix = `${this.#cookie.name}=`
    return headers.cookie?.split(/; */).find((pair) => pair.startsWith(prefix)) ?? null
  }

  #fire(watch: Watch): void {
    if (this.#watches.delete(watch)) watch.gone()
  }

  #arm(at: number): void {
    this.#disarm()
    this.#armedFor = at
    this.#cancelTimer = this.#clock.after(Math.min(Math.max(at - this.#clock.now(), 0), MAX_TIMER_MS), () => this.#expire())
  }

  #expire(): void {
    const now = this.#clock.now()
    let next = Infinity
    for (const watch of this.#watches) {
      if (watch.expiresAt === null) continue
      if (watch.expiresAt <= now) this.#fire(watch)
      else next = Math.min(next, watch.expiresAt)
    }
    if (next === Infinity) this.#disarm()
    else this.#arm(next)
  }

  #disarm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    this.#armedFor = Infinity
  }
}

const countedAs = ({ by, principal }: Proof): string => (by === 'token' ? `${principal.tenant}/${principal.id}` : principal.credential)
