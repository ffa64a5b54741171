/** The key of `.env.enc`, found or made, and files written so that only their owner reads them and none is ever half there. */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { KEY_FILE, findKey } from '../../gateway/secrets/dot-env.ts'
import { newKeyText, parseKey } from '../../gateway/secrets/sealed.ts'
import type { EnvKey } from '../../gateway/secrets/sealed.ts'
import type { Environment } from '../../gateway/secrets/source.ts'
import { CommandError, EXIT } from '../exit.ts'

export interface KeyWanted {
  readonly dir: string
  readonly env: Environment
  readonly mayMake?: boolean
}

/** `madeIn`: the file of a key that was made just now. */
export async function envKey({ dir, env, mayMake = true }: KeyWanted): Promise<{ readonly key: EnvKey; readonly madeIn: string | null }> {
  const found = await findKey({ dir, env })
  if (found.is === 'key') return { key: found.key, madeIn: null }
  if (found.is === 'bad') throw new CommandError(`${found.problem}.`, EXIT.failed)
  if (!mayMake) throw new CommandError('There is no key: set OPENCLAW_ENV_KEY, or OPENCLAW_ENV_KEY_FILE to a file with it.', EXIT.failed)
  const text = newKeyText()
  const key = parseKey(text)
  if (key === null) throw new CommandError('No key could be made.', EXIT.failed)
  const file = join(dir, KEY_FILE)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writePrivate(file, `${text}\n`, { isNew: true })
  return { key, madeIn: file }
}

/** Whole or not at all. `isNew`: refused where a file is already, because a key that is in use must not be replaced. */
export async function writePrivate(path: string, text: string, { isNew = false }: { readonly isNew?: boolean } = {}): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  if (!isNew) return rename(draft, path)
  try {
    await link(draft, path)
  } finally {
    await unlink(draft)
  }
}
