/**
 * Opens the file: lock, probes, pragmas, migrations. What is unfit is refused here, with words, before anything is
 * accepted. The writer calls `openWriter`, the reader `openReader`.
 */
import { ConflictError, InvalidError } from '#contract'
import { closeSync, existsSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { storeFault, unavailable } from './fault.ts'
import { migrate } from './migrate.ts'
import { Sql } from './sql.ts'

export interface Opened {
  readonly sql: Sql
  /** Files of the migrations that were applied now. */
  readonly migrated: readonly string[]
  close(): void
}

/** Older ones can corrupt a WAL (https://sqlite.org/wal.html#walresetbug). */
const OLDEST_SQLITE = '3.51.3'

export function openWriter(file: string, now: number): Opened {
  return told(file, () => {
    const lock = seize(file)
    try {
      keepPrivate(file)
      const database = new DatabaseSync(file, { timeout: OPEN_PATIENCE_MS, enableForeignKeyConstraints: false })
      try {
        probe(database)
        database.exec(
          'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;' +
            `PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}`,
        )
        const migrated = migrate(database, now)
        const sql = new Sql(database)
        succeed(sql)
        // From here on the writer waits by itself, so that it can count each command's patience.
        database.exec('PRAGMA busy_timeout = 0')
        return {
          sql,
          migrated,
          close() {
            database.close()
            lock.close()
          },
        }
      } catch (error) {
        database.close()
        throw error
      }
    } catch (error) {
      lock.close()
      throw error
    }
  })
}

export function openReader(file: string): Opened {
  return told(file, () => {
    const database = new DatabaseSync(file, { readOnly: true, timeout: READ_PATIENCE_MS, enableForeignKeyConstraints: false })
    database.exec('PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000')
    return { sql: new Sql(database), migrated: [], close: () => database.close() }
  })
}

/** A checkpoint stops the writer: seldom enough to be cheap, often enough to be short (docs/decisions/embedded-store.md). */
const CHECKPOINT_PAGES = 4_000
const WAL_BYTES_KEPT = 32 * 1024 * 1024
const OPEN_PATIENCE_MS = 2_000
/** A reader waits only while a crashed writer's log is being read back. */
const READ_PATIENCE_MS = 2_000

/**
 * Two gateways on one file would each believe that the other is dead. The lock is the operating system's, on a file of
 * its own, so it ends with this process however that ends, and others may still look into the database.
 */
function seize(file: string): DatabaseSync {
  const lock = new DatabaseSync(`${file}.lock`, { timeout: 0 })
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if (storeFault(error, file)?.code !== 'STORE_LOCKED') throw error
    throw new ConflictError(`${file} is in use by another gateway. Stop that one, or give this one another directory (OPENCLAW_DIR).`, {
      code: 'STORE_IN_USE',
      cause: error,
    })
  }
}

/** What people write is for this user alone; SQLite gives its log beside the file the same mode. */
function keepPrivate(file: string): void {
  if (!existsSync(file)) closeSync(openSync(file, 'ax', 0o600))
}

function probe(database: DatabaseSync): void {
  const version = String(database.prepare('SELECT sqlite_version() AS version').get()?.['version'])
  if (compareVersions(version, OLDEST_SQLITE) < 0) {
    throw new InvalidError(`SQLite ${version} can damage the database; at least ${OLDEST_SQLITE} is needed. Run Node 24.16 or newer.`, {
      code: 'STORE_SQLITE_TOO_OLD',
    })
  }
  const text = 'a\0b'
  if (database.prepare('SELECT ? AS text').get(text)?.['text'] !== text) {
    throw new InvalidError('This Node cuts text at NUL when it reads from SQLite, so messages would be altered. Run Node 24.16 or newer.', {
      code: 'STORE_TEXT_CUT',
    })
  }
}

export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/**
 * Whoever held a lease or was making an answer is dead, or the lock could not be had: its turns go on at once and its keys
 * are free, not when their time is over.
 */
function succeed(sql: Sql): void {
  sql.begin()
  sql.run(`UPDATE session SET owner = '', lease_until = 0 WHERE lease_until > 0 AND seq IN (SELECT session FROM inbox WHERE open = 1)`)
  sql.run('DELETE FROM idempotency WHERE answer IS NULL')
  sql.commit()
}

function told<Value>(file: string, open: () => Value): Value {
  try {
    return open()
  } catch (error) {
    const fault = storeFault(error, file)
    throw fault === null ? error : unavailable(fault, file)
  }
}
