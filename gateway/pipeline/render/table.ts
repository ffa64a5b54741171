/** A table as text: aligned in a fence as long as a telephone shows its lines whole, else a line for each row. */
import { textLeaf, textRun } from './leaf.ts'
import type { Leaf, Run } from './leaf.ts'

export type Cell = readonly Run[]

/** Columns of the screen. The same for all platforms, so that the words do not depend on where they go. */
const WIDEST = 60

/** `isRight`: which columns are of numbers. The first row is the heading. */
export function tableLeaf(rows: readonly (readonly Cell[])[], isRight: readonly boolean[]): Leaf {
  const texts = rows.map((row) => row.map((cell) => words(cell)))
  const widths = columnWidths(texts)
  const width = widths.reduce((sum, one) => sum + one + SEPARATOR.length, -SEPARATOR.length)
  if (width > WIDEST) return textLeaf(rows.flatMap(lineOf))
  const lines = texts.map((row) => row.map((text, at) => padded(text, widths[at] ?? 0, isRight[at] === true)).join(SEPARATOR))
  lines.splice(1, 0, widths.map((one) => '─'.repeat(one)).join('─┼─'))
  return { ...textLeaf([textRun(lines.map((line) => line.trimEnd()).join('\n'))]), form: { is: 'fence', language: null } }
}

const SEPARATOR = ' │ '

function lineOf(row: readonly Cell[], index: number): readonly Run[] {
  const strong = { kind: 'strong' } as const
  const cells = index === 0 ? row.map((cell) => cell.map((run) => ({ ...run, marks: [strong, ...run.marks] }))) : row
  return cells.flatMap((cell, at) => [textRun(at > 0 ? SEPARATOR : index > 0 ? '\n' : ''), ...cell])
}

const words = (cell: Cell): string =>
  cell
    .map(({ text, after }) => text + after)
    .join('')
    .replaceAll('\n', ' ')

function columnWidths(texts: readonly (readonly string[])[]): readonly number[] {
  const widths: number[] = []
  for (const row of texts) row.forEach((text, at) => (widths[at] = Math.max(widths[at] ?? 0, columns(text))))
  return widths
}

function padded(text: string, width: number, isRight: boolean): string {
  const space = ' '.repeat(width - columns(text))
  return isRight ? space + text : text + space
}

/** Characters of East Asia and emoji take two columns (UAX #11). */
const WIDE = /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|\p{Emoji_Presentation}/u

function columns(text: string): number {
  // Longer than any table that is aligned: how much longer is all the same.
  if (text.length > 4 * WIDEST) return text.length
  let count = 0
  for (const { segment } of new Intl.Segmenter('en').segment(text)) count += WIDE.test(segment) ? 2 : 1
  return count
}
