/**
 * Who is asking. The one seam for ways to prove it: bearer tokens go through a list of verifiers in order (API keys, tokens of issuers), the
 * page's cookie through its own. What was proven is remembered for as long as it holds, so that a request in a burst costs one look-up; whoever keeps
 * a connection open is told when the proof ends.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock, Counter, Principal } from '#contract'
import { Endings } from './endings.ts'
import type { Ending } from './endings.ts'
import { isForeignPage } from './guard.ts'

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

/** `heldAt` moves on whenever it is found again: what has ended is not found. */
interface Held {
  readonly proven: Proven
  heldAt: number
}

export class Credentials {
  readonly #bearer: readonly Verifier[]
  readonly #cookie: { readonly name: string; readonly verifier: Verifier }
  readonly #clock: Clock
  readonly #failures: Counter
  readonly #endings: Endings
  /** By the whole header value or the cookie's; they cannot be confused, a cookie's begins with its name. */
  readonly #remembered = new Map<string, Held>()
  readonly #proofs = new WeakMap<Principal, Held>()

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
    this.#endings = new Endings(options.clock)
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
    return this.#proofs.get(principal)?.proven.countedAs ?? principal.credential
  }

  /** What was proven elsewhere, by the connection itself, and holds now: it ends here like all else. */
  adopt(proven: Proven): Proven {
    this.#know(proven)
    return proven
  }

  /** How that principal was proven; null: not here. */
  proofOf(principal: Principal): Proof | null {
    return this.#proofs.get(principal)?.proven ?? null
  }

  /** False: it has ended since it was proven, as while a body came in. */
  holds(principal: Principal): boolean {
    return this.#endings.holds(this.#endingOf(principal))
  }

  /** Calls `gone` once when the proof of that principal ends, soon if it has, until the returned function is called. */
  onEnd(principal: Principal, gone: () => void): () => void {
    return this.#endings.onEnd(this.#endingOf(principal), gone)
  }

  /** A key was revoked, a page session left, a role changed: forget it and tell those who wait, at once or when the time has come. */
  end(id: string, at: number | null = null): void {
    for (const [text, { proven }] of this.#remembered) if (proven.endsWith.includes(id)) this.#remembered.delete(text)
    this.#endings.end(id, at)
  }

  stop(): void {
    this.#endings.stop()
    this.#remembered.clear()
  }

  #recall(text: string): Proven | null {
    const held = this.#remembered.get(text)
    if (held === undefined) return null
    const { proven } = held
    const now = this.#clock.now()
    if (proven.expiresAt !== null && proven.expiresAt <= now) {
      this.#remembered.delete(text)
      return null
    }
    held.heldAt = this.#endings.count
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
      // What ended while the verifier was at it may be what it relied on: it has to look again.
      for (let before = -1; before !== this.#endings.count;) {
        before = this.#endings.count
        const proof = await this.#verify(verifier, token)
        if (typeof proof === 'string') refusal = proof
        else if (before === this.#endings.count) return this.#remember(text, { ...proof, via, countedAs: countedAs(proof) })
      }
      if (refusal !== 'malformed') break
    }
    this.#failures.inc([refusal])
    return null
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
    this.#remembered.set(text, this.#know(proven))
    proven.touch(this.#clock.now())
    return proven
  }

  #know(proven: Proven): Held {
    const known = this.#proofs.get(proven.principal)
    const heldAt = this.#endings.count
    if (known?.proven === proven) {
      known.heldAt = heldAt
      return known
    }
    const held = { proven, heldAt }
    this.#proofs.set(proven.principal, held)
    return held
  }

  #endingOf(principal: Principal): Ending {
    const held = this.#proofs.get(principal)
    if (held === undefined) return { endsWith: [principal.credential], expiresAt: null, heldAt: this.#endings.count }
    const { endsWith, expiresAt } = held.proven
    return { endsWith, expiresAt, heldAt: held.heldAt }
  }

  /** The page's cookie as `name=value`. It counts only on requests of our own pages: other ports of one host share cookies. */
  #ownCookie(headers: IncomingHttpHeaders): string | null {
    if (isForeignPage(headers)) return null
    const site = headers['sec-fetch-site']
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return null
    const prefix = `${this.#cookie.name}=`
    return headers.cookie?.split(/; */).find((pair) => pair.startsWith(prefix)) ?? null
  }
}

const countedAs = ({ by, principal }: Proof): string => (by === 'token' ? `${principal.tenant}/${principal.id}` : principal.credential)
