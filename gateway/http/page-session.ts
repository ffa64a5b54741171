/**
 * The page's way in: a one-time code from the start-up link, or a key, becomes an HttpOnly cookie. The cookie is signed and names the
 * key it stands for; it holds 12 hours, survives a restart, and ends with the key or on leaving, for good. Codes live in memory only.
 */
import { randomBytes } from 'node:crypto'
import { isJsonObject } from '#contract'
import type { Clock, JsonValue, KeyId, LeftSession, RevocationStore } from '#contract'
import type { Proof, Refusal, Verifier } from './credentials.ts'
import type { KeyProof, Keys } from './keys.ts'
import type { Signer } from './signer.ts'

const CODE_LIFE_MS = 3_600_000
export const SESSION_LIFE_MS: number = 12 * 3_600_000
const MAX_CODES = 64
const MAX_LEFT = 10_000

interface Session {
  readonly id: string
  readonly key: string
  /** Of that key, by which it was opened: its end is the session's. */
  readonly secret: string
  readonly expiresAt: number
}

export class PageSessions implements Verifier {
  readonly cookieName: string
  readonly #keys: Keys
  readonly #signer: Signer
  readonly #clock: Clock
  readonly #store: Pick<RevocationStore, 'leaveSession'>
  readonly #codes = new Map<string, { readonly key: KeyId; readonly expiresAt: number }>()
  /** Sessions that were left before their time, with that time. */
  readonly #left = new Map<string, number>()
  /** Sessions that end by then count as left: there was no room to keep which of them were. */
  #overUntil = 0

  constructor(options: {
    readonly port: number
    readonly keys: Keys
    readonly signer: Signer
    readonly clock: Clock
    readonly store: Pick<RevocationStore, 'leaveSession'>
    /** Those of former lives of the gateway. */
    readonly left: readonly LeftSession[]
  }) {
    // Cookies do not know ports (RFC 6265 §8.5): the name keeps gateways on one host apart.
    this.cookieName = `openclaw_${options.port}`
    this.#keys = options.keys
    this.#signer = options.signer
    this.#clock = options.clock
    this.#store = options.store
    for (const session of options.left) this.#forget(session)
  }

  /** A code that signs one page in as that key, once, within the hour. */
  issueCode(key: KeyId): string {
    const now = this.#clock.now()
    for (const [code, { expiresAt }] of this.#codes) if (expiresAt <= now || this.#codes.size >= MAX_CODES) this.#codes.delete(code)
    const code = randomBytes(18).toString('base64url')
    this.#codes.set(code, { key, expiresAt: now + CODE_LIFE_MS })
    return code
  }

  /** The cookie's value, or null if the code is unknown, used or too old. */
  openByCode(code: string): string | null {
    const issued = this.#codes.get(code)
    if (issued === undefined) return null
    this.#codes.delete(code)
    return issued.expiresAt > this.#clock.now() ? this.#open(this.#keys.proofOf(issued.key)) : null
  }

  openByKey(token: string): string | null {
    return this.#open(this.#keys.verify(token))
  }

  /** The session is over, whatever becomes of the promise; `id` is for those who hold a connection by it. Resolves when a restart knows of it too. */
  leave(cookie: string): { readonly id: string; readonly kept: Promise<void> } | null {
    const session = this.#read(cookie)
    const now = this.#clock.now()
    if (session === null || session.expiresAt <= now) return null
    for (const [id, expiresAt] of this.#left) if (expiresAt <= now) this.#left.delete(id)
    this.#forget(session)
    return { id: session.id, kept: this.#store.leaveSession({ id: session.id, expiresAt: session.expiresAt }, now) }
  }

  verify(cookie: string): Proof | Refusal {
    const session = this.#read(cookie)
    if (session === null) return 'unknown'
    if (session.expiresAt <= this.#clock.now()) return 'expired'
    if (this.#left.has(session.id) || session.expiresAt <= this.#overUntil) return 'revoked'
    const proof = this.#keys.proofOf(session.key, session.secret)
    if (typeof proof === 'string') return proof
    return {
      // Its own object: a page's proof ends earlier than its key's.
      principal: { ...proof.principal },
      by: 'page',
      roles: proof.roles,
      expiresAt: Math.min(session.expiresAt, proof.expiresAt ?? Infinity),
      endsWith: [...proof.endsWith, session.id],
      touch: (now) => proof.touch(now),
    }
  }

  #forget({ id, expiresAt }: LeftSession): void {
    this.#left.set(id, expiresAt)
    if (this.#left.size > MAX_LEFT) this.#forgetOne()
  }

  /** The one that ends first: with it the fewest others have to sign in anew, and none that was left comes back. */
  #forgetOne(): void {
    const [id, expiresAt] = [...this.#left].reduce((first, each) => (each[1] < first[1] ? each : first))
    this.#left.delete(id)
    this.#overUntil = Math.max(this.#overUntil, expiresAt)
  }

  #open(proof: KeyProof | Refusal): string | null {
    if (typeof proof === 'string') return null
    const session: Session = {
      id: randomBytes(12).toString('base64url'),
      key: proof.principal.credential,
      secret: proof.secretId,
      expiresAt: this.#clock.now() + SESSION_LIFE_MS,
    }
    return this.#signer.seal(JSON.stringify(session))
  }

  #read(cookie: string): Session | null {
    const text = this.#signer.open(cookie)
    if (text === null) return null
    const value = JSON.parse(text) as JsonValue
    if (!isJsonObject(value)) return null
    const { id, key, secret, expiresAt } = value
    const isWhole = typeof id === 'string' && typeof key === 'string' && typeof secret === 'string' && typeof expiresAt === 'number'
    return isWhole ? { id, key, secret, expiresAt } : null
  }
}
