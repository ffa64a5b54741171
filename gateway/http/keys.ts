/**
 * API keys: made, listed, revoked, recognised. A key is shown once, when it is made; only its SHA-256 is kept (256 random bits need no slow
 * hash). All records are held in memory, so that recognising one costs no question to the store.
 */
import { hash, randomBytes } from 'node:crypto'
import { ConflictError, DEFAULT_TENANT, InvalidError, newKeyId } from '#contract'
import type { Clock, KeyId, KeyRecord, KeyStore, Lifecycle, Log, Principal } from '#contract'
import type { Proof, Refusal, Verifier } from './credentials.ts'
import { privateFile } from './private-file.ts'

const MINUTE_MS = 60_000
const MAX_KEYS = 10_000
const SHAPE = /^ock_live_[0-9A-Za-z]{8}_[A-Za-z0-9_-]{43}$/

export interface NewKey {
  readonly tenant: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly expiresAt: number | null
}

interface Held {
  record: KeyRecord
  readonly principal: Principal
  /** When it was last seen; written to the store now and then. */
  usedAt: number
}

export class Keys implements Verifier, Lifecycle {
  readonly #store: KeyStore
  readonly #clock: Clock
  readonly #log: Log
  readonly #byHash = new Map<string, Held>()
  readonly #byId = new Map<string, Held>()
  readonly #revokeListeners = new Set<(id: KeyId) => void>()
  #cancelTimer: (() => void) | null = null

  constructor(options: { readonly store: KeyStore; readonly clock: Clock; readonly log: Log }) {
    this.#store = options.store
    this.#clock = options.clock
    this.#log = options.log
  }

  async start(): Promise<void> {
    if (this.#cancelTimer !== null) return
    for (const record of await this.#store.list()) this.#hold(record)
    this.#schedule()
  }

  async stop(): Promise<void> {
    if (this.#cancelTimer === null) return
    this.#cancelTimer()
    this.#cancelTimer = null
    await this.#writeLastUse()
  }

  /** Of one tenant. */
  list(tenant: string): readonly KeyRecord[] {
    const own = [...this.#byId.values()].filter(({ record }) => record.tenant === tenant)
    return own.map((held) => ({ ...held.record, lastUsedAt: lastUse(held) }))
  }

  /** `secret` is what the holder must keep; it cannot be had again. */
  async create(key: NewKey): Promise<{ readonly record: KeyRecord; readonly secret: string }> {
    if (this.#byId.size >= MAX_KEYS) {
      throw new ConflictError(`There are ${MAX_KEYS} keys already. Revoke some first.`, { code: 'TOO_MANY_KEYS' })
    }
    const id = newKeyId(this.#clock.now())
    const secret = `ock_live_${id.slice(-8)}_${randomBytes(32).toString('base64url')}`
    return { record: await this.#add(id, key, secret), secret }
  }

  /** From when this resolves nobody gets in with it. False: the tenant has none such, or it was revoked before. */
  async revoke(tenant: string, id: KeyId): Promise<boolean> {
    const now = this.#clock.now()
    const revoked = await this.#store.revoke(tenant, id, now)
    const held = this.#byId.get(id)
    if (held !== undefined && held.record.tenant === tenant && held.record.revokedAt === null)
      held.record = { ...held.record, revokedAt: now }
    if (revoked) for (const listen of this.#revokeListeners) listen(id)
    return revoked
  }

  /** Who a token proves. The comparison is of digests by a table, which tells an attacker nothing about the secret. */
  verify(token: string): Proof | Refusal {
    if (!SHAPE.test(token)) return 'malformed'
    const held = this.#byHash.get(hash('sha256', token))
    return held === undefined ? 'unknown' : this.#proof(held)
  }

  /** What a key proves by its id alone, for those who hold something signed by us that names it. */
  proofOf(id: string): Proof | Refusal {
    const held = this.#byId.get(id)
    return held === undefined ? 'unknown' : this.#proof(held)
  }

  async authenticate(token: string): Promise<Principal | null> {
    const proof = this.verify(token)
    return typeof proof === 'string' ? null : proof.principal
  }

  /** Calls `listen` with each key that is revoked, until the returned function is called. */
  onRevoked(listen: (id: KeyId) => void): () => void {
    this.#revokeListeners.add(listen)
    return () => this.#revokeListeners.delete(listen)
  }

  /**
   * The operator's key, whose secret stands in `file`. Made at first start; taken up again when the database was removed and the file
   * was not. A key that was revoked stays revoked.
   */
  async ensureAdmin(file: string): Promise<{ readonly id: KeyId; readonly made: boolean }> {
    const id = newKeyId(this.#clock.now())
    const kept = await privateFile(file, () => `ock_live_${id.slice(-8)}_${randomBytes(32).toString('base64url')}`)
    if (!SHAPE.test(kept.text)) {
      throw new InvalidError(`${file} holds no API key. Remove the file: a new key is made at the next start.`, {
        code: 'ADMIN_KEY_DAMAGED',
      })
    }
    if (kept.wasExposed)
      this.#log.warn({ file }, 'The admin key could be read by others; its mode is 0600 now. Revoke it if it may be known.')
    const known = this.#byHash.get(hash('sha256', kept.text))
    if (known !== undefined) return { id: known.record.id, made: false }
    const record = await this.#add(id, { tenant: DEFAULT_TENANT, name: 'admin', scopes: ['*'], expiresAt: null }, kept.text)
    return { id: record.id, made: kept.made }
  }

  async #add(id: KeyId, key: NewKey, secret: string): Promise<KeyRecord> {
    const record: KeyRecord = {
      id,
      tenant: key.tenant,
      name: key.name,
      hash: hash('sha256', secret),
      scopes: key.scopes,
      createdAt: this.#clock.now(),
      expiresAt: key.expiresAt,
      revokedAt: null,
      lastUsedAt: null,
    }
    await this.#store.add(record)
    this.#hold(record)
    return record
  }

  #hold(record: KeyRecord): void {
    const principal: Principal = { id: record.name, credential: record.id, tenant: record.tenant, scopes: new Set(record.scopes) }
    const held: Held = { record, principal, usedAt: 0 }
    this.#byHash.set(record.hash, held)
    this.#byId.set(record.id, held)
  }

  #proof(held: Held): Proof | Refusal {
    const { record, principal } = held
    if (record.revokedAt !== null) return 'revoked'
    if (record.expiresAt !== null && record.expiresAt <= this.#clock.now()) return 'expired'
    const touch = (now: number): void => {
      held.usedAt = now
    }
    return { principal, expiresAt: record.expiresAt, endsWith: [record.id], touch }
  }

  #schedule(): void {
    this.#cancelTimer = this.#clock.after(MINUTE_MS, () => {
      this.#schedule()
      void this.#writeLastUse()
    })
  }

  async #writeLastUse(): Promise<void> {
    for (const held of this.#byId.values()) {
      const at = lastUse(held)
      if (at === null || at === held.record.lastUsedAt) continue
      try {
        await this.#store.touch(held.record.id, at)
        held.record = { ...held.record, lastUsedAt: at }
      } catch (error) {
        this.#log.debug(
          { key: held.record.id, error: error instanceof Error ? error : undefined },
          'Last use of a key not written; tried again.',
        )
        return
      }
    }
  }
}

/** To the minute. */
function lastUse(held: Held): number | null {
  const seen = Math.floor(held.usedAt / MINUTE_MS) * MINUTE_MS
  return seen > (held.record.lastUsedAt ?? 0) ? seen : held.record.lastUsedAt
}
