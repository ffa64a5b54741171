/** Keys, registered agents, kept answers and the channels' own values. */
import { asAgentId, asKeyId } from '#contract'
import type { ChannelStateStore, IdempotencyStore, KeyRecord, KeyStore, KeptAnswer, RegisteredAgent, RegisteredAgentStore } from '#contract'
import type { Handlers } from './command.ts'
import { emit } from './events.ts'
import type { Sql } from './sql.ts'

/** Changes of a channel's values with the bytes as base64; null deletes. */
export interface TextChanges {
  readonly [key: string]: string | null
}

interface KeyRow {
  readonly id: string
  readonly tenant: string
  readonly name: string
  readonly hash: string
  readonly scopes: string
  readonly created_at: number
  readonly expires_at: number | null
  readonly revoked_at: number | null
  readonly last_used_at: number | null
  readonly roles: string
  readonly created_by: string | null
  readonly previous_hash: string | null
  readonly previous_until: number | null
}

export const keyWrites: Handlers<Omit<KeyStore, 'list'>> = {
  add(sql, key) {
    sql.run(
      'INSERT INTO api_key (id, tenant, name, hash, scopes, created_at, expires_at, revoked_at, last_used_at, roles, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      key.id,
      key.tenant,
      key.name,
      key.hash,
      JSON.stringify(key.scopes),
      key.createdAt,
      key.expiresAt,
      key.revokedAt,
      key.lastUsedAt,
      JSON.stringify(key.roles),
      key.createdBy,
    )
  },
  revoke: (sql, tenant, id, now) =>
    sql.run('UPDATE api_key SET revoked_at = ? WHERE id = ? AND tenant = ? AND revoked_at IS NULL', now, id, tenant) === 1,
  rotate: (sql, id, hash, graceUntil) =>
    sql.run(
      'UPDATE api_key SET previous_hash = iif(?2 IS NULL, NULL, hash), previous_until = ?2, hash = ?1 WHERE id = ?3 AND revoked_at IS NULL',
      hash,
      graceUntil,
      id,
    ) === 1,
  touch(sql, id, at) {
    sql.run('UPDATE api_key SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)', at, id, at)
  },
}

export const keyReads: Handlers<Pick<KeyStore, 'list'>> = {
  list: (sql) => sql.all<KeyRow>('SELECT * FROM api_key ORDER BY created_at, id').map(toKey),
}

const toKey = (row: KeyRow): KeyRecord => ({
  id: asKeyId(row.id),
  tenant: row.tenant,
  name: row.name,
  hash: row.hash,
  scopes: JSON.parse(row.scopes),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  revokedAt: row.revoked_at,
  lastUsedAt: row.last_used_at,
  roles: JSON.parse(row.roles),
  createdBy: row.created_by,
  previous: row.previous_hash === null || row.previous_until === null ? null : { hash: row.previous_hash, until: row.previous_until },
})

interface AgentRow {
  readonly id: string
  readonly tenant: string
  readonly name: string
  readonly declaration: string
  readonly created_at: number
}

export const agentWrites: Handlers<Pick<RegisteredAgentStore, 'put' | 'remove'>> = {
  put(sql, agent) {
    const row = sql.get<AgentRow>(
      `INSERT INTO agent (id, tenant, name, declaration, created_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant, name) DO UPDATE SET declaration = excluded.declaration RETURNING id, tenant, name, declaration, created_at`,
      agent.id,
      agent.tenant,
      agent.name,
      JSON.stringify(agent.declaration),
      agent.createdAt,
    )
    const kept = row === undefined ? agent : toAgent(row)
    emit(sql, {
      tenant: kept.tenant,
      type: 'agent.registered',
      now: agent.createdAt,
      data: () => ({ agent_id: kept.id, agent: kept.name }),
    })
    return kept
  },
  remove: (sql, id) => sql.run('DELETE FROM agent WHERE id = ?', id) === 1,
}

export const agentReads: Handlers<Pick<RegisteredAgentStore, 'list'>> = {
  list: (sql) => sql.all<AgentRow>('SELECT id, tenant, name, declaration, created_at FROM agent ORDER BY tenant, name').map(toAgent),
}

const toAgent = (row: AgentRow): RegisteredAgent => ({
  id: asAgentId(row.id),
  tenant: row.tenant,
  name: row.name,
  declaration: JSON.parse(row.declaration),
  createdAt: row.created_at,
})

/** So many that ran out are swept with each new one, so that the table stays as small as its life is short. */
const SWEPT_AT_ONCE = 4

export const idempotencyWrites: Handlers<IdempotencyStore> = {
  begin(sql, key, fingerprint, now, expiresAt) {
    sql.run('DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE expires_at <= ? LIMIT ?)', now, SWEPT_AT_ONCE)
    const taken = sql.get<{ fingerprint: string; answer: string | null; expires_at: number }>(
      'SELECT fingerprint, answer, expires_at FROM idempotency WHERE key = ? AND expires_at > ?',
      key,
      now,
    )
    if (taken !== undefined) return toAnswer(taken)
    sql.run('INSERT OR REPLACE INTO idempotency (key, fingerprint, answer, expires_at) VALUES (?, ?, NULL, ?)', key, fingerprint, expiresAt)
    return null
  },
  finish(sql, key, answer) {
    sql.run('UPDATE idempotency SET answer = ? WHERE key = ?', JSON.stringify(answer), key)
  },
  abandon(sql, key) {
    sql.run('DELETE FROM idempotency WHERE key = ? AND answer IS NULL', key)
  },
}

const toAnswer = (row: { readonly fingerprint: string; readonly answer: string | null; readonly expires_at: number }): KeptAnswer => ({
  fingerprint: row.fingerprint,
  answer: row.answer === null ? null : JSON.parse(row.answer),
  expiresAt: row.expires_at,
})

export function writeState(sql: Sql, channel: string, changes: TextChanges): void {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) sql.run('DELETE FROM channel_state WHERE channel = ? AND key = ?', channel, key)
    else sql.run('INSERT OR REPLACE INTO channel_state (channel, key, value) VALUES (?, ?, ?)', channel, key, Buffer.from(value, 'base64'))
  }
}

/** Answers base64. */
export const channelStateReads = {
  read(sql: Sql, channel: string, key: string): string | null {
    const row = sql.get<{ value: Uint8Array }>('SELECT value FROM channel_state WHERE channel = ? AND key = ?', channel, key)
    return row === undefined ? null : Buffer.from(row.value).toString('base64')
  },
}

export const channelStateWrites: Handlers<Pick<ChannelStateStore, 'keys'>> & {
  write(sql: Sql, channel: string, changes: TextChanges): void
} = {
  write: writeState,
  keys: (sql, channel) =>
    sql.all<{ key: string }>('SELECT key FROM channel_state WHERE channel = ? ORDER BY key', channel).map(({ key }) => key),
}

/** The same methods on either side of the wire, bytes outside, base64 inside. */
export function channelState(wire: {
  read(channel: string, key: string): Promise<string | null>
  keys(channel: string): Promise<readonly string[]>
  write(channel: string, changes: TextChanges): Promise<void>
}): ChannelStateStore {
  return {
    async read(channel, key) {
      const value = await wire.read(channel, key)
      return value === null ? null : new Uint8Array(Buffer.from(value, 'base64'))
    },
    keys: (channel) => wire.keys(channel),
    write: (channel, changes) => wire.write(channel, toText(changes)),
  }
}

export function toText(changes: { readonly [key: string]: Uint8Array | null }): TextChanges {
  return Object.fromEntries(
    Object.entries(changes).map(([key, bytes]) => [
      key,
      bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
    ]),
  )
}
