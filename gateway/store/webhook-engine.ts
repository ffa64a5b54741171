/**
 * What the delivery engine looks up and writes: what is due, how attempts ended, and what a streak of failures means for a webhook. When to
 * try again is the engine's to say.
 */
import { asWebhookDeliveryId } from '#contract'
import type { DeadLetterId, DueDelivery, Settlement, WebhookNotice, WebhookStore } from '#contract'
import type { Handlers } from './command.ts'
import { emit, forgetTakers } from './events.ts'
import { insertLetter } from './letter-row.ts'
import type { Sql } from './sql.ts'
import { DELIVERY, disable, skipPending, toEvent, toWebhook } from './webhook-row.ts'
import type { DeliveryRow, WebhookRow } from './webhook-row.ts'

export const webhookEngine: Handlers<Pick<WebhookStore, 'emit' | 'due' | 'settle'>> = {
  emit(sql, { tenant, type, data, now }) {
    emit(sql, { tenant, type, now, data: () => data })
  },
  due(sql, now, holds, limit) {
    const held = new Set(holds)
    const webhooks: WebhookRow[] = []
    const deliveries: DueDelivery[] = []
    let nextAt = Infinity
    let isMore = false
    for (const webhook of sql.all<WebhookRow>('SELECT * FROM webhook')) {
      const lanes = webhook.status === 'enabled' ? ([0, 1] as const) : ([1] as const)
      if (webhook.status === 'disabled' && skipPending(sql, webhook.seq, now)) nextAt = now
      let isTold = false
      for (const single of lanes) {
        const due = dueOf(sql, webhook, { single, now, limit })
        if (due.length === (inOrder(webhook, single) ? 1 : limit)) isMore = true
        const found = due.flatMap((seq) => (held.has(seq) ? [] : read(sql, seq)))
        deliveries.push(...found)
        if (found.length > 0) isTold = true
        nextAt = Math.min(nextAt, dueAfter(sql, webhook, { single, now }))
      }
      if (isTold) webhooks.push(webhook)
    }
    return { deliveries, webhooks: webhooks.map(toWebhook), nextAt: nextAt === Infinity ? null : nextAt, isMore }
  },
  settle: (sql, settlements) => settlements.flatMap((settlement) => settle(sql, settlement)),
}

interface Lane {
  readonly single: 0 | 1
  readonly now: number
}

/** Numbers only: those that are held need not be read whole. */
function dueOf(sql: Sql, webhook: WebhookRow, { single, now, limit }: Lane & { readonly limit: number }): readonly number[] {
  const due = inOrder(webhook, single)
    ? sql
        .all<{ seq: number; due_at: number }>(
          'SELECT seq, due_at FROM webhook_delivery WHERE webhook = ? AND single = 0 AND open = 1 ORDER BY seq LIMIT 1',
          webhook.seq,
        )
        .filter(({ due_at }) => due_at <= now)
    : sql.all<{ seq: number }>(
        'SELECT seq FROM webhook_delivery WHERE webhook = ? AND single = ? AND open = 1 AND due_at <= ? ORDER BY due_at, seq LIMIT ?',
        webhook.seq,
        single,
        now,
        limit,
      )
  return due.map(({ seq }) => seq)
}

function read(sql: Sql, seq: number): readonly DueDelivery[] {
  const row = sql.get<DeliveryRow>(`${DELIVERY} WHERE d.seq = ?`, seq)
  if (row === undefined) return []
  const { attempts, webhook, id, single, traceparent } = row
  return [{ seq, id: asWebhookDeliveryId(id), webhook, isSingle: single === 1, attempts, event: toEvent(row), traceparent }]
}

function dueAfter(sql: Sql, webhook: WebhookRow, { single, now }: Lane): number {
  const row = inOrder(webhook, single)
    ? sql.get<{ due_at: number }>(
        'SELECT due_at FROM webhook_delivery WHERE webhook = ? AND single = 0 AND open = 1 ORDER BY seq LIMIT 1',
        webhook.seq,
      )
    : sql.get<{ due_at: number }>(
        'SELECT due_at FROM webhook_delivery WHERE webhook = ? AND single = ? AND open = 1 AND due_at > ? ORDER BY due_at LIMIT 1',
        webhook.seq,
        single,
        now,
      )
  return row !== undefined && row.due_at > now ? row.due_at : Infinity
}

const inOrder = (webhook: WebhookRow, single: 0 | 1): boolean => webhook.ordering === 'fifo' && single === 0

function settle(sql: Sql, { delivery: seq, attempt, next }: Settlement): readonly WebhookNotice[] {
  const row = sql.get<DeliveryRow>(`${DELIVERY} WHERE d.seq = ?`, seq)
  // Its webhook was removed while it was on its way.
  if (row === undefined) return []
  const endedAt = attempt.at + attempt.latencyMs
  sql.run(
    `INSERT INTO webhook_attempt (delivery, number, at, latency_ms, status, error_code, error_message, request_headers, response, response_cut)
     SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM webhook_attempt WHERE delivery = ?1`,
    seq,
    attempt.at,
    attempt.latencyMs,
    attempt.status,
    attempt.error?.code ?? null,
    attempt.error?.message ?? null,
    JSON.stringify(attempt.requestHeaders),
    attempt.response,
    attempt.isCut ? 1 : 0,
  )
  const status = next.is === 'again' ? row.status : next.is === 'gone' ? 'failed' : next.is
  // It was skipped or recovered while it was on its way: what came of it stands in the log and changes that no more, unless it arrived.
  if (row.open === 0 && next.is !== 'ok') return []
  sql.run(
    'UPDATE webhook_delivery SET status = ?, open = ?, attempts = attempts + 1, due_at = ?, done_at = ? WHERE seq = ?',
    status,
    next.is === 'again' ? 1 : 0,
    next.is === 'again' ? next.at : row.due_at,
    next.is === 'again' ? null : endedAt,
    seq,
  )
  if (next.is === 'dead') bury(sql, row, { ...next, attempt, now: endedAt })
  return row.single === 1 ? [] : judge(sql, row.webhook, next.is, endedAt)
}

function bury(
  sql: Sql,
  row: DeliveryRow,
  { deadLetter, attempt, now }: { readonly deadLetter: DeadLetterId; readonly attempt: Settlement['attempt']; readonly now: number },
): void {
  insertLetter(sql, {
    id: deadLetter,
    tenant: row.tenant,
    kind: 'webhook',
    ref: row.id,
    channel: '',
    session: null,
    reason: attempt.error ?? { code: 'WEBHOOK_REFUSED', message: 'All attempts failed.' },
    attempts: row.attempts + 1,
    content: { webhook: row.webhook_id, event: { ...toEvent(row) } },
    now,
  })
}

/** A webhook to which nothing came through for so long is disabled; there were warnings. */
const DISABLED_AFTER_MS = 5 * 24 * 3_600_000
const WARNED_AT: readonly number[] = [50, 70, 90]

/**
 * Judged at failures only: a webhook with nothing to send fails at nothing. That the last failure is days after the first also means that
 * no single bad hour disables it.
 */
function judge(sql: Sql, seq: number, is: Settlement['next']['is'], now: number): readonly WebhookNotice[] {
  const webhook = sql.get<WebhookRow>('SELECT * FROM webhook WHERE seq = ?', seq)
  if (webhook === undefined) return []
  if (is === 'ok') {
    if (webhook.failing_since !== null) sql.run('UPDATE webhook SET failing_since = NULL, failures = 0, warned = 0 WHERE seq = ?', seq)
    return []
  }
  if (is === 'failed' || webhook.status === 'disabled') return []
  if (is === 'gone') return [shut(sql, webhook, 'gone', now)]
  const since = webhook.failing_since ?? now
  const percent = Math.floor(((now - since) / DISABLED_AFTER_MS) * 100)
  if (percent >= 100) return [shut(sql, webhook, 'failing', now)]
  const warned = WARNED_AT.findLast((mark) => percent >= mark) ?? 0
  sql.run(
    'UPDATE webhook SET failing_since = ?, failures = failures + 1, warned = ? WHERE seq = ?',
    since,
    Math.max(warned, webhook.warned),
    seq,
  )
  if (warned <= webhook.warned) return []
  tell(sql, webhook, { type: 'endpoint.failing', now, more: { percent: warned, failing_since: new Date(since).toISOString() } })
  return [{ webhook: toWebhook(webhook).id, is: 'failing', percent: warned }]
}

function shut(sql: Sql, webhook: WebhookRow, reason: 'failing' | 'gone', now: number): WebhookNotice {
  disable(sql, webhook.seq, reason, now)
  forgetTakers(sql)
  tell(sql, webhook, { type: 'endpoint.disabled', now, more: { reason } })
  return { webhook: toWebhook(webhook).id, is: 'disabled', reason }
}

/** To the tenant's other webhooks: this one does not listen. */
function tell(
  sql: Sql,
  { tenant, id, seq }: WebhookRow,
  {
    type,
    now,
    more,
  }: {
    readonly type: 'endpoint.failing' | 'endpoint.disabled'
    readonly now: number
    readonly more: { readonly [name: string]: string | number }
  },
): void {
  emit(sql, { tenant, type, now, except: seq, data: () => ({ webhook_id: id, ...more }) })
}
