/**
 * A bundle's files as one piece for the store: `u32 length` of a JSON list `[[path, size], …]`, the list, then the contents one after
 * the other, and all of it gzipped. Written and read only here; whether it is what was registered the digest tells.
 */
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { MAX_BUNDLE_BYTES } from './bundle.ts'
import type { Files } from './bundle.ts'

const deflate = promisify(gzip)
const inflate = promisify(gunzip)
const LENGTH_BYTES = 4
/** Names and sizes of as many files as there may be, each written out in escapes. */
const MAX_LIST_BYTES = 1_048_576

export async function pack(files: Files): Promise<Uint8Array> {
  const entries = Object.entries(files)
  const list = Buffer.from(JSON.stringify(entries.map(([path, content]) => [path, content.byteLength])))
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(list.byteLength)
  return deflate(Buffer.concat([length, list, ...entries.map(([, content]) => content)]))
}

/** @throws Error when it is no pack */
export async function unpack(bytes: Uint8Array): Promise<Files> {
  const content = await inflate(bytes, { maxOutputLength: LENGTH_BYTES + MAX_LIST_BYTES + MAX_BUNDLE_BYTES })
  let at = LENGTH_BYTES + content.readUInt32BE()
  const list: unknown = JSON.parse(content.subarray(LENGTH_BYTES, at).toString())
  if (!Array.isArray(list)) throw new Error('The list of files is none.')
  const files = list.map((entry: unknown): [string, Uint8Array] => {
    const [path, size]: unknown[] = Array.isArray(entry) ? entry : []
    if (typeof path !== 'string' || typeof size !== 'number' || at + size > content.byteLength) throw new Error('A file is cut off.')
    at += size
    return [path, new Uint8Array(content.subarray(at - size, at))]
  })
  return Object.fromEntries(files)
}
