/**
 * Tokens that were called back before their end: one by its id, or all that a subject was given until now. All are held in memory, each
 * in its tenant, and forgotten when every token that they may mean has ended by itself.
 */
import { ConflictError, newRevocationId } from '#contract'
import type { Clock, RevocationRecord, RevocationStore } from '#contract'
import { MAX_TOKEN_AGE_MS } from './issuer.ts'
import type { ValidToken } from './issuer.ts'

/** Of one tenant. */
const MAX_REVOCATIONS = 10_000
/** No token is older than its issuer's `max_token_age` allows, whatever that is set to later; a day more for clocks. */
const KEPT_MS = MAX_TOKEN_AGE_MS + 86_400_000

/** What is called back: one token, or all that the subject has now. */
export type Revoked = { readonly jti: string } | { readonly subject: string }

export class Revocations {
  readonly #store: Pick<RevocationStore, 'list' | 'add'>
  readonly #clock: Clock
  /** Tenant → by what it means. */
  readonly #held = new Map<string, Map<string, RevocationRecord>>()

  constructor(options: { readonly store: Pick<RevocationStore, 'list' | 'add'>; readonly clock: Clock }) {
    this.#store = options.store
    this.#clock = options.clock
  }

  async start(): Promise<void> {
    this.#held.clear()
    for (const record of await this.#store.list(this.#clock.now())) this.#hold(record)
  }

  /** Newest first. */
  list(tenant: string): readonly RevocationRecord[] {
    const now = this.#clock.now()
    return [...(this.#held.get(tenant)?.values() ?? [])].filter(({ expiresAt }) => expiresAt > now).toReversed()
  }

  /** Answers the ids of the proofs that end. From when it resolves no such token is taken. */
  async add(
    tenant: string,
    { issuer, of, by }: { readonly issuer: string; readonly of: Revoked; readonly by: string },
  ): Promise<{ readonly record: RevocationRecord; readonly proofId: string }> {
    const now = this.#clock.now()
    this.#sweep(tenant, now)
    const isKnown = this.#held.get(tenant)?.has('jti' in of ? tokenId(tenant, issuer, of.jti) : subjectId(tenant, issuer, of.subject))
    if (isKnown !== true && (this.#held.get(tenant)?.size ?? 0) >= MAX_REVOCATIONS) {
      throw new ConflictError(
        `There are ${MAX_REVOCATIONS} revocations already. Revoke whole subjects, or take the issuer out of the configuration.`,
        {
          code: 'TOO_MANY_REVOCATIONS',
        },
      )
    }
    const record: RevocationRecord = {
      id: newRevocationId(now),
      tenant,
      issuer,
      of: 'jti' in of ? { is: 'token', jti: of.jti } : { is: 'subject', subject: of.subject, notBefore: now },
      createdAt: now,
      createdBy: by,
      expiresAt: now + KEPT_MS,
    }
    await this.#store.add(record, now)
    return { record, proofId: this.#hold(record) }
  }

  /** An issuer's clock may be ahead of ours by the tolerance: what seems to be issued so soon after may have been issued before. */
  has(issuer: string, token: ValidToken, toleranceMs: number): boolean {
    const held = this.#held.get(token.tenant)
    if (held === undefined) return false
    if (token.jti !== null && held.has(tokenId(token.tenant, issuer, token.jti))) return true
    const subject = held.get(subjectId(token.tenant, issuer, token.subject))
    return subject?.of.is === 'subject' && token.issuedAt <= subject.of.notBefore + toleranceMs
  }

  /** The ids with which the proof of this token ends. */
  proofIds(issuer: string, { tenant, subject, jti }: ValidToken): readonly string[] {
    return [subjectId(tenant, issuer, subject), ...(jti === null ? [] : [tokenId(tenant, issuer, jti)])]
  }

  #hold(record: RevocationRecord): string {
    const { tenant, issuer, of } = record
    const id = of.is === 'token' ? tokenId(tenant, issuer, of.jti) : subjectId(tenant, issuer, of.subject)
    const held = this.#held.get(tenant) ?? new Map<string, RevocationRecord>()
    // The newest last, also when it takes the place of one before.
    held.delete(id)
    this.#held.set(tenant, held.set(id, record))
    return id
  }

  #sweep(tenant: string, now: number): void {
    const held = this.#held.get(tenant)
    for (const [id, { expiresAt }] of held ?? []) if (expiresAt <= now) held?.delete(id)
  }
}

const tokenId = (tenant: string, issuer: string, jti: string): string => `token:${JSON.stringify([tenant, issuer, jti])}`
const subjectId = (tenant: string, issuer: string, subject: string): string => `subject:${JSON.stringify([tenant, issuer, subject])}`
