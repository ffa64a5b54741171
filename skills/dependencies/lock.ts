/**
 * Lock files, read and judged: exact versions with digests, and nothing else. Whatever an installer would obey besides (options, addresses,
 * paths, other files, scripts) is a fault, so that none can be smuggled to one.
 */
import { canonicalDigest } from '#contract'
import type { Fault } from '#contract'

export type LockLanguage = 'python' | 'node'

/** One package, at one place. */
export interface Locked {
  /** Python: normalised (PEP 503). */
  readonly name: string
  readonly version: string
  /** Node: where it goes, `node_modules/a/node_modules/b`; Python: ''. */
  readonly path: string
  /** Python: SHA-256, hex, of the wheels that will do. Node: SHA-512, base64, of the tarball. */
  readonly digests: readonly string[]
  /** Node: `os`, `cpu` and `libc` as the lock file has them; left out where they do not fit. */
  readonly platform: { readonly os: readonly string[]; readonly cpu: readonly string[] } | null
}

export interface Lock {
  readonly language: LockLanguage
  readonly packages: readonly Locked[]
}

export type LockResult = { readonly ok: true; readonly lock: Lock } | { readonly ok: false; readonly faults: readonly Fault[] }

const MAX_BYTES = 1_048_576
const MAX_PACKAGES = 500
const MAX_FAULTS = 20
const LINE =
  /^([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?) ?== ?([A-Za-z0-9][A-Za-z0-9.!+_-]{0,60})((?:\s+--hash=sha256:[\da-f]{64})+)$/
const HASH = /[\da-f]{64}/g
const PLACE =
  /^node_modules\/(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*(?:\/node_modules\/(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*)*$/
const VERSION = /^\d+\.\d+\.\d+[\w.+-]{0,100}$/
const INTEGRITY = /^sha512-([A-Za-z0-9+/]{86}==)$/
const MAX_PLACE_CHARS = 400

/** `path`: of the lock file in the bundle, for what is said about it. */
export function readLock(language: LockLanguage, path: string, bytes: Uint8Array): LockResult {
  const faults: Fault[] = []
  const fault = (detail: string): void => {
    if (faults.length < MAX_FAULTS) faults.push({ pointer: '#/dependencies', detail: `${path}${detail}` })
  }
  const text = decode(bytes)
  if (bytes.byteLength > MAX_BYTES) fault(` is larger than ${MAX_BYTES} bytes.`)
  else if (text === null) fault(' is not UTF-8, or has control characters in it.')
  else {
    const packages = language === 'python' ? requirements(text, fault) : packageLock(text, fault)
    if (packages.length > MAX_PACKAGES) fault(` names more than ${MAX_PACKAGES} packages.`)
    if (faults.length === 0) return { ok: true, lock: { language, packages } }
  }
  return { ok: false, faults }
}

/** The same for the same packages on the same base, in whatever order and layout the file has them. */
export function lockKey({ language, packages }: Lock, base: string): string {
  const all = packages.map(({ name, version, path, digests }) => ({ name, version, path, digests: digests.toSorted() }))
  return canonicalDigest({ format: 1, language, base, packages: all.map((one) => JSON.stringify(one)).toSorted() })
}

/** pip's `requirements.txt` as `pip-compile --generate-hashes` or `uv export` write it. */
function requirements(text: string, fault: (detail: string) => void): readonly Locked[] {
  const found = new Map<string, Locked>()
  let joined = ''
  let from = 0
  const lines = text.replace(/\r\n/g, '\n').split('\n')
  for (const [index, raw] of lines.entries()) {
    if (joined === '') from = index + 1
    // A comment does not go on; pip sees it so too.
    const isContinued = raw.endsWith('\\') && !/^\s*#/.test(raw)
    joined += isContinued ? `${raw.slice(0, -1)} ` : raw
    if (isContinued && index + 1 < lines.length) continue
    const line = joined.replace(/(^|\s)#.*$/, '').trim()
    joined = ''
    if (line === '') continue
    const [, written, version, hashes] = LINE.exec(line) ?? []
    if (written === undefined || version === undefined || hashes === undefined) {
      fault(` line ${from}: ${reasonOf(line)}`)
      continue
    }
    const name = written.toLowerCase().replace(/[-_.]+/g, '-')
    if (found.has(name)) fault(` line ${from}: ${name} stands there twice.`)
    found.set(name, { name, version, path: '', digests: [...new Set(hashes.match(HASH))], platform: null })
  }
  return [...found.values()]
}

function reasonOf(line: string): string {
  if (line.startsWith('-')) return 'options are not taken; only name==version with --hash=sha256:….'
  if (/^[\w.+-]*:\/\/|@|^\.{0,2}\//.test(line)) return 'addresses and paths are not taken; only name==version with --hash=sha256:….'
  if (line.includes(';')) return 'conditions are not taken; write the lock file for the Python that runs skills.'
  if (line.includes('[')) return 'extras are not taken; name the packages that they bring.'
  if (/==/.test(line) && !line.includes('--hash')) return 'the digest is missing: --hash=sha256:….'
  return 'only name==version with --hash=sha256:… is taken.'
}

function packageLock(text: string, fault: (detail: string) => void): readonly Locked[] {
  const lock = parse(text)
  const packages = lock === null ? null : objectOf(lock['packages'])
  if (lock === null || lock['lockfileVersion'] !== 3 || packages === null) {
    fault(' is no package-lock.json of version 3; npm 7 and later write it.')
    return []
  }
  const all: Locked[] = []
  for (const [path, value] of Object.entries(packages)) {
    if (path === '') continue
    const entry = objectOf(value)
    const reason = entry === null ? 'is no object' : (placeFault(path) ?? entryFault(entry))
    if (reason !== null) fault(` "${path.slice(0, 100)}": ${reason}.`)
    else if (entry !== null && entry['dev'] !== true && entry['devOptional'] !== true) all.push(lockedOf(path, entry))
  }
  return all
}

const placeFault = (path: string): string | null =>
  PLACE.test(path) && path.length <= MAX_PLACE_CHARS ? null : 'is no place below node_modules; workspaces and links are not taken'

function entryFault(entry: { readonly [member: string]: unknown }): string | null {
  const { resolved, integrity, version } = entry
  if (entry['link'] !== undefined) return 'links are not taken'
  if (entry['hasInstallScript'] !== undefined) return 'it runs a script when it is installed, which is not done here'
  if (entry['inBundle'] !== undefined) return 'packages that lie in another are not taken'
  if (resolved !== undefined && (typeof resolved !== 'string' || !resolved.startsWith('https://')))
    return 'only packages of a registry are taken: no files, no git, no http'
  if (typeof version !== 'string' || !VERSION.test(version)) return 'the version is missing, or is none'
  if (typeof integrity !== 'string' || !INTEGRITY.test(integrity)) return 'the digest is missing: integrity with sha512-…'
  for (const member of ['os', 'cpu'] as const)
    if (entry[member] !== undefined && !isTexts(entry[member])) return `${member} is no list of names`
  return null
}

function lockedOf(path: string, entry: { readonly [member: string]: unknown }): Locked {
  const { os, cpu, version, integrity } = entry
  const digest = typeof integrity === 'string' ? (INTEGRITY.exec(integrity)?.[1] ?? '') : ''
  return {
    name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    version: String(version),
    path,
    digests: [digest],
    platform: os === undefined && cpu === undefined ? null : { os: isTexts(os) ? os : [], cpu: isTexts(cpu) ? cpu : [] },
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // What a terminal or another reader would take for the end of a line is none here.
    return /[\u2028\u2029]|(?![\t\r\n])\p{Cc}|\r(?!\n)/u.test(text) ? null : text
  } catch {
    return null
  }
}

function parse(text: string): { readonly [member: string]: unknown } | null {
  try {
    return objectOf(JSON.parse(text))
  } catch {
    return null
  }
}

const objectOf = (value: unknown): { readonly [member: string]: unknown } | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null

const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((item) => typeof item === 'string')
