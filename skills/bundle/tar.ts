/**
 * Reads tar as POSIX has it (ustar, with pax records for long names), and nothing that is more than files and folders: no links, no
 * devices, no sparse files, no dialects. Whatever two readers could understand in two ways is refused. Writing is for others.
 */
import type { Files } from './bundle.ts'
import { pathFault } from './path.ts'

const BLOCK = 512
/** Records about who and when, which make no difference to a skill. */
const HARMLESS = /^(?:atime|ctime|mtime|uid|gid|uname|gname|comment|SCHILY\..*|LIBARCHIVE\..*)$/

export class ArchiveFault extends Error {}

/** @throws ArchiveFault with what is wrong, in words */
export function readTar(bytes: Uint8Array, limits: { readonly maxFiles: number; readonly maxBytes: number }): Files {
  const files = new Map<string, Uint8Array>()
  let total = 0
  let longName: string | null = null
  let isEnded = false
  let entries = 0
  for (let at = 0; !isEnded;) {
    const block = bytes.subarray(at, at + BLOCK)
    if (block.byteLength < BLOCK) throw new ArchiveFault('it is cut off')
    if (isZero(block)) {
      if (!isZero(bytes.subarray(at)) || bytes.byteLength - at < 2 * BLOCK)
        throw new ArchiveFault('something follows its end, or the end is missing')
      isEnded = true
      break
    }
    if (++entries > limits.maxFiles * 4) throw new ArchiveFault('it has too many entries')
    const header = readHeader(block)
    const from = at + BLOCK
    const content = bytes.subarray(from, from + header.size)
    if (content.byteLength < header.size) throw new ArchiveFault('it is cut off')
    at = from + Math.ceil(header.size / BLOCK) * BLOCK
    if (header.type === 'x' || header.type === 'g') {
      const path = paxPath(content, header.type)
      if (path !== null && longName !== null) throw new ArchiveFault('an entry has two names')
      longName = path ?? longName
      continue
    }
    const name = longName ?? header.name
    longName = null
    if (header.type === '5') {
      folder(name, header.size)
      continue
    }
    if (header.type !== '0' && header.type !== '\0')
      throw new ArchiveFault(`${shown(name)} is ${KINDS[header.type] ?? 'of an unknown kind'}; only files and folders may be in it`)
    const path = relative(name)
    if (files.has(path)) throw new ArchiveFault(`${shown(name)} is in it twice`)
    if (files.size >= limits.maxFiles) throw new ArchiveFault(`it has more than ${limits.maxFiles} files`)
    total += header.size
    if (total > limits.maxBytes) throw new ArchiveFault(`its files have more than ${limits.maxBytes} bytes together`)
    files.set(path, new Uint8Array(content))
  }
  if (longName !== null) throw new ArchiveFault('it ends with a name of nothing')
  return Object.fromEntries(files)
}

const KINDS: { readonly [type: string]: string | undefined } = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a device',
  '4': 'a device',
  '6': 'a pipe',
  '7': 'a contiguous file',
  K: 'a long link of GNU tar (make it with --format=ustar)',
  L: 'a long name of GNU tar (make it with --format=ustar)',
  S: 'a sparse file',
}

interface Header {
  readonly name: string
  readonly size: number
  readonly type: string
}

function readHeader(block: Uint8Array): Header {
  const told = octal(block.subarray(148, 156), 'checksum')
  let sum = 0
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] ?? 0)
  if (sum !== told) throw new ArchiveFault('it is no tar, or is damaged')
  const magic = Buffer.from(block.subarray(257, 265)).toString('latin1')
  const name = text(block.subarray(0, 100))
  // GNU keeps other things where ustar has the beginning of a long name.
  const prefix = magic.startsWith('ustar\0') ? text(block.subarray(345, 500)) : ''
  const type = String.fromCharCode(block[156] ?? 0)
  if ((type === '0' || type === '\0' || type === '5') && !isZero(block.subarray(157, 257)))
    throw new ArchiveFault(`${shown(name)} is a link in disguise`)
  return { name: prefix === '' ? name : `${prefix}/${name}`, size: octal(block.subarray(124, 136), 'size'), type }
}

/** Up to the first NUL; what stands behind it is nothing that everybody would read. */
function text(field: Uint8Array): string {
  const end = field.indexOf(0)
  if (end >= 0 && !isZero(field.subarray(end))) throw new ArchiveFault('a name goes on behind its end')
  return utf8(end < 0 ? field : field.subarray(0, end))
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new ArchiveFault('a name in it is no UTF-8', { cause: error })
  }
}

function octal(field: Uint8Array, what: string): number {
  const digits = /^ *([0-7]+)[ \0]*$/.exec(Buffer.from(field).toString('latin1'))?.[1]
  if (digits === undefined) throw new ArchiveFault(`the ${what} of an entry is no number`)
  return Number.parseInt(digits, 8)
}

/** POSIX.1-2001 pax: `<length> <key>=<value>\n`, the length counting itself. Answers the path, if there is one. */
function paxPath(content: Uint8Array, type: string): string | null {
  let path: string | null = null
  for (let at = 0; at < content.byteLength;) {
    const space = content.indexOf(32, at)
    const digits = Buffer.from(content.subarray(at, Math.max(at, space))).toString('latin1')
    const length = /^[1-9]\d{0,6}$/.test(digits) ? Number(digits) : 0
    const record = content.subarray(at, at + length)
    if (space < 0 || record.byteLength !== length || length <= digits.length + 2 || record.at(-1) !== 10)
      throw new ArchiveFault('a pax record in it is damaged')
    const [, key = '', value = ''] = /^([^=]+)=([^]*)$/.exec(utf8(record.subarray(digits.length + 1, -1))) ?? []
    if (key === 'path' && type === 'x' && path === null) path = value
    else if (!HARMLESS.test(key)) throw new ArchiveFault(`the pax record ${shown(key)} is not read here`)
    at += length
  }
  return path
}

function folder(name: string, size: number): void {
  if (size !== 0) throw new ArchiveFault(`${shown(name)} is a folder with content`)
  if (!/^\.\/?$/.test(name)) relative(name.replace(/\/$/, ''))
}

/** `tar -c .` writes `./` before each. */
function relative(name: string): string {
  const path = name.startsWith('./') ? name.slice(2) : name
  const fault = pathFault(path)
  if (fault !== null) throw new ArchiveFault(`the path ${shown(name)} ${fault}`)
  return path
}

const shown = (name: string): string => JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name)

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)
