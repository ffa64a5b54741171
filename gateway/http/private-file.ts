/**
 * A small secret in a file that only its owner can read. It is made whole or not at all: written beside its place and linked there,
 * so that neither a crash nor a second process leaves half a secret or replaces one that is in use.
 */
import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface PrivateFile {
  readonly text: string
  /** False: it was there before. */
  readonly made: boolean
  /** Others could read it until now. */
  readonly wasExposed: boolean
}

/** What the file holds; `make` is asked for it if there is none yet. */
export async function privateFile(path: string, make: () => string): Promise<PrivateFile> {
  const found = await read(path)
  if (found !== null) return found
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const text = make()
  const draft = await write(path, text)
  try {
    await link(draft, path)
    return { text, made: true, wasExposed: false }
  } catch (error) {
    const winner = await read(path)
    if (winner === null) throw error
    return winner
  } finally {
    await unlink(draft)
  }
}

/** Another text in its place, whole or not at all. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await rename(await write(path, text), path)
}

/** Beside its place; answers where. */
async function write(path: string, text: string): Promise<string> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${text}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  return draft
}

async function read(path: string): Promise<PrivateFile | null> {
  try {
    const text = (await readFile(path, 'utf8')).trim()
    const { mode } = await stat(path)
    const wasExposed = (mode & 0o077) !== 0
    if (wasExposed) await chmod(path, 0o600)
    return { text, made: false, wasExposed }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}
