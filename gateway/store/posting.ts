/**
 * Deliveries beside the way of a message: parts that are posted without one, one delivery as it is shown, and what a
 * platform says of a part after it was sent. Sending itself is outbox.ts's.
 */
import { asDeliveryId } from '#contract'
import type { DeliveryNews, DeliveryView, OutboxStore } from '#contract'
import type { Handlers } from './command.ts'
import { toFailure } from './message-row.ts'
import { OUTBOX_COLUMNS, giveUp, messageOf, textOf } from './outbox.ts'
import type { OutboxRow } from './outbox.ts'

export const postingReads: Handlers<Pick<OutboxStore, 'get'>> = {
  get(sql, tenant, id) {
    const row = sql.get<OutboxRow>(`SELECT ${OUTBOX_COLUMNS} FROM outbox WHERE id = ? AND tenant = ?`, id, tenant)
    return row === undefined ? null : toView(row)
  },
}

const toView = (row: OutboxRow): DeliveryView => ({
  id: asDeliveryId(row.id),
  seq: row.seq,
  messageId: messageOf(row),
  channel: row.channel,
  lane: row.lane,
  to: JSON.parse(row.address),
  text: textOf(JSON.parse(row.rendered)),
  index: row.part,
  of: row.parts,
  status: row.status,
  attempts: row.attempts,
  error: toFailure(row.error_code, row.error_message),
  platformId: row.platform_id,
  news: row.news,
  createdAt: row.created_at,
  dueAt: row.status === 'pending' || row.status === 'sending' ? row.due_at : null,
  doneAt: row.done_at,
})

export const postingWrites: Handlers<Pick<OutboxStore, 'post' | 'news'>> = {
  post(sql, parts, now) {
    const [first] = parts
    if (first === undefined || sql.get('SELECT 1 FROM outbox WHERE id = ?', first.id) !== undefined) return false
    for (const part of parts) {
      sql.insert(
        `INSERT INTO outbox (id, tenant, status, open, channel, lane, session, message, part, parts, due_at, created_at, address, rendered)
         VALUES (?, ?, 'pending', 1, ?, ?, 0, '', ?, ?, ?, ?, ?, ?)`,
        part.id,
        part.tenant,
        part.channel,
        part.lane,
        part.index,
        part.of,
        now,
        now,
        JSON.stringify(part.to),
        JSON.stringify(part.rendered),
      )
    }
    return true
  },
  news(sql, { channel, platformId, news, deadLetter, now }) {
    // A platform may give an id again after a long time: the newest is meant.
    const row = sql.get<OutboxRow>(
      `SELECT ${OUTBOX_COLUMNS} FROM outbox WHERE channel = ? AND platform_id = ? ORDER BY seq DESC LIMIT 1`,
      channel,
      platformId,
    )
    // Where ids are made from ours, one that is sent again after a replay bears the id of its former life.
    if (row === undefined || row.status === 'sending') return 'unknown'
    if (row.status !== 'sent' || RANK[news.state] <= (row.news === null ? 0 : RANK[row.news])) return 'repeated'
    sql.run('UPDATE outbox SET news = ? WHERE seq = ?', news.state, row.seq)
    if (news.state === 'failed') giveUp(sql, row, { status: 'dead', failure: news.failure, deadLetter, now })
    return 'noted'
  },
}

/** News overtake each other on their way. */
const RANK: { readonly [State in DeliveryNews['state']]: number } = { delivered: 1, read: 2, failed: 3 }
