/**
 * T6 and T7: what has to be pushed, what was tried, how it ended. What is posted without a message and what a platform says
 * later is posting.ts's.
 */
import { ConflictError, asDeliveryId, asMessageId, isTraceparent } from '#contract'
import type {
  DeadLetterId,
  DeliveryEnd,
  DeliveryNews,
  DeliveryStatus,
  Failure,
  MessageId,
  OutboxItem,
  OutboxStore,
  Rendered,
  ReplyView,
} from '#contract'
import type { Handlers } from './command.ts'
import { insertLetter } from './letter-row.ts'
import { toFailure } from './message-row.ts'
import type { Sql } from './sql.ts'

export interface OutboxRow {
  readonly seq: number
  readonly id: string
  readonly tenant: string
  readonly status: DeliveryStatus
  readonly channel: string
  readonly lane: string
  readonly message: string
  readonly part: number
  readonly parts: number
  readonly attempts: number
  readonly due_at: number
  readonly error_code: string | null
  readonly error_message: string | null
  readonly created_at: number
  readonly address: string
  readonly rendered: string
  readonly asked: number
  readonly platform_id: string | null
  readonly done_at: number | null
  readonly news: DeliveryNews['state'] | null
}

/** What led to it stands with the message that it answers. */
interface ItemRow extends OutboxRow {
  readonly traceparent?: string | null
}
const TRACEPARENT = `(SELECT json_extract(c.envelope, '$.metadata.traceparent') FROM inbox i JOIN inbox_content c ON c.seq = i.seq
  WHERE i.id = outbox.message) AS traceparent`

export const OUTBOX_COLUMNS = `seq, id, tenant, status, channel, lane, message, part, parts, attempts, due_at, error_code, error_message, created_at, address,
  rendered, asked, platform_id, done_at, news`

/** Of each lane the first unfinished part; the index holds nothing but unfinished ones. */
const HEADS = `WITH head AS (SELECT min(seq) AS seq FROM outbox
  WHERE open = 1 AND channel IN (SELECT value FROM json_each(?)) GROUP BY channel, lane)`

/** What the engine asks itself: small, and answered where it writes. */
export const outboxLooks: Handlers<Pick<OutboxStore, 'heads' | 'lane' | 'nextDue'>> = {
  heads: (sql, { channels, now, limit }) =>
    sql
      .all<OutboxRow>(
        `${HEADS} SELECT ${OUTBOX_COLUMNS} FROM head JOIN outbox USING (seq) WHERE due_at <= ? ORDER BY seq LIMIT ?`,
        JSON.stringify(channels),
        now,
        limit,
      )
      .map(toItem),
  lane: (sql, channel, lane, limit) =>
    sql
      .all<ItemRow>(
        `SELECT ${OUTBOX_COLUMNS}, ${TRACEPARENT} FROM outbox WHERE open = 1 AND channel = ? AND lane = ? ORDER BY seq LIMIT ?`,
        channel,
        lane,
        limit,
      )
      .map(toItem),
  nextDue: (sql, channels, now) =>
    sql.get<{ due: number | null }>(
      `${HEADS} SELECT min(due_at) AS due FROM head JOIN outbox USING (seq) WHERE due_at > ?`,
      JSON.stringify(channels),
      now,
    )?.due ?? null,
}

export const outboxReads: Handlers<Pick<OutboxStore, 'pending' | 'counts'>> = {
  pending: (sql) => sql.get<{ n: number }>('SELECT count(*) AS n FROM outbox WHERE open = 1')?.n ?? 0,
  counts(sql) {
    const counts = { pending: 0, sending: 0, sent: 0, unknown: 0, dead: 0 }
    const rows = sql.all<{ status: DeliveryStatus; count: number }>('SELECT status, count(*) AS count FROM outbox GROUP BY status')
    for (const { status, count } of rows) counts[status] = count
    return counts
  },
}

const toItem = (row: ItemRow): OutboxItem => ({
  id: asDeliveryId(row.id),
  seq: row.seq,
  messageId: messageOf(row),
  channel: row.channel,
  lane: row.lane,
  to: JSON.parse(row.address),
  rendered: JSON.parse(row.rendered),
  index: row.part,
  of: row.parts,
  attempt: row.attempts,
  status: row.status === 'sending' ? 'sending' : 'pending',
  asked: row.asked,
  dueAt: row.due_at,
  createdAt: row.created_at,
  ...(typeof row.traceparent === 'string' && isTraceparent(row.traceparent) && { traceparent: row.traceparent }),
})

/** null: it was posted without one. */
export const messageOf = (row: OutboxRow): MessageId | null => (row.message === '' ? null : asMessageId(row.message))

export const outboxWrites: Handlers<Pick<OutboxStore, 'sending' | 'finish'>> = {
  sending(sql, id) {
    const row = unfinished(sql, id)
    sql.run(`UPDATE outbox SET status = 'sending', attempts = attempts + 1, asked = 0 WHERE seq = ?`, row.seq)
    return row.attempts + 1
  },
  finish(sql, id, end, now) {
    const row = unfinished(sql, id)
    switch (end.status) {
      case 'sent':
        sql.run(
          `UPDATE outbox SET status = 'sent', open = 0, platform_id = ?, done_at = ?, news = NULL, error_code = NULL, error_message = NULL
           WHERE seq = ?`,
          end.platformId,
          now,
          row.seq,
        )
        break
      case 'retry':
        retry(sql, row, end)
        break
      case 'confirm':
        holdForAnswer(sql, row, end)
        break
      case 'dead':
      case 'unknown':
        giveUp(sql, row, { ...end, now })
        break
    }
  },
}

function unfinished(sql: Sql, id: string): OutboxRow {
  const row = sql.get<OutboxRow>(`SELECT ${OUTBOX_COLUMNS} FROM outbox WHERE id = ? AND open = 1`, id)
  if (row === undefined) throw new ConflictError(`Delivery ${id} is finished or unknown.`, { code: 'DELIVERY_OVER' })
  return row
}

function retry(sql: Sql, row: OutboxRow, end: Extract<DeliveryEnd, { status: 'retry' }>): void {
  sql.run(
    `UPDATE outbox SET status = 'pending', attempts = max(0, attempts - ?), due_at = ?, error_code = ?, error_message = ? WHERE seq = ?`,
    end.counted ? 0 : 1,
    end.at,
    end.failure.code,
    end.failure.message,
    row.seq,
  )
  if (end.to !== null) sql.run('UPDATE outbox SET address = ? WHERE seq = ?', JSON.stringify(end.to), row.seq)
  if (end.plain) sql.run('UPDATE outbox SET rendered = ? WHERE seq = ?', JSON.stringify(plain(JSON.parse(row.rendered))), row.seq)
}

const plain = ({ plain, ...rendered }: Rendered): Rendered => ({ ...rendered, text: plain ?? rendered.text })

function holdForAnswer(sql: Sql, row: OutboxRow, end: Extract<DeliveryEnd, { status: 'confirm' }>): void {
  sql.run(
    'UPDATE outbox SET due_at = ?, asked = asked + ?, error_code = ?, error_message = ? WHERE seq = ?',
    end.at,
    end.counted ? 1 : 0,
    end.failure.code,
    end.failure.message,
    row.seq,
  )
  if (end.to !== null) sql.run('UPDATE outbox SET address = ? WHERE seq = ?', JSON.stringify(end.to), row.seq)
}

export function giveUp(
  sql: Sql,
  row: OutboxRow,
  end: { readonly status: 'dead' | 'unknown'; readonly failure: Failure; readonly deadLetter: DeadLetterId; readonly now: number },
): void {
  sql.run(
    'UPDATE outbox SET status = ?, open = 0, done_at = ?, error_code = ?, error_message = ? WHERE seq = ?',
    end.status,
    end.now,
    end.failure.code,
    end.failure.message,
    row.seq,
  )
  const session = sql.get<{ key: string }>('SELECT s.key FROM outbox o JOIN session s ON s.seq = o.session WHERE o.seq = ?', row.seq)
  insertLetter(sql, {
    id: end.deadLetter,
    tenant: row.tenant,
    kind: 'delivery',
    ref: row.id,
    channel: row.channel,
    session: session?.key ?? null,
    reason: end.failure,
    attempts: row.attempts,
    content: {
      id: row.id,
      message_id: messageOf(row),
      lane: row.lane,
      to: JSON.parse(row.address),
      rendered: JSON.parse(row.rendered),
      index: row.part,
      of: row.parts,
    },
    now: end.now,
  })
}

/** Replies as the API shows them: a range of the outbox. */
export function replies(sql: Sql, where: string, ...values: readonly (string | number)[]): readonly ReplyView[] {
  return sql.all<OutboxRow>(`SELECT ${OUTBOX_COLUMNS} FROM outbox WHERE ${where}`, ...values).map((row) => ({
    id: asDeliveryId(row.id),
    seq: row.seq,
    messageId: asMessageId(row.message),
    ...saidIn(JSON.parse(row.rendered)),
    index: row.part,
    of: row.parts,
    status: row.status,
    attempts: row.attempts,
    error: toFailure(row.error_code, row.error_message),
    createdAt: row.created_at,
  }))
}

const saidIn = ({ text, extra }: Rendered): Pick<ReplyView, 'text' | 'extra'> => ({ text, ...(extra !== undefined && { extra }) })

export const textOf = (rendered: Rendered): string => rendered.text
