/**
 * Which containers are ours: an id that belongs to one data folder, kept in it from the first sandbox on. A folder without one has never
 * had any, so that nothing need be looked for.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const FILE = 'instance'
const ID = /^[0-9a-f-]{36}$/

/** null: none yet. @param dir the folder `.openclaw` */
export async function readInstance(dir: string): Promise<string | null> {
  try {
    const id = (await readFile(join(dir, FILE), 'utf8')).trim()
    return ID.test(id) ? id : null
  } catch {
    return null
  }
}

export async function makeInstance(dir: string): Promise<string> {
  const known = await readInstance(dir)
  if (known !== null) return known
  const id = randomUUID()
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(join(dir, FILE), `${id}\n`, { mode: 0o600 })
  return id
}
