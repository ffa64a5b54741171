/**
 * The audit's rows. An entry is hashed here, on the writer's thread and in the transaction of the write that it tells of, because only
 * there is it known which entry comes before.
 */
import { AUDIT_ROOT, ConflictError, auditHash, isJsonObject } from '#contract'
import type { AuditEntry, AuditRow, AuditSeal, AuditStore, JsonObject } from '#contract'
import type { Handlers } from './command.ts'
import type { Sql } from './sql.ts'

interface Row {
  readonly tenant: string
  readonly seq: number
  readonly at: number
  readonly actor: string
  readonly credential: string
  readonly ip: string | null
  readonly action: string
  readonly object: string | null
  readonly outcome: AuditRow['outcome']
  readonly request_id: string | null
  readonly trace_id: string | null
  readonly detail: string
  readonly prev_hash: string
  readonly hash: string
}

/** The command of an entry that tells of no write. */
export const AUDIT_ALONE = 'audit.nothing'

export function appendAudit(sql: Sql, key: Uint8Array, entry: AuditEntry): void {
  const last =
    sql.get<{ seq: number; hash: string }>('SELECT seq, hash FROM audit WHERE tenant = ? ORDER BY seq DESC LIMIT 1', entry.tenant) ??
    sql.get<{ seq: number; hash: string }>('SELECT seq, hash FROM audit_seal WHERE tenant = ?', entry.tenant)
  const row = { ...entry, seq: (last?.seq ?? 0) + 1, prevHash: last?.hash ?? AUDIT_ROOT }
  sql.run(
    `INSERT INTO audit (tenant, seq, at, actor, credential, ip, action, object, outcome, request_id, trace_id, detail, prev_hash, hash)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row.tenant,
    row.seq,
    row.at,
    row.actor.id,
    row.actor.credential,
    row.actor.ip,
    row.action,
    row.object,
    row.outcome,
    row.requestId,
    row.traceId,
    JSON.stringify(row.detail),
    row.prevHash,
    auditHash(key, row),
  )
}

/** Numbers that JavaScript cannot hold would make the whole answer fail; no entry of ours has such. */
const ROW = `tenant, min(seq, 9007199254740991) AS seq, max(min(at, 9007199254740991), -9007199254740991) AS at, actor, credential, ip, action, object,
  outcome, request_id, trace_id, detail, prev_hash, hash`

export const auditReads: Handlers<Omit<AuditStore, 'append' | 'seal'>> = {
  list(sql, filter, before, limit) {
    const { tenant, action = null, actor = null, object = null, outcome = null, since = null, until = null } = filter
    return sql
      .all<Row>(
        `SELECT ${ROW} FROM audit WHERE tenant = ?1 AND audit.seq < coalesce(?2, 9e15) AND (?3 IS NULL OR action = ?3) AND (?4 IS NULL OR actor = ?4)
         AND (?5 IS NULL OR object = ?5) AND (?6 IS NULL OR outcome = ?6) AND (?7 IS NULL OR audit.at >= ?7) AND (?8 IS NULL OR audit.at < ?8)
         ORDER BY audit.seq DESC LIMIT ?9`,
        tenant,
        before,
        action,
        actor,
        object,
        outcome,
        since,
        until,
        limit,
      )
      .map(toRow)
  },
  after: (sql, tenant, seq, limit) =>
    sql.all<Row>(`SELECT ${ROW} FROM audit WHERE tenant = ? AND audit.seq > ? ORDER BY audit.seq LIMIT ?`, tenant, seq, limit).map(toRow),
  heads: (sql) => sql.all('SELECT tenant, max(seq) AS seq, hash FROM audit GROUP BY tenant'),
  // Of the beginning alone: behind an entry whose clock was wrong there are others that are not due.
  outdated: (sql, before) =>
    sql.all(
      `WITH young AS (SELECT tenant, min(seq) AS seq FROM audit WHERE at >= ? GROUP BY tenant)
       SELECT a.tenant, max(a.seq) AS seq, a.hash FROM audit a LEFT JOIN young y ON y.tenant = a.tenant
       WHERE a.seq < coalesce(y.seq, 9e15) GROUP BY a.tenant`,
      before,
    ),
  sealOf: (sql, tenant) => sql.get<AuditSeal>('SELECT * FROM audit_seal WHERE tenant = ?', tenant) ?? null,
}

export const auditWrites: Handlers<Pick<AuditStore, 'seal'>> & { nothing(sql: Sql): void } = {
  nothing: () => undefined,
  seal(sql, { tenant, seq, hash, at, signature }) {
    const row = sql.get<{ hash: string }>('SELECT hash FROM audit WHERE tenant = ? AND seq = ?', tenant, seq)
    if (row?.hash !== hash) {
      throw new ConflictError(`The audit of tenant "${tenant}" has no entry ${seq} with that hash. Run openclaw audit verify.`, {
        code: 'AUDIT_BROKEN',
      })
    }
    sql.run('INSERT OR REPLACE INTO audit_seal (tenant, seq, hash, at, signature) VALUES (?, ?, ?, ?, ?)', tenant, seq, hash, at, signature)
    return sql.run('DELETE FROM audit WHERE tenant = ? AND seq <= ?', tenant, seq)
  },
}

/** Whoever changed the file may have left anything in it: it is shown as it stands, and does not verify. */
const toRow = (row: Row): AuditRow => ({
  tenant: row.tenant,
  seq: row.seq,
  at: row.at,
  actor: { id: row.actor, credential: row.credential, ip: row.ip },
  action: row.action,
  object: row.object,
  outcome: row.outcome,
  requestId: row.request_id,
  traceId: row.trace_id,
  detail: detailIn(row.detail),
  prevHash: row.prev_hash,
  hash: row.hash,
})

function detailIn(text: string): JsonObject {
  try {
    const detail: unknown = JSON.parse(text)
    if (isJsonObject(detail)) return detail
  } catch {
    // Told below.
  }
  return { unreadable: text }
}
