/**
 * An archive as somebody hands it in, tar or tar.gz: unpacked in memory, within bounds that hold before anything is unpacked, into
 * descriptor and files. Nothing of it ever touches the disk. Reads and writes.
 */
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { Fault, JsonObject, JsonValue } from '#contract'
import { MAX_BUNDLE_BYTES, MAX_FILES } from './bundle.ts'
import type { Files } from './bundle.ts'
import { CLASHES, DESCRIPTOR_FILE } from './files.ts'
import { clash } from './path.ts'
import { ArchiveFault, readTar, writeTar } from './tar.ts'

const inflate = promisify(gunzip)
const deflate = promisify(gzip)
/** Headers, padding, pax records. */
const MAX_TAR_BYTES: number = MAX_BUNDLE_BYTES + MAX_FILES * 4_096
const MAX_DESCRIPTOR_BYTES = 1_048_576
const MAX_RATIO = 20
/** So much may be unpacked of the smallest archive: tar fills up with zeros, which weigh nothing. */
const FREE_BYTES = 262_144

export type ArchiveRead =
  | { readonly ok: true; readonly descriptor: JsonValue; readonly files: Files }
  | { readonly ok: false; readonly faults: readonly Fault[] }

export async function readArchive(bytes: Uint8Array): Promise<ArchiveRead> {
  try {
    const files = withoutTopFolder(
      readTar(await unzipped(bytes), { maxFiles: MAX_FILES + 1, maxBytes: MAX_BUNDLE_BYTES + MAX_DESCRIPTOR_BYTES }),
    )
    const clashing = clash(Object.keys(files))
    if (clashing !== null) return refused(`${JSON.stringify(clashing)} ${CLASHES}`)
    return takeDescriptor(files)
  } catch (error) {
    if (error instanceof ArchiveFault) return refused(`the archive cannot be read: ${error.message}`)
    throw error
  }
}

/** Descriptor and files of a folder that was read whole. */
export function takeDescriptor(all: Files): ArchiveRead {
  const { [DESCRIPTOR_FILE]: own, ...files } = all
  if (own === undefined) return refused(`there is no ${DESCRIPTOR_FILE} in it`)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(own)
    const descriptor: JsonValue = JSON.parse(text)
    return { ok: true, descriptor, files }
  } catch (error) {
    return refused(`${DESCRIPTOR_FILE} is no JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The same skill gives the same bytes. */
export async function writeArchive(descriptor: JsonObject, files: Files): Promise<Uint8Array> {
  const own = new TextEncoder().encode(`${JSON.stringify(descriptor, null, 2)}\n`)
  return deflate(writeTar({ ...files, [DESCRIPTOR_FILE]: own }))
}

const refused = (detail: string): ArchiveRead => ({ ok: false, faults: [{ pointer: '#', detail }] })

async function unzipped(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
    if (bytes.byteLength > MAX_TAR_BYTES) throw new ArchiveFault(`it has more than ${MAX_TAR_BYTES} bytes`)
    return bytes
  }
  const maxOutputLength = Math.min(MAX_TAR_BYTES, Math.max(FREE_BYTES, bytes.byteLength * MAX_RATIO))
  try {
    return await inflate(bytes, { maxOutputLength })
  } catch (error) {
    const isBomb = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    throw new ArchiveFault(
      isBomb ? `unpacked it has more than ${MAX_TAR_BYTES} bytes, or more than ${MAX_RATIO} times its size` : 'its compression is damaged',
      { cause: error },
    )
  }
}

/** `tar -c folder` and npm put all into one folder. */
function withoutTopFolder(files: Files): Files {
  const paths = Object.keys(files)
  const top = paths[0]?.split('/')[0] ?? ''
  if (Object.hasOwn(files, DESCRIPTOR_FILE) || !paths.every((path) => path.startsWith(`${top}/`))) return files
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [path.slice(top.length + 1), content]))
}
