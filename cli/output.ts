/**
 * What is printed: tables and prose that fit the terminal, pairs, JSON. Words that came from outside lose their control characters first, so that a
 * message cannot steer the operator's terminal. Colour only on a terminal and without NO_COLOR.
 */
import { stripVTControlCharacters } from 'node:util'

/** Cells that do not fit are cut; a column with `whole` never is, because it is there to be copied. */
export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string
  readonly whole?: boolean
}

type Style = 'dim' | 'bold' | 'red' | 'green' | 'yellow'
const CODES: { readonly [Each in Style]: readonly [number, number] } = {
  dim: [2, 22],
  bold: [1, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
}
/** Where no terminal says how wide it is. */
const WIDTH = 80
const MIN_WIDTH = 40

export interface Stream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

export class Output {
  readonly #stdout: Stream
  readonly #stderr: Stream
  readonly isColoured: boolean

  constructor(options: { readonly stdout: Stream; readonly stderr: Stream; readonly isColoured: boolean }) {
    this.#stdout = options.stdout
    this.#stderr = options.stderr
    this.isColoured = options.isColoured
  }

  get isTerminal(): boolean {
    return this.#stdout.isTTY === true
  }

  get #width(): number {
    return Math.max(MIN_WIDTH, (this.isTerminal ? this.#stdout.columns : undefined) ?? WIDTH)
  }

  write(text: string): void {
    this.#stdout.write(text)
  }

  line(text = ''): void {
    this.#stdout.write(`${text}\n`)
  }

  /** Whatever is told may quote what others wrote. */
  note(text: string): void {
    this.#stderr.write(`${plain(text)}\n`)
  }

  /** Our own words, broken between them; `lead` stands before the first line, the others are indented by its length. */
  prose(text: string, lead = ''): void {
    const lines = ['']
    for (const word of text.split(' ')) {
      const line = lines.at(-1) ?? ''
      if (line === '') lines[lines.length - 1] = word
      else if (lead.length + line.length + 1 + word.length <= this.#width) lines[lines.length - 1] = `${line} ${word}`
      else lines.push(word)
    }
    lines.forEach((line, i) => this.line((i === 0 ? lead : ' '.repeat(lead.length)) + line))
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value, null, this.isTerminal ? 2 : 0))
  }

  table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], none: string): void {
    if (rows.length === 0) return this.note(none)
    const cells = rows.map((row) => columns.map((column) => oneLine(column.cell(row))))
    const widths = fit(columns, cells, this.#width)
    const print = (texts: readonly string[]): string =>
      texts.map((text, i) => (i === texts.length - 1 ? cut(text, widths[i] ?? 0) : pad(text, widths[i] ?? 0))).join('  ')
    this.line(this.style('dim', print(columns.map((column) => column.title)).trimEnd()))
    for (const row of cells) this.line(print(row).trimEnd())
  }

  pairs(pairs: readonly (readonly [name: string, value: string])[]): void {
    const width = Math.max(...pairs.map(([name]) => name.length))
    for (const [name, value] of pairs)
      this.line(`${this.style('dim', name.padEnd(width))}  ${plain(value).replaceAll('\n', `\n${' '.repeat(width + 2)}`)}`)
  }

  style(style: Style, text: string): string {
    const [on, off] = CODES[style]
    return this.isColoured ? `\u001b[${on}m${text}\u001b[${off}m` : text
  }
}

/** Text of others, safe for a terminal: line ends and tabs stay, other control and direction characters go. */
export const plain = (text: string): string => stripVTControlCharacters(text).replace(CONTROL, '')
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

const oneLine = (text: string): string => plain(text).replace(/\s+/g, ' ').trim()

/** Whole columns have what they need; the others share what is left, narrow ones first. */
function fit(columns: readonly Column<never>[], rows: readonly (readonly string[])[], width: number): readonly number[] {
  const needs = columns.map((column, i) => Math.max(textWidth(column.title), ...rows.map((row) => textWidth(row[i] ?? ''))))
  const whole = columns.map((column) => column.whole === true)
  let left = width - 2 * (columns.length - 1) - needs.reduce((sum, need, i) => sum + (whole[i] === true ? need : 0), 0)
  const widths = [...needs]
  const flexible = needs
    .map((need, i) => ({ need, i }))
    .filter(({ i }) => whole[i] !== true)
    .sort((a, b) => a.need - b.need)
  flexible.forEach(({ need, i }, rank) => {
    const share = Math.max(4, Math.floor(left / (flexible.length - rank)))
    widths[i] = Math.min(need, share)
    left -= widths[i] ?? 0
  })
  return widths
}

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u
/** What people see as one character, with how many columns a terminal gives it. */
function* characters(text: string): Generator<readonly [character: string, columns: number]> {
  for (const { segment } of new Intl.Segmenter().segment(text)) yield [segment, WIDE.test(segment) ? 2 : 1]
}

function textWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length
  let width = 0
  for (const [, columns] of characters(text)) width += columns
  return width
}

function pad(text: string, width: number): string {
  const short = cut(text, width)
  return short + ' '.repeat(Math.max(0, width - textWidth(short)))
}

function cut(text: string, width: number): string {
  if (textWidth(text) <= width) return text
  let used = 0
  let kept = ''
  for (const [character, columns] of characters(text)) {
    used += columns
    if (used > width - 1) break
    kept += character
  }
  return `${kept}…`
}
