/** The files of a bundle as somebody hands them in: counted, weighed, their paths checked. All faults at once, each with its place. */
import type { Fault } from '#contract'
import { pointerToken } from '#contract'
import { MAX_BUNDLE_BYTES, MAX_FILES } from './bundle.ts'
import type { Files } from './bundle.ts'
import { clash, pathFault } from './path.ts'

/** The descriptor's own file; it is no file of the bundle, because the digest has the descriptor already. */
export const DESCRIPTOR_FILE = 'skill.json'

export const CLASHES = 'is the same as another file where case is ignored, or a folder of it'

export function filesFaults(files: Files): readonly Fault[] {
  const paths = Object.keys(files)
  if (paths.length > MAX_FILES) return [{ pointer: '#/files', detail: `more than ${MAX_FILES} files` }]
  const faults = paths.flatMap((path): readonly Fault[] => {
    const detail = path === DESCRIPTOR_FILE ? 'is the descriptor, which is given by itself' : pathFault(path)
    return detail === null ? [] : [{ pointer: pointerOf(path), detail }]
  })
  const bytes = Object.values(files).reduce((sum, content) => sum + content.byteLength, 0)
  if (bytes > MAX_BUNDLE_BYTES) faults.push({ pointer: '#/files', detail: `more than ${MAX_BUNDLE_BYTES} bytes together` })
  const clashing = clash(paths)
  if (clashing !== null) faults.push({ pointer: pointerOf(clashing), detail: CLASHES })
  return faults
}

const pointerOf = (path: string): string => `#/files/${pointerToken(path)}`
