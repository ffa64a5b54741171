/** The files of a bundle as somebody hands them in: read, counted, checked. All faults at once, each with its place. */
import type { Fault, SkillFile } from '#contract'
import { pointerToken } from '#contract'
import { MAX_BUNDLE_BYTES, MAX_FILES } from './bundle.ts'
import type { Files } from './bundle.ts'
import { clash, pathFault } from './path.ts'

/** The descriptor's own file; it is no file of the bundle, because the digest has the descriptor already. */
export const DESCRIPTOR_FILE = 'skill.json'

export type FilesRead = { readonly ok: true; readonly files: Files } | { readonly ok: false; readonly faults: readonly Fault[] }

export function readFiles(given: { readonly [path: string]: SkillFile }): FilesRead {
  const faults: Fault[] = []
  const paths = Object.keys(given)
  if (paths.length > MAX_FILES) return { ok: false, faults: [{ pointer: '#/files', detail: `more than ${MAX_FILES} files` }] }
  const files: [string, Uint8Array][] = []
  let bytes = 0
  for (const [path, file] of Object.entries(given)) {
    const pointer = `#/files/${pointerToken(path)}`
    const fault = path === DESCRIPTOR_FILE ? `is the descriptor; give it as "descriptor"` : pathFault(path)
    if (fault !== null) faults.push({ pointer, detail: fault })
    const content = contentOf(file)
    if (content === null) faults.push({ pointer, detail: 'must be text, or an object like {"base64": "…"}' })
    else {
      bytes += content.byteLength
      files.push([path, content])
    }
  }
  if (bytes > MAX_BUNDLE_BYTES) faults.push({ pointer: '#/files', detail: `more than ${MAX_BUNDLE_BYTES} bytes together` })
  const clashing = clash(paths)
  if (clashing !== null) faults.push({ pointer: `#/files/${pointerToken(clashing)}`, detail: CLASHES })
  return faults.length > 0 ? { ok: false, faults } : { ok: true, files: Object.fromEntries(files) }
}

export const CLASHES = 'is the same as another file where case is ignored, or a folder of it'

function contentOf(file: SkillFile): Uint8Array | null {
  if (file instanceof Uint8Array) return file
  if (typeof file === 'string') return file.isWellFormed() ? new TextEncoder().encode(file) : null
  if (typeof file !== 'object' || file === null) return null
  const members = Object.entries(file)
  const [name, text] = members[0] ?? []
  if (members.length !== 1 || name !== 'base64' || typeof text !== 'string') return null
  // RFC 4648 §4; what Node would overlook in it is refused.
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null
  return new Uint8Array(Buffer.from(text, 'base64'))
}
