/** Where a text may be cut: between paragraphs, lines, sentences, words, and at last anywhere but inside of what is seen as one character. */

/** Places not behind `limit`, the best first: a coarser boundary counts if what comes before it is worth a part. */
export type Boundaries = (text: string, limit: number) => Iterable<number>

/** Segmenters are made once for as many cuts as a text needs: making one takes longer than a cut. */
export function proseBoundaries(): Boundaries {
  const [sentence, word, grapheme] = [segmentStart('sentence'), segmentStart('word'), segmentStart('grapheme')]
  return function* (text, limit) {
    const worthwhile = limit / 2
    for (const find of [paragraph, line, sentence, space]) {
      const at = find(text, limit)
      if (at > worthwhile) yield at
    }
    const before = space(text, limit)
    // A long word or address goes whole to the next part, where it has room.
    if (wordEnd(text, limit) - before <= limit) yield before
    yield word(text, limit)
    yield* characters(text, limit, grapheme)
  }
}

/** Code is cut between its lines, whatever they say. */
export function codeBoundaries(): Boundaries {
  const grapheme = segmentStart('grapheme')
  return function* (text, limit) {
    yield line(text, limit)
    yield* characters(text, limit, grapheme)
  }
}

type Find = (text: string, limit: number) => number

const paragraph: Find = (text, limit) => Math.max(text.lastIndexOf('\n\n', limit), 0)
const line: Find = (text, limit) => Math.max(text.lastIndexOf('\n', limit), 0)

const space: Find = (text, limit) => {
  for (let at = Math.min(limit, text.length - 1); at > 0; at -= 1) if (/\s/.test(text.charAt(at))) return at
  return 0
}

function wordEnd(text: string, from: number): number {
  const length = text.slice(from).search(/\s/)
  return length === -1 ? text.length : from + length
}

function segmentStart(granularity: 'sentence' | 'word' | 'grapheme'): Find {
  const segmenter = new Intl.Segmenter('en', { granularity })
  return (text, limit) => segmenter.segment(text).containing(limit)?.index ?? limit
}

/** A character of many code points that is wider than a part is cut after all, but between code points. */
function* characters(text: string, limit: number, grapheme: Find): Iterable<number> {
  yield grapheme(text, limit)
  const isPair = limit > 0 && (text.codePointAt(limit - 1) ?? 0) > 0xff_ff
  yield isPair ? limit - 1 : limit
}
