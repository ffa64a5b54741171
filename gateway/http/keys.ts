/**
 * API keys: made, listed, rotated, revoked, recognised. A secret is shown once, when it is made; only its SHA-256 is kept (256 random bits
 * need no slow hash). All records are held in memory, so that recognising one costs no question to the store. Keys of the configuration
 * stand beside them: they are recognised alike, and changed in the file.
 */
import { hash, randomBytes } from 'node:crypto'
import { ConflictError, DEFAULT_TENANT, InvalidError, asKeyId, newKeyId } from '#contract'
import type { Clock, KeyId, KeyRecord, KeyStore, Lifecycle, Log, Principal } from '#contract'
import type { Proof, Refusal, Verifier } from './credentials.ts'
import { checkRoom } from './key-room.ts'
import { privateFile } from './private-file.ts'
import type { Roles } from './roles.ts'

const MINUTE_MS = 60_000
const SHAPE = /^ock_live_[0-9A-Za-z]{8}_[A-Za-z0-9_-]{43}$/

export interface NewKey {
  readonly tenant: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly roles?: readonly string[]
  readonly expiresAt: number | null
  /** Principal who makes it. */
  readonly by?: string
}

/** One that stands in the configuration. */
export interface ConfiguredKey {
  readonly name: string
  /** SHA-256 of the whole key, lower-case hex. */
  readonly sha256: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  readonly tenant: string
}

/** `fromConfig`: it stands in the file, and is changed there. */
export type KeyView = KeyRecord & { readonly tenant: string; readonly fromConfig: boolean }

/** `secretId` names the secret that was shown, for those who remember what it opened. */
export interface KeyProof extends Proof {
  readonly secretId: string
}

interface Held {
  record: KeyRecord
  readonly tenant: string
  readonly fromConfig: boolean
  /** When it was last seen; written to the store now and then. */
  usedAt: number
}

export interface KeysOptions {
  readonly store: KeyStore
  readonly clock: Clock
  readonly log: Log
  readonly roles: Roles
  readonly configured: readonly ConfiguredKey[]
}

/** What a proof that a key gave ends with, and from when; null: at once. */
export type KeyEnd = (proofId: string, at: number | null) => void

export class Keys implements Verifier, Lifecycle {
  readonly #store: KeyStore
  readonly #clock: Clock
  readonly #log: Log
  readonly #roles: Roles
  readonly #byHash = new Map<string, Held>()
  readonly #byId = new Map<string, Held>()
  readonly #listeners = new Set<KeyEnd>()
  /** The one whose secret stands in a file of ours. */
  #adminId: KeyId | null = null
  #cancelTimer: (() => void) | null = null

  constructor(options: KeysOptions) {
    this.#store = options.store
    this.#clock = options.clock
    this.#log = options.log
    this.#roles = options.roles
    this.configure(options.configured)
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

  /** Of one tenant. Those that were made first come first, those of the configuration last. */
  list(tenant: string): readonly KeyView[] {
    const all = [...this.#byId.values()].filter((held) => held.tenant === tenant)
    return [...all.filter(({ fromConfig }) => !fromConfig), ...all.filter(({ fromConfig }) => fromConfig)].map(viewOf)
  }

  find(id: KeyId): KeyView | null {
    const held = this.#byId.get(id)
    return held === undefined ? null : viewOf(held)
  }

  /** `secret` is what the holder must keep; it cannot be had again. */
  async create(key: NewKey): Promise<{ readonly record: KeyView; readonly secret: string }> {
    const now = this.#clock.now()
    checkRoom(key.tenant, this.#byId.values(), ({ record }) => standing(record, now) === null)
    const id = newKeyId(now)
    const secret = newSecret(id)
    return { record: await this.#add(id, key, secret), secret }
  }

  /**
   * The same key with another secret. The one before is good for `graceMs` more; what it holds open then ends, at once if that is 0.
   * Null: no valid key has this id.
   */
  async rotate(id: KeyId, graceMs: number): Promise<{ readonly record: KeyView; readonly secret: string } | null> {
    const held = this.#byId.get(id)
    const now = this.#clock.now()
    if (held === undefined || standing(held.record, now) !== null) return null
    refuseConfigured(held)
    if (id === this.#adminId) {
      throw new ConflictError(
        'This is the key in .openclaw/admin.key. To replace it revoke it, remove the file and start the gateway again.',
        {
          code: 'KEY_IN_FILE',
        },
      )
    }
    const secret = newSecret(id)
    const next = hash('sha256', secret)
    const until = graceMs > 0 ? now + graceMs : null
    if (!(await this.#store.rotate(id, next, until))) return null
    const { hash: last, previous } = held.record
    held.record = { ...held.record, hash: next, previous: until === null ? null : { hash: last, until } }
    this.#byHash.set(next, held)
    // One secret before the last is enough: an older one that still counted does no more.
    if (previous !== null) this.#forget(previous.hash)
    if (until === null) this.#forget(last)
    else this.#tell(secretId(last), until)
    return { record: viewOf(held), secret }
  }

  /** From when this resolves nobody gets in with it. False: none such, or revoked before. */
  async revoke(tenant: string, id: KeyId): Promise<boolean> {
    const now = this.#clock.now()
    const held = this.#byId.get(id)
    if (held?.tenant === tenant) refuseConfigured(held)
    const revoked = await this.#store.revoke(tenant, id, now)
    if (held?.tenant === tenant && held.record.revokedAt === null) held.record = { ...held.record, revokedAt: now }
    if (revoked) this.#tell(id, null)
    return revoked
  }

  /** Who a token proves. The comparison is of digests by a table, which tells an attacker nothing about the secret. */
  verify(token: string): KeyProof | Refusal {
    if (!SHAPE.test(token)) return 'malformed'
    const digest = hash('sha256', token)
    const held = this.#byHash.get(digest)
    return held === undefined ? 'unknown' : this.#proof(held, digest)
  }

  /** What a key proves by its id alone, for those who hold something signed by us that names it and the secret that opened it. */
  proofOf(id: string, secret?: string): KeyProof | Refusal {
    const held = this.#byId.get(id)
    if (held === undefined) return 'unknown'
    const { hash: current, previous } = held.record
    if (secret === undefined || secret === secretId(current)) return this.#proof(held, current)
    return previous !== null && secret === secretId(previous.hash) ? this.#proof(held, previous.hash) : 'revoked'
  }

  async authenticate(token: string): Promise<Principal | null> {
    const proof = this.verify(token)
    return typeof proof === 'string' ? null : proof.principal
  }

  /** Calls `listen` when what a key proved ends before its time, until the returned function is called. */
  onEnd(listen: KeyEnd): () => void {
    this.#listeners.add(listen)
    return () => this.#listeners.delete(listen)
  }

  /** Other keys of the configuration. Those that are gone, or give something else now, end what they hold open. */
  configure(configured: readonly ConfiguredKey[]): void {
    const before = new Map([...this.#byId].filter(([, { fromConfig }]) => fromConfig))
    for (const [id, { record }] of before) {
      this.#byId.delete(id)
      this.#byHash.delete(record.hash)
    }
    for (const key of configured) {
      const id = asKeyId(`config:${key.name}`)
      const held: Held = { record: configuredRecord(id, key), tenant: key.tenant, fromConfig: true, usedAt: before.get(id)?.usedAt ?? 0 }
      this.#byId.set(id, held)
      this.#byHash.set(key.sha256, held)
      const old = before.get(id)
      if (old !== undefined && old.tenant === held.tenant && JSON.stringify(old.record) === JSON.stringify(held.record)) before.delete(id)
    }
    for (const id of before.keys()) this.#tell(id, null)
  }

  /**
   * The operator's key, whose secret stands in `file`. Made at first start; taken up again when the database was removed and the file
   * was not. A key that was revoked stays revoked.
   */
  async ensureAdmin(file: string): Promise<{ readonly id: KeyId; readonly made: boolean }> {
    const id = newKeyId(this.#clock.now())
    const kept = await privateFile(file, () => newSecret(id))
    if (!SHAPE.test(kept.text)) {
      throw new InvalidError(`${file} holds no API key. Remove the file: a new key is made at the next start.`, {
        code: 'ADMIN_KEY_DAMAGED',
      })
    }
    if (kept.wasExposed)
      this.#log.warn({ file }, 'The admin key could be read by others; its mode is 0600 now. Revoke it if it may be known.')
    const known = this.#byHash.get(hash('sha256', kept.text))
    const record =
      known?.record ?? (await this.#add(id, { tenant: DEFAULT_TENANT, name: 'admin', scopes: ['*'], expiresAt: null }, kept.text))
    this.#adminId = record.id
    return { id: record.id, made: known === undefined && kept.made }
  }

  async #add(id: KeyId, key: NewKey, secret: string): Promise<KeyView> {
    const record: KeyRecord = {
      id,
      tenant: key.tenant,
      name: key.name,
      hash: hash('sha256', secret),
      scopes: key.scopes,
      roles: key.roles ?? [],
      createdAt: this.#clock.now(),
      createdBy: key.by ?? null,
      expiresAt: key.expiresAt,
      revokedAt: null,
      lastUsedAt: null,
      previous: null,
    }
    await this.#store.add(record)
    return viewOf(this.#hold(record))
  }

  #hold(record: KeyRecord): Held {
    const held: Held = { record, tenant: record.tenant, fromConfig: false, usedAt: 0 }
    this.#byHash.set(record.hash, held)
    if (record.previous !== null) this.#byHash.set(record.previous.hash, held)
    this.#byId.set(record.id, held)
    return held
  }

  /** Each proof has a principal of its own: the secret before the last ends earlier than the key. */
  #proof(held: Held, digest: string): KeyProof | Refusal {
    const { record, tenant } = held
    const ended = standing(record, this.#clock.now())
    if (ended !== null) return ended
    const until = record.previous?.hash === digest ? record.previous.until : null
    if (until !== null && until <= this.#clock.now()) return 'revoked'
    const { roles } = record
    const scopes = new Set([...record.scopes, ...this.#roles.permissions(tenant, roles)])
    return {
      principal: { id: record.name, credential: record.id, tenant, scopes },
      by: 'key',
      roles,
      secretId: secretId(digest),
      expiresAt: earlier(record.expiresAt, until),
      endsWith: [record.id, secretId(digest), ...this.#roles.proofIds(tenant, roles)],
      touch(now) {
        held.usedAt = now
      },
    }
  }

  #forget(digest: string): void {
    this.#byHash.delete(digest)
    this.#tell(secretId(digest), null)
  }

  #tell(proofId: string, at: number | null): void {
    for (const listen of this.#listeners) listen(proofId, at)
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
      if (held.fromConfig || at === null || at === held.record.lastUsedAt) continue
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

/** `ock_live_<8 of the id>_<256 random bits>`: what scanners for leaked keys can find. */
export const newSecret = (id: KeyId): string => `ock_live_${id.slice(-8)}_${randomBytes(32).toString('base64url')}`

/** Why it counts no more; null: it does. */
function standing({ revokedAt, expiresAt }: KeyRecord, now: number): 'revoked' | 'expired' | null {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && expiresAt <= now ? 'expired' : null
}

/** Enough of the digest to tell secrets of one key apart. */
const secretId = (digest: string): string => `secret:${digest.slice(0, 16)}`

const earlier = (a: number | null, b: number | null): number | null => (a === null || b === null ? (a ?? b) : Math.min(a, b))

const viewOf = (held: Held): KeyView => ({
  ...held.record,
  tenant: held.tenant,
  fromConfig: held.fromConfig,
  lastUsedAt: lastUse(held),
})

const configuredRecord = (id: KeyId, { name, tenant, sha256, scopes, roles }: ConfiguredKey): KeyRecord => ({
  id,
  tenant,
  name,
  hash: sha256,
  scopes,
  roles,
  createdAt: 0,
  createdBy: null,
  expiresAt: null,
  revokedAt: null,
  lastUsedAt: null,
  previous: null,
})

function refuseConfigured({ fromConfig, record }: Held): void {
  if (!fromConfig) return
  throw new ConflictError(`Key ${record.name} stands in openclaw.yaml. Change it there, below \`keys\`.`, { code: 'KEY_IN_CONFIG' })
}

/** To the minute. */
function lastUse(held: Held): number | null {
  const seen = Math.floor(held.usedAt / MINUTE_MS) * MINUTE_MS
  return seen > (held.record.lastUsedAt ?? 0) ? seen : held.record.lastUsedAt
}
