/**
 * Webhooks as those who manage them know them: made, changed, their secrets rotated, tried, and what was missed brought back. Sending is
 * engine.ts's; who may do what is decided before it comes here.
 */
import type { KeyObject } from 'node:crypto'
import { ConflictError, NotFoundError, UnavailableError, newWebhookId } from '#contract'
import type {
  Clock,
  EventType,
  JsonObject,
  Log,
  Metrics,
  NewWebhook,
  Outbound,
  Recovery,
  SealedPair,
  SealedSecret,
  WebhookChange,
  WebhookDelivery,
  WebhookDeliveryId,
  WebhookId,
  WebhookRecord,
  WebhookStore,
  Tracer,
} from '#contract'
import { WebhookEngine } from './engine.ts'
import { SecretBox } from './secret-box.ts'
import { checkSecret, newKeyPair, newSecret } from './secret.ts'

export interface WebhooksParts {
  readonly store: WebhookStore
  readonly outbound: Outbound
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly tracer: Tracer
  readonly random: () => number
  readonly version: string
}

export interface WebhookRequest extends Pick<NewWebhook, 'tenant' | 'url' | 'description' | 'events' | 'ordering' | 'maxPerSecond'> {
  /** `whsec_…` that the receiver has already; null: one is made. */
  readonly secret: string | null
  /** It signs with ed25519 too. */
  readonly hasKeyPair: boolean
}

/** Of one tenant. */
const MOST_WEBHOOKS = 100
/** Beside the current one. */
const MOST_OLD_SECRETS = 5
/** What is called off is sent again at the next start, so that one receiver that hangs need not hold up the end. */
const MOST_DRAIN_MS = 5_000
/** Brought back by one call. */
const MOST_RECOVERED = 10_000

export class Webhooks {
  readonly #parts: WebhooksParts
  readonly #engine: WebhookEngine
  #box: SecretBox | null = null

  constructor(parts: WebhooksParts) {
    this.#parts = parts
    this.#engine = new WebhookEngine({ ...parts, userAgent: `OpenClaw-Webhooks/${parts.version}` })
  }

  /** `secret`: the gateway's own, which seals those of webhooks. */
  start(secret: KeyObject): void {
    this.#box = new SecretBox(secret)
    this.#engine.start(this.#box)
  }

  /** What is on its way may end within the bound; nothing more is sent. */
  drain(drainMs: number): Promise<void> {
    return this.#engine.drain(Math.min(drainMs, MOST_DRAIN_MS))
  }

  /** For what has no transaction of its own; what cannot be written is told in the log and lost. */
  tell(type: EventType, data: JsonObject, tenant: string): void {
    const { store, clock, log } = this.#parts
    store
      .emit({ tenant, type, data, now: clock.now() })
      .catch((error: unknown) => log.warn({ type, error: asError(error) }, 'An event for webhooks was lost.'))
  }

  /** The secret is answered here and at a rotation, and nowhere else. */
  async create({
    secret: own,
    hasKeyPair,
    ...given
  }: WebhookRequest): Promise<{ readonly record: WebhookRecord; readonly secret: string }> {
    const { store, outbound, clock } = this.#parts
    outbound.check(given.url)
    if (own !== null) checkSecret(own)
    const now = clock.now()
    const id = newWebhookId(now)
    const secret = own ?? newSecret()
    const isAdded = await store.add({ ...given, id, secrets: [this.#sealed(secret, id, hasKeyPair)], createdAt: now }, MOST_WEBHOOKS)
    if (!isAdded) {
      throw new ConflictError(`There are ${MOST_WEBHOOKS} webhooks already, and no more may be. Delete one.`, { code: 'WEBHOOK_LIMIT' })
    }
    return { record: await this.get(given.tenant, id), secret }
  }

  async get(tenant: string, id: WebhookId): Promise<WebhookRecord> {
    const record = await this.#parts.store.get(tenant, id)
    if (record === null) throw noWebhook()
    return record
  }

  /** `version`: only if it is still that one. `hasKeyPair`: one is made, or all there are go; undefined: as it is. */
  async change(
    tenant: string,
    id: WebhookId,
    { hasKeyPair, ...change }: WebhookChange & { readonly hasKeyPair?: boolean },
    version: number | null,
  ): Promise<WebhookRecord> {
    const { store, outbound, clock } = this.#parts
    if (change.url !== undefined) outbound.check(change.url)
    // What is made of a version is written over that version only.
    const before = hasKeyPair === undefined ? null : await this.get(tenant, id)
    if (version !== null && before !== null && before.version !== version) throw wasChanged()
    const record = await store.change(
      tenant,
      id,
      before === null ? change : { ...change, secrets: this.#paired(before, hasKeyPair === true) },
      { version: before?.version ?? version, now: clock.now() },
    )
    if (record === 'missing') throw noWebhook()
    if (record === 'changed') throw wasChanged()
    this.#engine.forget(record)
    return record
  }

  async remove(tenant: string, id: WebhookId): Promise<void> {
    const { store, clock } = this.#parts
    const record = await this.get(tenant, id)
    if (!(await store.remove(tenant, id, clock.now()))) throw noWebhook()
    this.#engine.forget(record)
  }

  /** The old secrets sign beside the new one until their grace is over. */
  async rotate(
    tenant: string,
    id: WebhookId,
    graceMs: number,
  ): Promise<{ readonly record: WebhookRecord; readonly secret: string; readonly oldUntil: number | null }> {
    const now = this.#parts.clock.now()
    const before = await this.get(tenant, id)
    const secret = newSecret()
    const oldUntil = graceMs > 0 ? now + graceMs : null
    const old = before.secrets
      .map((each) => ({ ...each, expiresAt: Math.min(each.expiresAt ?? Infinity, oldUntil ?? now) }))
      .filter(({ expiresAt }) => expiresAt > now)
      .slice(0, MOST_OLD_SECRETS)
    const record = await this.change(tenant, id, { secrets: [this.#sealed(secret, id, isPaired(before)), ...old] }, before.version)
    return { record, secret, oldUntil }
  }

  /** Sent once, as soon as may be, also where the webhook is disabled. */
  async test(tenant: string, id: WebhookId): Promise<WebhookDelivery> {
    const delivery = await this.#parts.store.test(tenant, id, this.#parts.clock.now())
    if (delivery === null) throw noWebhook()
    return delivery
  }

  /** The same event under its id, once, signed with today's secret. */
  async redeliver(tenant: string, id: WebhookDeliveryId): Promise<WebhookDelivery> {
    const delivery = await this.#parts.store.redeliver(tenant, id, this.#parts.clock.now())
    if (delivery === null) throw noDelivery()
    return delivery
  }

  /** `isMore`: as many as one call brings back; there may be others. */
  async recover(tenant: string, id: WebhookId, recovery: Recovery): Promise<{ readonly count: number; readonly isMore: boolean }> {
    const { store, clock } = this.#parts
    const count = await store.recover(tenant, id, recovery, MOST_RECOVERED, clock.now())
    if (count === 'missing') throw noWebhook()
    if (count === 'disabled') {
      throw new ConflictError('The webhook is disabled. Enable it, then recover what it missed.', { code: 'WEBHOOK_DISABLED' })
    }
    return { count, isMore: count === MOST_RECOVERED }
  }

  #sealed(secret: string, id: WebhookId, withPair: boolean): SealedSecret {
    const box = this.#opened
    return { sealed: box.seal(secret, id), expiresAt: null, ...(withPair && { pair: newPair(box, id) }) }
  }

  /** The newest secret gets a pair, unless it has one; or none keeps any. */
  #paired({ secrets, id }: WebhookRecord, withPair: boolean): readonly SealedSecret[] {
    if (!withPair) return secrets.map(({ sealed, expiresAt }) => ({ sealed, expiresAt }))
    return secrets.map((each, i) => (i > 0 || each.pair !== undefined ? each : { ...each, pair: newPair(this.#opened, id) }))
  }

  get #opened(): SecretBox {
    if (this.#box !== null) return this.#box
    throw new UnavailableError('Webhooks are not started yet. Try again in a moment.', { code: 'WEBHOOKS_NOT_STARTED' })
  }
}

/** Whether it signs with ed25519 too. */
export const isPaired = ({ secrets }: WebhookRecord): boolean => secrets[0]?.pair !== undefined

function newPair(box: SecretBox, id: WebhookId): SealedPair {
  const { privateKey, publicKey } = newKeyPair()
  return { sealed: box.seal(privateKey, id), publicKey }
}

export const noDelivery = (): NotFoundError =>
  new NotFoundError('There is no delivery to a webhook with this id.', { code: 'WEBHOOK_DELIVERY_NOT_FOUND' })
const noWebhook = (): NotFoundError => new NotFoundError('There is no webhook with this id.', { code: 'WEBHOOK_NOT_FOUND' })
const wasChanged = (): ConflictError =>
  new ConflictError('The webhook was changed since it was read. Read it again, and decide again.', { code: 'PRECONDITION_FAILED' })
const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
