/** The port of webhooks, as far as people manage them. What the engine does is webhook-engine.ts, what became of deliveries webhook-log.ts. */
import type { WebhookCount, WebhookStore } from '#contract'
import type { Handlers } from './command.ts'
import { forgetTakers } from './events.ts'
import { disable, findWebhook, skipPending, toWebhook } from './webhook-row.ts'
import type { WebhookRow } from './webhook-row.ts'

export const webhookReads: Handlers<Pick<WebhookStore, 'get' | 'list' | 'pending' | 'census'>> = {
  get(sql, tenant, id) {
    const row = findWebhook(sql, tenant, id)
    return row === undefined ? null : toWebhook(row)
  },
  list: (sql, tenant, before, limit) =>
    sql
      .all<WebhookRow>(
        'SELECT * FROM webhook WHERE tenant = ? AND seq < ? ORDER BY seq DESC LIMIT ?',
        tenant,
        before ?? Number.MAX_SAFE_INTEGER,
        limit,
      )
      .map(toWebhook),
  pending: (sql) => sql.get<{ count: number }>('SELECT count(*) AS count FROM webhook_delivery WHERE open = 1')?.count ?? 0,
  census: (sql) =>
    sql.all<WebhookCount>(
      'SELECT status, disabled_reason AS disabledReason, count(*) AS count FROM webhook GROUP BY status, disabled_reason ORDER BY 1, 2',
    ),
}

export const webhookWrites: Handlers<Pick<WebhookStore, 'add' | 'change' | 'remove'>> = {
  add(sql, webhook, most) {
    const count = sql.get<{ count: number }>('SELECT count(*) AS count FROM webhook WHERE tenant = ?', webhook.tenant)?.count ?? 0
    if (count >= most) return false
    sql.run(
      `INSERT INTO webhook (id, tenant, url, description, events, ordering, max_per_second, secrets, status, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'enabled', ?, ?)`,
      webhook.id,
      webhook.tenant,
      webhook.url,
      webhook.description,
      JSON.stringify(webhook.events),
      webhook.ordering,
      webhook.maxPerSecond,
      JSON.stringify(webhook.secrets),
      webhook.createdAt,
      webhook.createdAt,
    )
    forgetTakers(sql)
    return true
  },
  change(sql, tenant, id, change, { version, now }) {
    const row = findWebhook(sql, tenant, id)
    if (row === undefined) return 'missing'
    if (version !== null && row.version !== version) return 'changed'
    sql.run(
      `UPDATE webhook SET url = ?, description = ?, events = ?, ordering = ?, max_per_second = ?, secrets = ?, version = version + 1,
       updated_at = ? WHERE seq = ?`,
      change.url ?? row.url,
      change.description === undefined ? row.description : change.description,
      change.events === undefined ? row.events : JSON.stringify(change.events),
      change.ordering ?? row.ordering,
      change.maxPerSecond === undefined ? row.max_per_second : change.maxPerSecond,
      change.secrets === undefined ? row.secrets : JSON.stringify(change.secrets),
      now,
      row.seq,
    )
    if (change.status === 'disabled' && row.status === 'enabled') disable(sql, row.seq, 'manual', now)
    if (change.status === 'enabled' && row.status === 'disabled') {
      // What was pending then is not sent now, out of the blue; `recover` brings it back.
      skipPending(sql, row.seq, now, -1)
      sql.run(
        `UPDATE webhook SET status = 'enabled', disabled_reason = NULL, failing_since = NULL, failures = 0, warned = 0 WHERE seq = ?`,
        row.seq,
      )
    }
    forgetTakers(sql)
    const after = findWebhook(sql, tenant, id)
    return after === undefined ? 'missing' : toWebhook(after)
  },
  remove(sql, tenant, id, now) {
    const row = findWebhook(sql, tenant, id)
    if (row === undefined) return false
    sql.run('DELETE FROM webhook WHERE seq = ?', row.seq)
    sql.run(
      `UPDATE dead_letter SET status = 'discarded', settled_at = ? WHERE kind = 'webhook' AND status = 'open'
       AND ref IN (SELECT id FROM webhook_delivery WHERE webhook = ?)`,
      now,
      row.seq,
    )
    forgetTakers(sql)
    return true
  },
}
