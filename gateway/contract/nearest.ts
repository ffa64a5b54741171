/**
 * The known word that somebody who misspelt one most likely meant. For error messages only; nothing is ever corrected in
 * silence.
 */

/** null: none of them is near. Words of more than 64 characters are near to nothing. */
export function nearest(word: string, known: Iterable<string>): string | null {
  if (word.length > 64) return null
  const asked = word.toLowerCase()
  let best: string | null = null
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(asked, candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best ?? begunBy(asked, known)
}

/** The only one that begins so, as `timeout_ms` does with `timeout`. */
function begunBy(asked: string, known: Iterable<string>): string | null {
  const [one, another] = asked.length < 3 ? [] : [...known].filter((candidate) => candidate.toLowerCase().startsWith(asked))
  return one !== undefined && another === undefined ? one : null
}

/** Levenshtein's: letters put in, taken out or exchanged. */
function editDistance(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const line = [row]
    for (let column = 1; column <= to.length; column++) {
      const exchanged = (above[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1)
      line.push(Math.min(exchanged, (above[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1))
    }
    above = line
  }
  return above[to.length] ?? 0
}
