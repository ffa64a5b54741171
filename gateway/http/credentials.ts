/**
 * Who is asking. The one seam for ways to prove it: bearer tokens go through a list of verifiers in order (API keys; later JWT), the page's
 * cookie through its own. What was proven is remembered for as long as it holds, so that a request in a burst costs one look-up; whoever keeps
 * a connection open is told when the proof ends.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock, Counter, Principal } from '#contract'

export interface Proof {
  readonly principal: Principal
  readonly expiresAt: number | null
  /** Ids whose end is the end of this proof: the key's, the page session's. */
  readonly endsWith: readonly string[]
  /** It was used just now. Must cost nothing. */
  touch(now: number): void
}
export type Refusal = 'malformed' | 'unknown' | 'expired' | 'revoked'

/** Answers `malformed` for what is not of its kind: the next one is asked. */
export interface Verifier {
  verify(token: string): Proof | Refusal | Promise<Proof | Refusal>
}

/** Somebody who proved who they are, and how: only what a browser sends by itself needs protection against forged requests. */
export interface Proven extends Proof {
  readonly via: 'bearer' | 'cookie'
}

const MAX_REMEMBERED = 4_096
/** Timers hold 2^31 ms at most; what expires later is looked at again. */
const MAX_TIMER_MS = 3_600_000

interface Watch {
  readonly endsWith: readonly string[]
  readonly expiresAt: number | null
  readonly gone: () => void
}

export class Credentials {
  readonly #bearer: readonly Verifier[]
  readonly #cookie: { readonly name: string; readonly verifier: Verifier }
  readonly #clock: Clock
  readonly #failures: Counter
  /** By the whole header value or the cookie's; they cannot be confused, a cookie's begins with its name. */
  readonly #remembered = new Map<string, Proven>()
  readonly #proofs = new WeakMap<Principal, Proof>()
  readonly #watches = new Set<Watch>()
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

  /** A key was revoked, a page session left: forget it and tell those who wait. */
  end(id: string): void {
    for (const [text, proven] of this.#remembered) if (proven.endsWith.includes(id)) this.#remembered.delete(text)
    for (const watch of this.#watches) if (watch.endsWith.includes(id)) this.#fire(watch)
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
    const token = /^Bearer +([A-Za-z0-9._~+/-]{1,4096}=*)$/i.exec(authorization)?.[1]
    if (token === undefined) {
      this.#failures.inc(['malformed'])
      return null
    }
    return this.#learn(authorization, this.#bearer, token, 'bearer')
  }

  async #learn(text: string, verifiers: readonly Verifier[], token: string, via: Proven['via']): Promise<Proven | null> {
    let refusal: Refusal = 'malformed'
    for (const verifier of verifiers) {
      const proof = await verifier.verify(token)
      if (typeof proof !== 'string') return this.#remember(text, { ...proof, via })
      refusal = proof
      if (refusal !== 'malformed') break
    }
    this.#failures.inc([refusal])
    return null
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

  /** The page's cookie as `name=value`. It counts only on requests of our own pages: other ports of one host share cookies. */
  #ownCookie(headers: IncomingHttpHeaders): string | null {
    const site = headers['sec-fetch-site']
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return null
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
