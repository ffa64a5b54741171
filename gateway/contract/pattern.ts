/** Patterns of operators: `*` stands for any characters, everything else for itself. */

export function matchesAny(patterns: readonly string[]): (text: string) => boolean {
  const all = patterns.map((pattern) => pattern.split('*'))
  return (text) => all.some((pieces) => (pieces.length === 1 ? text === pieces[0] : matchesPieces(text, pieces)))
}

/** `a*b*c` without a regular expression, so that no pattern can be slow: each piece at its first place after the last. */
export function matchesPieces(text: string, pieces: readonly string[]): boolean {
  const first = pieces[0] ?? ''
  const last = pieces.at(-1) ?? ''
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  const end = text.length - last.length
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at)
    if (found < 0 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}
