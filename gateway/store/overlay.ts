/** What was changed over the API of the configuration, and how it is read before there is a configuration to start a store with. */
import { existsSync } from 'node:fs'
import type { OverlayRow, OverlayStore } from '#contract'
import type { Handlers } from './command.ts'
import type { Sql } from './sql.ts'

interface Row {
  readonly path: string
  readonly value: string
  readonly by: string
  readonly at: number
}

export const overlayWrites: Handlers<OverlayStore> = {
  list,
  put(sql, { path, value, by, at }) {
    sql.run('INSERT OR REPLACE INTO overlay (path, value, by, at) VALUES (?, ?, ?, ?)', path, JSON.stringify(value), by, at)
  },
  remove: (sql, path) => sql.run('DELETE FROM overlay WHERE path = ?', path) === 1,
}

/** Reads alone, also beside a gateway that runs. No database, or one from before there was an overlay: no rows. */
export async function readOverlay(file: string): Promise<readonly OverlayRow[]> {
  if (!existsSync(file)) return []
  const { openReader } = await import('./open.ts')
  const opened = openReader(file)
  try {
    const hasTable = opened.sql.get(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'overlay'`) !== undefined
    return hasTable ? list(opened.sql) : []
  } finally {
    opened.close()
  }
}

function list(sql: Sql): readonly OverlayRow[] {
  return sql
    .all<Row>('SELECT path, value, by, at FROM overlay ORDER BY at, path')
    .map(({ path, value, by, at }) => ({ path, value: JSON.parse(value), by, at }))
}
