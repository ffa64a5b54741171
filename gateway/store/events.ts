/**
 * What webhooks are told, written in the transaction that caused it: one event, and one delivery for each webhook of the tenant that
 * subscribes. Which those are is known from memory, so that nothing is paid for where nobody listens.
 */
import { EVENT_TYPES, newEventId, newWebhookDeliveryId, wantsEvent } from '#contract'
import type { EventId, EventType, JsonObject } from '#contract'
import type { Sql } from './sql.ts'

export interface Happening {
  readonly tenant: string
  readonly type: EventType
  readonly now: number
  /** Only asked for where somebody subscribes. */
  readonly data: () => JsonObject
  /** A webhook that is not told: what is said is about itself. */
  readonly except?: number
  /** Of what led to it. */
  readonly traceparent?: string | null | undefined
}

interface Taker {
  readonly seq: number
  readonly isEnabled: boolean
}
/** By tenant and type. */
type Takers = ReadonlyMap<string, readonly Taker[]>

export function emit(sql: Sql, { tenant, type, now, data, except, traceparent = null }: Happening): void {
  const takers = takersOf(sql).get(keyOf(tenant, type))
  if (takers === undefined) return
  const told = takers.filter(({ seq }) => seq !== except)
  if (told.length === 0) return
  const event = insertEvent(sql, { tenant, type, now, data: data(), traceparent })
  for (const taker of told) insertDelivery(sql, { webhook: taker.seq, event, type, now, isSkipped: !taker.isEnabled })
}

/** The same of each of these messages, by their numbers in the inbox. */
export function emitMessages(
  sql: Sql,
  seqs: readonly number[],
  { type, now, more }: { readonly type: EventType; readonly now: number; readonly more: JsonObject },
): void {
  if (takersOf(sql).size === 0) return
  for (const seq of seqs) {
    const message = sql.get<{
      id: string
      tenant: string
      channel: string
      agent: string | null
      session: string | null
      traceparent: string | null
    }>(
      `SELECT i.id, i.tenant, i.channel, i.agent, s.key AS session, json_extract(c.envelope, '$.metadata.traceparent') AS traceparent
       FROM inbox i JOIN inbox_content c USING (seq) LEFT JOIN session s ON s.seq = i.session WHERE i.seq = ?`,
      seq,
    )
    if (message === undefined) continue
    const { id, tenant, channel, agent, session, traceparent } = message
    emit(sql, { tenant, type, now, traceparent, data: () => ({ message_id: id, channel, agent, session, ...more }) })
  }
}

/** After each change of a webhook. */
export const forgetTakers = (sql: Sql): void => sql.forget(TAKERS)

const TAKERS = 'webhook takers'

function takersOf(sql: Sql): Takers {
  return sql.remember(TAKERS, () => {
    const takers = new Map<string, Taker[]>()
    const rows = sql.all<{ seq: number; tenant: string; events: string; status: string }>('SELECT seq, tenant, events, status FROM webhook')
    for (const { seq, tenant, events, status } of rows) {
      const patterns: readonly string[] = JSON.parse(events)
      for (const type of EVENT_TYPES.filter((type) => wantsEvent(patterns, type))) {
        const key = keyOf(tenant, type)
        takers.set(key, [...(takers.get(key) ?? []), { seq, isEnabled: status === 'enabled' }])
      }
    }
    return takers
  })
}

const keyOf = (tenant: string, type: string): string => `${type}\n${tenant}`

export function insertEvent(
  sql: Sql,
  event: {
    readonly tenant: string
    readonly type: string
    readonly now: number
    readonly data: JsonObject
    readonly traceparent?: string | null
  },
): { readonly seq: number; readonly id: EventId } {
  const id = newEventId(event.now)
  const seq = sql.insert(
    'INSERT INTO webhook_event (id, tenant, type, created_at, data, traceparent) VALUES (?, ?, ?, ?, ?, ?)',
    id,
    event.tenant,
    event.type,
    event.now,
    JSON.stringify(event.data),
    event.traceparent ?? null,
  )
  return { seq, id }
}

export function insertDelivery(
  sql: Sql,
  delivery: {
    readonly webhook: number
    readonly event: { readonly seq: number }
    readonly type: string
    readonly now: number
    readonly isSkipped?: boolean
    readonly isSingle?: boolean
  },
): number {
  const isSkipped = delivery.isSkipped === true
  sql.tellNews()
  return sql.insert(
    `INSERT INTO webhook_delivery (id, webhook, event, type, status, open, single, due_at, created_at, done_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    newWebhookDeliveryId(delivery.now),
    delivery.webhook,
    delivery.event.seq,
    delivery.type,
    isSkipped ? 'skipped' : 'pending',
    isSkipped ? 0 : 1,
    delivery.isSingle === true ? 1 : 0,
    delivery.now,
    delivery.now,
    isSkipped ? delivery.now : null,
  )
}
