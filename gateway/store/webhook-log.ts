/** What became of events on their way to webhooks: listed, shown, tried once more, brought back by time. */
import { TEST_EVENT } from '#contract'
import type { WebhookAttempt, WebhookDelivery, WebhookStore } from '#contract'
import type { Handlers } from './command.ts'
import { insertDelivery, insertEvent } from './events.ts'
import type { Sql } from './sql.ts'
import { DELIVERY, findWebhook, toDelivery } from './webhook-row.ts'
import type { DeliveryRow } from './webhook-row.ts'

export const webhookLogReads: Handlers<Pick<WebhookStore, 'deliveries' | 'delivery'>> = {
  deliveries: (sql, { tenant, webhook, status, type }, before, limit) =>
    sql
      .all<DeliveryRow>(
        `${DELIVERY} WHERE w.id = ?1 AND w.tenant = ?2 AND d.seq < ?3 AND (?4 IS NULL OR d.status = ?4) AND (?5 IS NULL OR d.type = ?5)
         ORDER BY d.seq DESC LIMIT ?6`,
        webhook,
        tenant,
        before ?? Number.MAX_SAFE_INTEGER,
        status ?? null,
        type ?? null,
        limit,
      )
      .map(toDelivery),
  delivery(sql, tenant, id) {
    const row = find(sql, tenant, id)
    if (row === undefined) return null
    const attempts = sql.all<AttemptRow>('SELECT * FROM webhook_attempt WHERE delivery = ? ORDER BY number', row.seq)
    return { delivery: toDelivery(row), attempts: attempts.map(toAttempt) }
  },
}

export const webhookLogWrites: Handlers<Pick<WebhookStore, 'test' | 'redeliver' | 'recover'>> = {
  test(sql, tenant, id, now) {
    const webhook = findWebhook(sql, tenant, id)
    if (webhook === undefined) return null
    const event = insertEvent(sql, { tenant, type: TEST_EVENT, now, data: { webhook_id: id } })
    return single(sql, { webhook: webhook.seq, event, type: TEST_EVENT, now })
  },
  redeliver(sql, tenant, id, now) {
    const row = find(sql, tenant, id)
    if (row === undefined) return null
    return single(sql, { webhook: row.webhook, event: { seq: row.event }, type: row.type, now })
  },
  recover(sql, tenant, id, { since, until, statuses }, limit, now) {
    const webhook = findWebhook(sql, tenant, id)
    if (webhook === undefined) return 'missing'
    if (webhook.status === 'disabled') return 'disabled'
    const rows = sql.all<{ seq: number; id: string; status: string }>(
      `SELECT d.seq, d.id, d.status FROM webhook_delivery d JOIN webhook_event e ON e.seq = d.event
       WHERE d.webhook = ? AND d.open = 0 AND d.single = 0 AND e.created_at >= ? AND e.created_at < ?
       AND d.status IN (SELECT value FROM json_each(?)) ORDER BY d.seq LIMIT ?`,
      webhook.seq,
      since,
      until,
      JSON.stringify(statuses),
      limit,
    )
    for (const { seq, id: ref, status } of rows) {
      reopen(sql, seq, now)
      if (status !== 'dead') continue
      sql.run(`UPDATE dead_letter SET status = 'replayed', settled_at = ? WHERE ref = ? AND status = 'open'`, now, ref)
    }
    return rows.length
  },
}

/** Pending again, with a fresh count of attempts; the log of those before stays. */
export function reopen(sql: Sql, seq: number, now: number): void {
  sql.tellNews()
  sql.run(`UPDATE webhook_delivery SET status = 'pending', open = 1, attempts = 0, due_at = ?, done_at = NULL WHERE seq = ?`, now, seq)
}

function find(sql: Sql, tenant: string, id: string): DeliveryRow | undefined {
  return sql.get<DeliveryRow>(`${DELIVERY} WHERE d.id = ? AND w.tenant = ?`, id, tenant)
}

function single(sql: Sql, delivery: Parameters<typeof insertDelivery>[1]): WebhookDelivery | null {
  const seq = insertDelivery(sql, { ...delivery, isSingle: true })
  const row = sql.get<DeliveryRow>(`${DELIVERY} WHERE d.seq = ?`, seq)
  return row === undefined ? null : toDelivery(row)
}

interface AttemptRow {
  readonly number: number
  readonly at: number
  readonly latency_ms: number
  readonly status: number | null
  readonly error_code: string | null
  readonly error_message: string | null
  readonly request_headers: string
  readonly response: string | null
  readonly response_cut: number
}

const toAttempt = (row: AttemptRow): WebhookAttempt => ({
  number: row.number,
  at: row.at,
  latencyMs: row.latency_ms,
  status: row.status,
  error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? '' },
  requestHeaders: JSON.parse(row.request_headers),
  response: row.response,
  isCut: row.response_cut === 1,
})
