/**
 * Leaves packed into as few parts as the limit allows, measured as they will be sent. A leaf that is too large is cut, and its
 * marks, quotes and fences are closed and opened again, because each piece is written by itself.
 */
import type { Capabilities, Rendered } from '#contract'
import { codeBoundaries, proseBoundaries } from './boundary.ts'
import { bare, bareRun, beginning, breakable, head, isInsideWhole, tail } from './leaf.ts'
import type { Leaf, Run } from './leaf.ts'
import type { Write } from './write.ts'

export type Limit = Pick<Capabilities['text'], 'max' | 'unit'>

export function pack(leaves: readonly Leaf[], limit: Limit, write: Write): readonly Rendered[] {
  const packer = new Packer(limit, write)
  const queue = leaves.map((leaf) => (packer.fits([leaf]) ? leaf : packer.afford(leaf)))
  const parts: Rendered[] = []
  for (let at = 0; at < queue.length;) {
    let count = most(queue.length - at, (n) => packer.fits(queue.slice(at, at + n)))
    const next = queue[at + count]
    const before = queue.slice(at, at + count)
    if (next !== undefined && packer.hasRoom(before) && !packer.fits([next])) {
      const pieces = packer.cut(before, next)
      if (pieces !== null) {
        parts.push(write([...before, pieces.head]))
        at += count
        if (pieces.tail === null) at += 1
        else queue[at] = pieces.tail
        continue
      }
    }
    // A heading belongs to what follows.
    if (count > 1 && next !== undefined && before.at(-1)?.form.is === 'heading') count -= 1
    parts.push(write(queue.slice(at, at + count)))
    at += count
  }
  return parts.filter(({ text, plain }) => (plain ?? text).trim() !== '')
}

interface Pieces {
  readonly head: Leaf
  readonly tail: Leaf | null
}

class Packer {
  readonly #limit: Limit
  readonly #write: Write
  readonly #prose = proseBoundaries()
  readonly #code = codeBoundaries()

  constructor(limit: Limit, write: Write) {
    this.#limit = limit
    this.#write = write
  }

  fits(leaves: readonly Leaf[]): boolean {
    return !this.#isSurelyTooLong(leaves) && this.#size(leaves) <= this.#limit.max
  }

  /** A part that is not even half full takes the beginning of what comes next. */
  hasRoom(leaves: readonly Leaf[]): boolean {
    return this.#size(leaves) <= this.#limit.max / 2
  }

  /** Markup that alone takes half of a part is left out: in pieces it would be more markup than words. */
  afford(leaf: Leaf): Leaf {
    const half = this.#limit.max / 2
    const isDear = (runs: readonly Run[]): boolean => this.#size([{ ...leaf, runs }]) > half
    if (isDear([])) return bare(leaf) ?? leaf
    const runs = leaf.runs.flatMap((run) =>
      (run.marks.length > 0 || run.isCode || run.after !== '') && isDear([{ ...run, text: 'x' }]) ? bareRun(run) : [run],
    )
    return { ...leaf, runs }
  }

  /** So much of the leaf as fits behind `before`; null: better in a part of its own. */
  cut(before: readonly Leaf[], leaf: Leaf): Pieces | null {
    const found = this.#pieces(before, leaf)
    if (found !== null || before.length > 0) return found
    const looser = bare(leaf) ?? breakable(leaf)
    if (looser !== null) return this.fits([looser]) ? { head: looser, tail: null } : this.cut(before, looser)
    // Not even one character fits: it goes all the same.
    const [character = ''] = beginning(leaf, 2)
    return { head: head(leaf, character.length), tail: tail(leaf, character.length) }
  }

  #pieces(before: readonly Leaf[], leaf: Leaf): Pieces | null {
    const text = beginning(leaf, this.#limit.max + CONTEXT)
    const isCode = leaf.form.is === 'fence'
    const end = most(text.length, (n) => this.fits([...before, head(leaf, n)]))
    if (end === 0) return null
    for (const at of (isCode ? this.#code : this.#prose)(text, end)) {
      const headEnd = isCode ? at : text.slice(0, at).trimEnd().length
      if (headEnd === 0 || isInsideWhole(leaf, at)) continue
      const first = head(leaf, headEnd)
      if (this.fits([...before, first])) return { head: first, tail: tail(leaf, at + gapAt(text, at, isCode)) }
    }
    return null
  }

  #size(leaves: readonly Leaf[]): number {
    const { text, plain = '' } = this.#write(leaves)
    return this.#limit.unit === 'bytes' ? Math.max(Buffer.byteLength(text), Buffer.byteLength(plain)) : Math.max(text.length, plain.length)
  }

  /** Known without writing it: no character is less than one unit. */
  #isSurelyTooLong(leaves: readonly Leaf[]): boolean {
    let length = 0
    for (const { runs } of leaves) {
      for (const run of runs) {
        length += run.text.length
        if (length > this.#limit.max) return true
      }
    }
    return false
  }
}

/** What follows a place decides whether it is a boundary. */
const CONTEXT = 64

/** White space at a cut belongs to neither piece, save the indentation of the line that follows. */
function gapAt(text: string, at: number, isCode: boolean): number {
  const rest = text.slice(at)
  return (isCode ? /^\n/ : /^\s*\n|^\s+/).exec(rest)?.[0].length ?? 0
}

/** The greatest number up to `n` that fits, where what is less fits too. Looks at no more than twice as much as fits. */
function most(n: number, fits: (count: number) => boolean): number {
  let good = 0
  let bad = 1
  while (bad <= n && fits(bad)) {
    good = bad
    bad *= 2
  }
  bad = Math.min(bad, n + 1)
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (fits(middle)) good = middle
    else bad = middle
  }
  return good
}
