/**
 * The operator's own store of packages: a folder of wheels, and npm's cache. Finds what a lock file names, by digest, and hands it on only when
 * its bytes have that digest. Never asks a network.
 */
import { createHash } from 'node:crypto'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lock, Locked } from './lock.ts'

export interface Shelf {
  /** Folder with wheels. */
  readonly wheelhouse: string
  /** Folder that `npm cache add` and `npm ci` were given as `--cache`, or one with tarballs. */
  readonly npmCache: string
}

/** A package's archive; of a Python package those that are there, of which the installer takes the one that fits best. */
export interface Archive {
  readonly package: Locked
  /** Of a wheel: it says what it fits. */
  readonly file: string
  readonly bytes: Buffer
}

/** What is missing is said in a sentence for people. */
export type Fetched = { readonly ok: true; readonly archives: readonly Archive[] } | { readonly ok: false; readonly message: string }

const MAX_ARCHIVE_BYTES = 128 * 1_048_576
const MAX_TOTAL_BYTES = 256 * 1_048_576
const MAX_FILES = 20_000

export async function fetchArchives(lock: Lock, shelf: Shelf): Promise<Fetched> {
  const archives: Archive[] = []
  const missing: string[] = []
  let total = 0
  const names = lock.language === 'python' ? await list(shelf.wheelhouse, '.whl') : []
  for (const locked of lock.packages) {
    if (!fits(locked)) continue
    const found = lock.language === 'python' ? await wheels(locked, shelf.wheelhouse, names) : await tarball(locked, shelf.npmCache)
    if (found.length === 0) missing.push(`${locked.name} ${locked.version}`)
    for (const { bytes } of found) total += bytes.byteLength
    if (total > MAX_TOTAL_BYTES) return { ok: false, message: `The packages are larger than ${MAX_TOTAL_BYTES} bytes together.` }
    archives.push(...found)
  }
  if (missing.length === 0) return { ok: true, archives }
  const [what, command] =
    lock.language === 'python'
      ? ['wheelhouse', '`pip download --only-binary :all: --require-hashes -r requirements.txt -d <wheelhouse>`']
      : ['npm cache', '`npm ci --ignore-scripts --cache <npm_cache>`']
  const shown = missing.slice(0, 5).join(', ') + (missing.length > 5 ? ` and ${missing.length - 5} more` : '')
  return { ok: false, message: `The ${what} does not have ${shown}, by the digest of the lock file. Fill it with ${command}.` }
}

/** As npm reads `os` and `cpu`: names that are let in, or with `!` kept out. */
function fits({ platform }: Locked): boolean {
  const lets = (list: readonly string[], value: string): boolean =>
    !list.includes(`!${value}`) && (list.every((one) => one.startsWith('!')) || list.includes(value))
  return platform === null || (lets(platform.os, 'linux') && lets(platform.cpu, process.arch))
}

async function wheels(locked: Locked, folder: string, names: readonly string[]): Promise<readonly Archive[]> {
  const found: Archive[] = []
  for (const file of names) {
    const [name = '', version = ''] = file.split('-')
    if (name.toLowerCase().replace(/[-_.]+/g, '-') !== locked.name || version !== locked.version) continue
    const bytes = await read(join(folder, file))
    if (bytes !== null && locked.digests.includes(sum('sha256', bytes, 'hex'))) found.push({ package: locked, file, bytes })
  }
  return found
}

async function tarball(locked: Locked, folder: string): Promise<readonly Archive[]> {
  const [digest = ''] = locked.digests
  const hex = Buffer.from(digest, 'base64').toString('hex')
  const places = [join('_cacache', 'content-v2', 'sha512', hex.slice(0, 2), hex.slice(2, 4), hex.slice(4))]
  const plain = `${locked.name.replace(/^@/, '').replace('/', '-')}-${locked.version}.tgz`
  for (const place of [...places, plain]) {
    const bytes = await read(join(folder, place))
    if (bytes !== null && sum('sha512', bytes, 'base64') === digest) return [{ package: locked, file: plain, bytes }]
  }
  return []
}

async function list(folder: string, ending: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return names
    .filter((name) => name.endsWith(ending))
    .toSorted()
    .slice(0, MAX_FILES)
}

/** null: not there, no plain file, or too large. */
async function read(path: string): Promise<Buffer | null> {
  const handle = await open(path, 'r').catch(() => null)
  if (handle === null) return null
  try {
    const stat = await handle.stat()
    return stat.isFile() && stat.size <= MAX_ARCHIVE_BYTES ? await handle.readFile() : null
  } finally {
    await handle.close()
  }
}

const sum = (algorithm: string, bytes: Buffer, as: 'hex' | 'base64'): string => createHash(algorithm).update(bytes).digest(as)
