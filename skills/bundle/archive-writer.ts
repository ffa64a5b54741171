/**
 * A skill as one file: tar (POSIX.1-2017 ustar interchange format) compressed by gzip. The same skill always gives the same bytes.
 * Reading archives, which strangers made, is `archive.ts`.
 */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { InvalidError } from '#contract'
import type { JsonObject } from '#contract'
import type { Files } from './bundle.ts'

const BLOCK = 512
const NAME_BYTES = 100
const PREFIX_BYTES = 155

/** `skill.json` comes first, then the files by name. */
export async function writeArchive(descriptor: JsonObject, files: Files): Promise<Uint8Array> {
  const written = Buffer.from(`${JSON.stringify(descriptor, null, 2)}\n`)
  const others = Object.entries(files).filter(([path]) => path !== 'skill.json')
  const entries: readonly (readonly [string, Uint8Array])[] = [['skill.json', written], ...others.toSorted(([a], [b]) => (a < b ? -1 : 1))]
  const blocks = entries.flatMap(([path, content]) => [header(path, content.byteLength), content, padding(content.byteLength)])
  return await promisify(gzip)(Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]))
}

function header(path: string, size: number): Buffer {
  const { prefix, name } = split(path)
  const block = Buffer.alloc(BLOCK)
  block.write(name, 0)
  block.write(octal(0o644, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(size, 11), 124)
  block.write(octal(0, 11), 136)
  // The checksum is computed as if its own field were blank.
  block.write(' '.repeat(8), 148)
  block.write('0', 156)
  block.write('ustar\u000000', 257, 'latin1')
  block.write(prefix, 345)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1')
  return block
}

/** A long path is cut at a slash into two fields. */
function split(path: string): { readonly prefix: string; readonly name: string } {
  if (Buffer.byteLength(path) <= NAME_BYTES) return { prefix: '', name: path }
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)]
    if (Buffer.byteLength(prefix) <= PREFIX_BYTES && Buffer.byteLength(name) <= NAME_BYTES && name !== '') return { prefix, name }
  }
  throw new InvalidError(`The path ${path} is too long for an archive.`, {
    code: 'SKILL_INVALID',
    faults: [{ pointer: '#/files', detail: `${path}: too long for tar` }],
  })
}

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')
const padding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)
