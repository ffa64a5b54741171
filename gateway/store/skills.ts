/** Registered skills, their bundles and their tracks. A bundle is stored once for each digest and goes with the last version that has it. */
import type { SkillRecord, SkillStore, SkillTrack } from '#contract'
import type { Handlers } from './command.ts'
import { emit } from './events.ts'
import type { Sql } from './sql.ts'

/** As the port, with bundles as base64: what crosses to the worker is JSON. */
type SkillWire = Omit<SkillStore, 'add' | 'bundle'> & {
  add(record: SkillRecord, bundle: string, track: SkillTrack | null): ReturnType<SkillStore['add']>
  bundle(digest: string): Promise<string | null>
}

interface SkillRow {
  readonly tenant: string
  readonly id: string
  readonly version: string
  readonly digest: string
  readonly descriptor: string
  readonly enabled: number
  readonly deprecated: string | null
  readonly signature: string | null
  readonly created_at: number
  readonly created_by: string
}

interface TrackRow {
  readonly tenant: string
  readonly id: string
  readonly major: number
  readonly stable: string
  readonly previous: string | null
  readonly canary: string | null
  readonly weight: number
  readonly note: string | null
  readonly updated_at: number
}

export const skillWrites: Handlers<SkillWire> = {
  add(sql, record, bundle, track) {
    const there = sql.get<{ digest: string }>(
      'SELECT digest FROM skill WHERE tenant = ? AND id = ? AND version = ?',
      record.tenant,
      record.id,
      record.version,
    )
    if (there !== undefined) return there.digest === record.digest ? 'same' : 'taken'
    sql.run('INSERT OR IGNORE INTO skill_bundle (digest, content) VALUES (?, ?)', record.digest, Buffer.from(bundle, 'base64'))
    sql.run(
      `INSERT INTO skill (tenant, id, version, digest, descriptor, enabled, deprecated, signature, created_at, created_by)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      record.tenant,
      record.id,
      record.version,
      record.digest,
      JSON.stringify(record.descriptor),
      Number(record.isEnabled),
      record.deprecated,
      record.signature,
      record.createdAt,
      record.createdBy,
    )
    if (track !== null) setTrack(sql, track)
    const { tenant, id, version, digest } = record
    emit(sql, { tenant, type: 'skill.registered', now: record.createdAt, data: () => ({ skill: id, version, digest }) })
    return 'added'
  },
  list: (sql) => sql.all<SkillRow>('SELECT * FROM skill ORDER BY tenant, id, created_at, version').map(toRecord),
  tracks: (sql) => sql.all<TrackRow>('SELECT * FROM skill_track ORDER BY tenant, id, major').map(toTrack),
  bundle(sql, digest) {
    const row = sql.get<{ content: Uint8Array }>('SELECT content FROM skill_bundle WHERE digest = ?', digest)
    return row === undefined ? null : Buffer.from(row.content).toString('base64')
  },
  change(sql, { tenant, id, version }, { isEnabled, deprecated, signature }) {
    const key = [tenant, id, version] as const
    if (sql.get('SELECT 1 FROM skill WHERE tenant = ? AND id = ? AND version = ?', ...key) === undefined) return false
    if (isEnabled !== undefined)
      sql.run('UPDATE skill SET enabled = ? WHERE tenant = ? AND id = ? AND version = ?', Number(isEnabled), ...key)
    if (deprecated !== undefined) sql.run('UPDATE skill SET deprecated = ? WHERE tenant = ? AND id = ? AND version = ?', deprecated, ...key)
    if (signature !== undefined) sql.run('UPDATE skill SET signature = ? WHERE tenant = ? AND id = ? AND version = ?', signature, ...key)
    return true
  },
  remove(sql, { tenant, id, version }) {
    const removed = sql.run('DELETE FROM skill WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR version = ?3)', tenant, id, version)
    if (removed === 0) return false
    sql.run('DELETE FROM skill_bundle WHERE NOT EXISTS (SELECT 1 FROM skill WHERE skill.digest = skill_bundle.digest)')
    sql.run('DELETE FROM skill_track WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR stable = ?3)', tenant, id, version)
    sql.run('UPDATE skill_track SET previous = NULL WHERE tenant = ? AND id = ? AND previous = ?', tenant, id, version)
    return true
  },
  setTrack,
}

function setTrack(sql: Sql, track: SkillTrack): void {
  sql.run(
    `INSERT OR REPLACE INTO skill_track (tenant, id, major, stable, previous, canary, weight, note, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    track.tenant,
    track.id,
    track.major,
    track.stable,
    track.previous,
    track.canary,
    track.weight,
    track.note,
    track.updatedAt,
  )
}

const toRecord = (row: SkillRow): SkillRecord => ({
  tenant: row.tenant,
  id: row.id,
  version: row.version,
  digest: row.digest,
  descriptor: JSON.parse(row.descriptor),
  isEnabled: row.enabled === 1,
  deprecated: row.deprecated,
  signature: row.signature,
  createdAt: row.created_at,
  createdBy: row.created_by,
})

const toTrack = (row: TrackRow): SkillTrack => ({
  tenant: row.tenant,
  id: row.id,
  major: row.major,
  stable: row.stable,
  previous: row.previous,
  canary: row.canary,
  weight: row.weight,
  note: row.note,
  updatedAt: row.updated_at,
})

/** The same methods on the outside of the wire, with bytes. */
export function skillStore(wire: SkillWire): SkillStore {
  return {
    ...wire,
    add: (record, bundle, track) =>
      wire.add(record, Buffer.from(bundle.buffer, bundle.byteOffset, bundle.byteLength).toString('base64'), track),
    async bundle(digest) {
      const content = await wire.bundle(digest)
      return content === null ? null : new Uint8Array(Buffer.from(content, 'base64'))
    },
  }
}
