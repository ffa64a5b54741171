/** Webhooks and their deliveries as rows, and how they read. The ports are webhooks.ts, webhook-engine.ts and webhook-log.ts. */
import { asEventId, asWebhookDeliveryId, asWebhookId } from '#contract'
import type { WebhookDelivery, WebhookDeliveryStatus, WebhookRecord } from '#contract'
import type { Sql } from './sql.ts'

export interface WebhookRow {
  readonly seq: number
  readonly id: string
  readonly tenant: string
  readonly url: string
  readonly description: string | null
  readonly events: string
  readonly ordering: WebhookRecord['ordering']
  readonly max_per_second: number | null
  readonly secrets: string
  readonly status: WebhookRecord['status']
  readonly disabled_reason: WebhookRecord['disabledReason']
  readonly failing_since: number | null
  readonly failures: number
  readonly warned: number
  readonly version: number
  readonly created_at: number
  readonly updated_at: number
}

export const findWebhook = (sql: Sql, tenant: string, id: string): WebhookRow | undefined =>
  sql.get<WebhookRow>('SELECT * FROM webhook WHERE id = ? AND tenant = ?', id, tenant)

export const toWebhook = (row: WebhookRow): WebhookRecord => ({
  id: asWebhookId(row.id),
  seq: row.seq,
  tenant: row.tenant,
  url: row.url,
  description: row.description,
  events: JSON.parse(row.events),
  ordering: row.ordering,
  maxPerSecond: row.max_per_second,
  secrets: JSON.parse(row.secrets),
  status: row.status,
  disabledReason: row.disabled_reason,
  failingSince: row.failing_since,
  failures: row.failures,
  version: row.version,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})

export interface DeliveryRow {
  readonly seq: number
  readonly id: string
  readonly webhook: number
  readonly webhook_id: string
  readonly tenant: string
  readonly status: WebhookDeliveryStatus
  readonly open: number
  readonly single: number
  readonly attempts: number
  readonly due_at: number
  readonly created_at: number
  readonly done_at: number | null
  readonly event: number
  readonly event_id: string
  readonly type: string
  readonly event_at: number
  readonly data: string
  readonly traceparent: string | null
}

/** With its event and its webhook, which is there: the deliveries of a removed one are seen by nobody. */
export const DELIVERY = `SELECT d.*, w.id AS webhook_id, w.tenant, e.id AS event_id, e.created_at AS event_at, e.data, e.traceparent
  FROM webhook_delivery d JOIN webhook w ON w.seq = d.webhook JOIN webhook_event e ON e.seq = d.event`

export const toEvent = (row: Pick<DeliveryRow, 'event_id' | 'type' | 'event_at' | 'data'>): WebhookDelivery['event'] => ({
  id: asEventId(row.event_id),
  type: row.type,
  createdAt: row.event_at,
  data: JSON.parse(row.data),
})

export const toDelivery = (row: DeliveryRow): WebhookDelivery => ({
  id: asWebhookDeliveryId(row.id),
  seq: row.seq,
  webhook: asWebhookId(row.webhook_id),
  event: toEvent(row),
  status: row.status,
  isSingle: row.single === 1,
  attempts: row.attempts,
  dueAt: row.open === 1 ? row.due_at : null,
  createdAt: row.created_at,
  doneAt: row.done_at,
})

/** Disabled, by whoever: what is pending is skipped. Singles are not: they were asked for knowing it. */
export function disable(sql: Sql, webhook: number, reason: NonNullable<WebhookRecord['disabledReason']>, now: number): void {
  sql.run(`UPDATE webhook SET status = 'disabled', disabled_reason = ?, updated_at = ? WHERE seq = ?`, reason, now, webhook)
  skipPending(sql, webhook, now)
}

/** A backlog may be long: the rest is skipped when the webhook is looked at next, or enabled. */
const SKIPPED_AT_ONCE = 5_000

/** Answers whether there may be more. */
export function skipPending(sql: Sql, webhook: number, now: number, most: number = SKIPPED_AT_ONCE): boolean {
  const skipped = sql.run(
    `UPDATE webhook_delivery SET status = 'skipped', open = 0, done_at = ? WHERE seq IN
       (SELECT seq FROM webhook_delivery WHERE webhook = ? AND single = 0 AND open = 1 LIMIT ?)`,
    now,
    webhook,
    most,
  )
  return skipped === most
}

/** Retention. Numbers grow with time, so the walk ends at the first event that is young. */
export function pruneEvents(sql: Sql, before: number, limit: number): number {
  if (limit <= 0) return 0
  const old: number[] = []
  const events = sql.iterate<{ seq: number; created_at: number }>('SELECT seq, created_at FROM webhook_event ORDER BY seq')
  for (const { seq, created_at } of events) {
    if (created_at >= before || old.length === limit) break
    if (isOver(sql, seq, before)) old.push(seq)
  }
  for (const event of old) {
    for (const { seq, id } of sql.all<{ seq: number; id: string }>('SELECT seq, id FROM webhook_delivery WHERE event = ?', event)) {
      sql.run('DELETE FROM dead_letter WHERE ref = ?', id)
      sql.run('DELETE FROM webhook_attempt WHERE delivery = ?', seq)
      sql.run('DELETE FROM webhook_delivery WHERE seq = ?', seq)
    }
    sql.run('DELETE FROM webhook_event WHERE seq = ?', event)
  }
  return old.length
}

/** What a removed webhook left behind is over. */
const isOver = (sql: Sql, event: number, before: number): boolean =>
  sql.get(
    `SELECT 1 FROM webhook_delivery d JOIN webhook w ON w.seq = d.webhook WHERE d.event = ? AND (d.open = 1 OR d.done_at >= ?
       OR EXISTS (SELECT 1 FROM dead_letter l WHERE l.ref = d.id AND l.status = 'open'))`,
    event,
    before,
  ) === undefined
