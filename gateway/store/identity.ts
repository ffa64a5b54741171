/** Roles made over the API, tokens that were called back, and pages that signed out. */
import { asRevocationId } from '#contract'
import type { LeftSession, RevocationRecord, RevocationStore, RoleRecord, RoleStore } from '#contract'
import type { Handlers } from './command.ts'

interface RoleRow {
  readonly tenant: string
  readonly name: string
  readonly permissions: string
  readonly created_at: number
  readonly created_by: string
}

export const roleWrites: Handlers<RoleStore> = {
  list: (sql) => sql.all<RoleRow>('SELECT * FROM role ORDER BY tenant, name').map(toRole),
  add: (sql, role) =>
    sql.run(
      'INSERT OR IGNORE INTO role (tenant, name, permissions, created_at, created_by) VALUES (?, ?, ?, ?, ?)',
      role.tenant,
      role.name,
      JSON.stringify(role.permissions),
      role.createdAt,
      role.createdBy,
    ) === 1,
  change: (sql, tenant, name, { from, to }) =>
    sql.run(
      'UPDATE role SET permissions = ? WHERE tenant = ? AND name = ? AND permissions = ?',
      JSON.stringify(to),
      tenant,
      name,
      JSON.stringify(from),
    ) === 1,
  remove: (sql, tenant, name) => sql.run('DELETE FROM role WHERE tenant = ? AND name = ?', tenant, name) === 1,
}

const toRole = (row: RoleRow): RoleRecord => ({
  tenant: row.tenant,
  name: row.name,
  permissions: JSON.parse(row.permissions),
  createdAt: row.created_at,
  createdBy: row.created_by,
})

interface RevocationRow {
  readonly id: string
  readonly tenant: string
  readonly issuer: string
  readonly jti: string | null
  readonly subject: string | null
  readonly not_before: number | null
  readonly created_at: number
  readonly created_by: string
  readonly expires_at: number
}

export const revocationWrites: Handlers<RevocationStore> = {
  list: (sql, now) =>
    sql.all<RevocationRow>('SELECT * FROM revocation WHERE expires_at > ? ORDER BY created_at, id', now).map(toRevocation),
  add(sql, { of, ...revocation }, now) {
    sql.run('DELETE FROM revocation WHERE expires_at <= ?', now)
    sql.run(
      'INSERT INTO revocation (id, tenant, issuer, jti, subject, not_before, created_at, created_by, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      revocation.id,
      revocation.tenant,
      revocation.issuer,
      of.is === 'token' ? of.jti : null,
      of.is === 'subject' ? of.subject : null,
      of.is === 'subject' ? of.notBefore : null,
      revocation.createdAt,
      revocation.createdBy,
      revocation.expiresAt,
    )
  },
  leftSessions: (sql, now) =>
    sql.all<LeftSession>('SELECT id, expires_at AS expiresAt FROM page_session_left WHERE expires_at > ? ORDER BY expires_at, id', now),
  leaveSession(sql, { id, expiresAt }, now) {
    sql.run('DELETE FROM page_session_left WHERE expires_at <= ?', now)
    sql.run('INSERT OR IGNORE INTO page_session_left (id, expires_at) VALUES (?, ?)', id, expiresAt)
  },
}

const toRevocation = (row: RevocationRow): RevocationRecord => ({
  id: asRevocationId(row.id),
  tenant: row.tenant,
  issuer: row.issuer,
  of: row.jti === null ? { is: 'subject', subject: row.subject ?? '', notBefore: row.not_before ?? 0 } : { is: 'token', jti: row.jti },
  createdAt: row.created_at,
  createdBy: row.created_by,
  expiresAt: row.expires_at,
})
