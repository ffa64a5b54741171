/**
 * Webhooks: who is told, what happened, and what became of telling it. An event is written in the transaction that caused it, with one
 * delivery for each webhook of its tenant that subscribes to it; nothing is written where none does.
 */
import type { JsonObject } from '../envelope.ts'
import type { EventType } from '../event.ts'
import type { DeadLetterId, EventId, WebhookDeliveryId, WebhookId } from '../ids.ts'
import type { Failure } from '../message.ts'

export interface WebhookRecord {
  readonly id: WebhookId
  readonly seq: number
  readonly tenant: string
  readonly url: string
  readonly description: string | null
  /** Types, or patterns of `EVENT_PATTERNS`. */
  readonly events: readonly string[]
  /** fifo: one at a time, in the order of the events; one that fails holds up all behind it until it is over. */
  readonly ordering: 'none' | 'fifo'
  /** No more attempts than that begin within one second; null: as many as there are. */
  readonly maxPerSecond: number | null
  /** Newest first. */
  readonly secrets: readonly SealedSecret[]
  readonly status: 'enabled' | 'disabled'
  /** manual: by whoever manages it. failing: nothing but failures for days. gone: the receiver answered 410. null: it is enabled. */
  readonly disabledReason: 'manual' | 'failing' | 'gone' | null
  /** Since when nothing but failures came; null: the last attempt succeeded, or there was none. */
  readonly failingSince: number | null
  readonly failures: number
  /** Grows with each change that somebody makes. */
  readonly version: number
  readonly createdAt: number
  readonly updatedAt: number
}
export type WebhookCount = Pick<WebhookRecord, 'status' | 'disabledReason'> & { readonly count: number }
export interface SealedSecret {
  readonly sealed: string
  /** null: the current one. Older ones sign beside it until then. */
  readonly expiresAt: number | null
  /** The ed25519 key that signs as well; absent: none. */
  readonly pair?: SealedPair
}
export interface SealedPair {
  /** The private key. */
  readonly sealed: string
  /** `whpk_…`: for whoever verifies, and no secret. */
  readonly publicKey: string
}

export type NewWebhook = Pick<
  WebhookRecord,
  'id' | 'tenant' | 'url' | 'description' | 'events' | 'ordering' | 'maxPerSecond' | 'secrets' | 'createdAt'
>
export type WebhookChange = Partial<
  Pick<WebhookRecord, 'url' | 'description' | 'events' | 'ordering' | 'maxPerSecond' | 'status' | 'secrets'>
>

/**
 * pending → ok | failed | dead | skipped. failed: over without a dead letter, because the receiver wants no more of it, or because it was a
 * single attempt. skipped: its webhook was disabled. What is over can be recovered: pending again, with a fresh count of attempts.
 */
export type WebhookDeliveryStatus = 'pending' | 'ok' | 'failed' | 'dead' | 'skipped'

export interface WebhookEvent {
  readonly id: EventId
  readonly type: string
  readonly createdAt: number
  readonly data: JsonObject
}
export interface WebhookDelivery {
  readonly id: WebhookDeliveryId
  readonly seq: number
  readonly webhook: WebhookId
  readonly event: WebhookEvent
  readonly status: WebhookDeliveryStatus
  /** One attempt that somebody asked for: a test or a repeat. It counts for no streak and is made also where the webhook is disabled. */
  readonly isSingle: boolean
  readonly attempts: number
  readonly dueAt: number | null
  readonly createdAt: number
  readonly doneAt: number | null
}
export interface WebhookAttempt {
  /** From 1, over the whole life of the delivery. */
  readonly number: number
  readonly at: number
  readonly latencyMs: number
  /** HTTP status; null: there was no answer. */
  readonly status: number | null
  /** null: it succeeded. */
  readonly error: Failure | null
  readonly requestHeaders: { readonly [name: string]: string }
  /** The beginning of what was answered; null: nothing. */
  readonly response: string | null
  readonly isCut: boolean
}

export interface DueDelivery {
  readonly seq: number
  readonly id: WebhookDeliveryId
  /** `seq` of its webhook. */
  readonly webhook: number
  readonly isSingle: boolean
  /** Attempts before. */
  readonly attempts: number
  readonly event: WebhookEvent
  /** Of what led to the event; null: not known. */
  readonly traceparent: string | null
}
export interface DueDeliveries {
  readonly deliveries: readonly DueDelivery[]
  /** Of these deliveries. */
  readonly webhooks: readonly WebhookRecord[]
  /** When the next one is due that is not now; null: there is none. */
  readonly nextAt: number | null
  /** There may be more that is due now: behind what is held, or after the first of an order. Ask again when some of it is settled. */
  readonly isMore: boolean
}

/** How one attempt ended, and what follows. */
export interface Settlement {
  /** `seq` of the delivery. */
  readonly delivery: number
  readonly attempt: Omit<WebhookAttempt, 'number'>
  readonly next:
    | { readonly is: 'ok' | 'failed' }
    | { readonly is: 'again'; readonly at: number }
    | { readonly is: 'dead'; readonly deadLetter: DeadLetterId }
    /** The receiver wants nothing any more: the webhook is disabled. */
    | { readonly is: 'gone' }
}
/** What a settlement meant for its webhook. */
export type WebhookNotice =
  | { readonly webhook: WebhookId; readonly is: 'failing'; readonly percent: number }
  | { readonly webhook: WebhookId; readonly is: 'disabled'; readonly reason: 'failing' | 'gone' }

export interface Recovery {
  readonly since: number
  readonly until: number
  readonly statuses: readonly ('failed' | 'dead' | 'skipped')[]
}

export interface WebhookStore {
  /** False: the tenant has `most` already. */
  add(webhook: NewWebhook, most: number): Promise<boolean>
  get(tenant: string, id: WebhookId): Promise<WebhookRecord | null>
  list(tenant: string, before: number | null, limit: number): Promise<readonly WebhookRecord[]>
  /** `version`: only if it is still that one. Enabling ends the streak of failures; disabling skips what is pending. */
  change(
    tenant: string,
    id: WebhookId,
    change: WebhookChange,
    at: { readonly version: number | null; readonly now: number },
  ): Promise<WebhookRecord | 'missing' | 'changed'>
  /** With its deliveries, which go little by little, and their dead letters. */
  remove(tenant: string, id: WebhookId, now: number): Promise<boolean>

  /** For what has no other transaction of its own. */
  emit(event: { readonly tenant: string; readonly type: EventType; readonly data: JsonObject; readonly now: number }): Promise<void>
  /** Calls `listen` after events were stored, until the returned function is called. */
  onEvents(listen: () => void): () => void

  /**
   * What can be tried now, oldest first, of each webhook at most `limit` together with those that the caller `holds`, by their numbers; of a
   * webhook in order only its first. Writes nothing: whoever asks keeps in mind what it took.
   */
  due(now: number, holds: readonly number[], limit: number): Promise<DueDeliveries>
  settle(settlements: readonly Settlement[]): Promise<readonly WebhookNotice[]>
  pending(): Promise<number>
  /** How many webhooks there are of each kind that there is one of, over all tenants. */
  census(): Promise<readonly WebhookCount[]>

  /** A `webhook.test` event, as a single attempt. null: there is no such webhook. */
  test(tenant: string, id: WebhookId, now: number): Promise<WebhookDelivery | null>
  /** The same event once more, as a single attempt. null: there is no such delivery. */
  redeliver(tenant: string, id: WebhookDeliveryId, now: number): Promise<WebhookDelivery | null>
  /** Deliveries that are over are pending again, oldest first, at most `limit`; answers how many. */
  recover(tenant: string, id: WebhookId, recovery: Recovery, limit: number, now: number): Promise<number | 'missing' | 'disabled'>
  deliveries(
    filter: { readonly tenant: string; readonly webhook: WebhookId; readonly status?: WebhookDeliveryStatus; readonly type?: string },
    before: number | null,
    limit: number,
  ): Promise<readonly WebhookDelivery[]>
  delivery(
    tenant: string,
    id: WebhookDeliveryId,
  ): Promise<{ readonly delivery: WebhookDelivery; readonly attempts: readonly WebhookAttempt[] } | null>
}
