/**
 * An archive as somebody hands it in, tar or tar.gz, unpacked in memory within bounds that hold before anything is unpacked. Nothing of
 * it ever touches the disk. Writing archives is for `archive-writer.ts`.
 */
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Fault, JsonValue } from '#contract'
import { MAX_BUNDLE_BYTES, MAX_FILES } from './bundle.ts'
import type { Files } from './bundle.ts'
import { CLASHES, DESCRIPTOR_FILE } from './files.ts'
import { clash } from './path.ts'
import { ArchiveFault, readTar } from './tar.ts'

const inflate = promisify(gunzip)
const MAX_DESCRIPTOR_BYTES = 1_048_576
/** Headers, padding, pax records. */
const MAX_TAR_BYTES: number = MAX_BUNDLE_BYTES + MAX_DESCRIPTOR_BYTES + MAX_FILES * 4_096
const MAX_RATIO = 20
/** So much may be unpacked of the smallest archive: tar fills up with zeros, which weigh nothing. */
const FREE_BYTES = 262_144
/** What the root of a skill has. */
const ROOTS = [DESCRIPTOR_FILE, 'SKILL.md']

type Refused = { readonly ok: false; readonly faults: readonly Fault[] }

/** Its files, `skill.json` among them. */
export async function readArchive(bytes: Uint8Array): Promise<{ readonly ok: true; readonly files: Files } | Refused> {
  try {
    const all = readTar(await unzipped(bytes), { maxFiles: MAX_FILES + 1, maxBytes: MAX_BUNDLE_BYTES + MAX_DESCRIPTOR_BYTES })
    const clashing = clash(Object.keys(all))
    return clashing === null ? { ok: true, files: withoutTopFolder(all) } : refused(`${JSON.stringify(clashing)} ${CLASHES}`)
  } catch (error) {
    if (error instanceof ArchiveFault) return refused(`the archive cannot be read: ${error.message}`)
    throw error
  }
}

/** Descriptor, as it was written, and the other files. */
export function takeDescriptor(all: Files): { readonly ok: true; readonly descriptor: JsonValue; readonly files: Files } | Refused {
  const { [DESCRIPTOR_FILE]: own, ...files } = all
  if (own === undefined) return refused(`there is no ${DESCRIPTOR_FILE} in it`)
  try {
    const descriptor: JsonValue = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(own))
    return { ok: true, descriptor, files }
  } catch (error) {
    return refused(`${DESCRIPTOR_FILE} is no JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const refused = (detail: string): Refused => ({ ok: false, faults: [{ pointer: '#', detail }] })

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
  if (ROOTS.some((name) => Object.hasOwn(files, name)) || !paths.every((path) => path.startsWith(`${top}/`))) return files
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [path.slice(top.length + 1), content]))
}
