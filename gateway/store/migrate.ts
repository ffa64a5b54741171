/**
 * Brings a file to today's tables: numbered SQL files, forward only, all that are missing in one transaction with their notes in `migration`.
 * `user_version` is the number of the last one. A file from the future is refused.
 */
import { ConflictError } from '#contract'
import { readdirSync, readFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'

const FOLDER = new URL('./migrations/', import.meta.url)

/** Answers the names of those that were applied now. */
export function migrate(database: DatabaseSync, now: number): readonly string[] {
  const files = readdirSync(FOLDER)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .sort()
  const newest = Number(files.at(-1)?.slice(0, 4) ?? 0)
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > newest) {
    throw new ConflictError(
      `The database was written by a newer OpenClaw (its tables are version ${version}, this program knows ${newest}). Start that version, or restore a backup.`,
      { code: 'STORE_TOO_NEW' },
    )
  }
  const missing = files.filter((name) => Number(name.slice(0, 4)) > version)
  if (missing.length > 0) apply(database, missing, now)
  return missing
}

function apply(database: DatabaseSync, names: readonly string[], now: number): void {
  database.exec('BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT')
  try {
    for (const name of names) {
      database.exec(readFileSync(new URL(name, FOLDER), 'utf8'))
      database.prepare('INSERT INTO migration (name, applied_at) VALUES (?, ?)').run(name, now)
    }
    database.exec(`PRAGMA user_version = ${Number(names.at(-1)?.slice(0, 4))}; COMMIT`)
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
