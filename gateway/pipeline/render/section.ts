/**
 * Markdown taken apart before it is parsed, because the parser's time grows with the square of a long stretch and its stack with the
 * nesting. Sections end between blocks; what only a machine would write is not parsed at all.
 */
export interface Section {
  readonly source: string
  /** To be taken by its words. */
  readonly isWords: boolean
}

/** Characters. From here on a section ends at the next empty line outside of a fence, from twice as much at the next line. */
const SECTION = 8_000
/** Where the eighth message of a reply ends, what follows goes by its words: it would hold up everybody else. */
const LONGEST = 32_768
/** What may begin or end a mark: the parser compares each with those before it. Pictures can stand in pictures, which is the worst. */
const MAX_DELIMITERS = 1_000
const PICTURE = 10
const DELIMITER = /!\[|\[|\*+|~+|(?<![0-9A-Za-z])_+|_+(?![0-9A-Za-z])/g
/** Quotes and lists in one another. */
const MAX_NESTING = 50
const NESTED = new RegExp(`^(?:[ \\t]*(?:>|(?:[*+-]|\\d{1,9}[.)])(?=[ \\t]))){${MAX_NESTING}}`)
const FENCE = /^(?:[ \t]*(?:>|(?:[*+-]|\d{1,9}[.)])[ \t]))*[ \t]*(`{3,}(?=[^`]*$)|~{3,})(.*)$/
/** Lines of code are read in a fraction of the time. */
const CODE = 0.2

export function sections(text: string): readonly Section[] {
  const found: Section[] = []
  let work = 0
  let lines: string[] = []
  let length = 0
  let delimiters = 0
  let isNested = false
  let isBlank = false
  let fence: string | null = null
  const end = (): void => {
    if (lines.length > 0) found.push({ source: lines.join('\n'), isWords: isNested || delimiters > MAX_DELIMITERS || work > LONGEST })
    lines = []
    length = 0
    delimiters = 0
    isNested = false
  }
  for (const line of text.split('\n')) {
    if (fence === null && length > SECTION && ((isBlank && /^\S/.test(line)) || length > 2 * SECTION)) end()
    lines.push(line)
    length += line.length + 1
    work += fence === null ? line.length : CODE * line.length
    isBlank = line.trim() === ''
    const [, mark, rest = ''] = FENCE.exec(line) ?? []
    if (fence === null) {
      if (mark !== undefined) fence = mark
      else for (const [sign] of line.matchAll(DELIMITER)) delimiters += sign === '![' ? PICTURE : Math.max(1, sign.length - 2)
      isNested ||= NESTED.test(line)
    } else if (mark !== undefined && mark.startsWith(fence) && rest.trim() === '') fence = null
  }
  end()
  return found
}
