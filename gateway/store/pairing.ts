/** Codes for strangers, and the senders who were let in by one. */
import { asDeliveryId } from '#contract'
import type { Grant, Pairing, PairingStore } from '#contract'
import type { Handlers } from './command.ts'
import type { Sql } from './sql.ts'

interface PairingRow {
  readonly channel: string
  readonly code: string
  readonly sender: string
  readonly aliases: string
  readonly status: Pairing['status']
  readonly created_at: number
  readonly expires_at: number
  readonly notice: string
  readonly noticed_at: number | null
}

interface GrantRow {
  readonly channel: string
  readonly sender: string
  readonly aliases: string
  readonly since: number
  readonly granted_by: string
}

export const pairingWrites: Handlers<PairingStore> = {
  pairings: (sql, now) =>
    sql.all<PairingRow>('SELECT * FROM pairing WHERE expires_at > ? ORDER BY created_at, channel, code', now).map(toPairing),
  grants: (sql) => sql.all<GrantRow>('SELECT * FROM access_grant ORDER BY since, channel, sender').map(toGrant),
  add(sql, pairing, now) {
    sql.run('DELETE FROM pairing WHERE expires_at <= ?', now)
    sql.run(
      'INSERT INTO pairing (channel, code, sender, aliases, status, created_at, expires_at, notice, noticed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      pairing.channel,
      pairing.code,
      pairing.sender,
      JSON.stringify(pairing.aliases),
      pairing.status,
      pairing.createdAt,
      pairing.expiresAt,
      pairing.notice,
      pairing.noticedAt,
    )
  },
  noticed(sql, channel, code, at) {
    sql.run('UPDATE pairing SET noticed_at = ? WHERE channel = ? AND code = ?', at, channel, code)
  },
  approve(sql, { channel, code, by }, now) {
    const row = settle(sql, { channel, code, now, status: 'used' })
    if (row === undefined) return null
    sql.run(
      'INSERT OR REPLACE INTO access_grant (channel, sender, aliases, since, granted_by) VALUES (?, ?, ?, ?, ?)',
      channel,
      row.sender,
      row.aliases,
      now,
      by,
    )
    return toGrant({ channel, sender: row.sender, aliases: row.aliases, since: now, granted_by: by })
  },
  deny: (sql, channel, code, now) => settle(sql, { channel, code, now, status: 'denied' }) !== undefined,
  revoke: (sql, channel, sender) => sql.run('DELETE FROM access_grant WHERE channel = ? AND sender = ?', channel, sender) === 1,
}

function settle(
  sql: Sql,
  { channel, code, now, status }: { channel: string; code: string; now: number; status: 'used' | 'denied' },
): Pick<PairingRow, 'sender' | 'aliases'> | undefined {
  const row = sql.get<PairingRow>(
    `SELECT * FROM pairing WHERE channel = ? AND code = ? AND status = 'open' AND expires_at > ?`,
    channel,
    code,
    now,
  )
  if (row !== undefined) sql.run('UPDATE pairing SET status = ? WHERE channel = ? AND code = ?', status, channel, code)
  return row
}

const toPairing = (row: PairingRow): Pairing => ({
  channel: row.channel,
  code: row.code,
  sender: row.sender,
  aliases: JSON.parse(row.aliases),
  status: row.status,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  notice: asDeliveryId(row.notice),
  noticedAt: row.noticed_at,
})

const toGrant = (row: GrantRow): Grant => ({
  channel: row.channel,
  sender: row.sender,
  aliases: JSON.parse(row.aliases),
  since: row.since,
  by: row.granted_by,
})
