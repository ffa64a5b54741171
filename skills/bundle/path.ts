/** Paths of a bundle's files: what may be one, and which together. Said once, for inline files and archives alike. */

const MAX_PATH_BYTES = 255
const MAX_PARTS = 16
/** Unicode's control characters (Cc), and those that turn the direction of writing (Cf), in which a name lies about itself. */
const UNSEEN = /[\p{Cc}\p{Cf}]/u

/** What is wrong with a path, in words; null: nothing. */
export function pathFault(path: string): string | null {
  if (path === '') return 'is empty'
  if (!path.isWellFormed()) return 'is no Unicode'
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) return 'is not relative'
  if (path.includes('\\')) return 'has a backslash; parts are divided by "/"'
  if (UNSEEN.test(path)) return 'has characters that cannot be seen'
  if (path !== path.normalize('NFC')) return 'is not normalised (NFC)'
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `has more than ${MAX_PATH_BYTES} bytes`
  const parts = path.split('/')
  if (parts.length > MAX_PARTS) return `has more than ${MAX_PARTS} parts`
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return 'has an empty part, "." or ".."'
  if (parts.includes('__proto__')) return 'has a part that may not be'
  return null
}

/** Paths that are the same where case is ignored, or of which one is a folder of the other. The first that clashes; null: none. */
export function clash(paths: readonly string[]): string | null {
  const files = new Set<string>()
  for (const path of paths) {
    const folded = fold(path)
    if (files.has(folded)) return path
    files.add(folded)
  }
  for (const path of paths) {
    const parts = fold(path).split('/')
    for (let length = 1; length < parts.length; length++) if (files.has(parts.slice(0, length).join('/'))) return path
  }
  return null
}

const fold = (path: string): string => path.normalize('NFKC').toLowerCase()
