/**
 * What a text consists of once its markup is understood: leaves (a paragraph, a heading, a fence), each with the quotes and the
 * list item it stands in, and in them runs of text with their marks. Knows neither Markdown nor a dialect, and takes leaves apart.
 */
/** One pair of marks in the source. Runs that hold the same object stand inside the same pair. */
export type Mark = { readonly kind: 'strong' | 'emphasis' | 'strike' } | { readonly kind: 'link'; readonly url: string }

export interface Run {
  readonly text: string
  /** From the outermost. */
  readonly marks: readonly Mark[]
  readonly isCode: boolean
  /** An address: cut only where it fits nowhere. */
  readonly isWhole: boolean
  /** What a reader without markup needs to see behind it: where a link leads. */
  readonly after: string
}

export type Form =
  | { readonly is: 'text' }
  | { readonly is: 'heading'; readonly level: number }
  | { readonly is: 'fence'; readonly language: string | null }

export interface Leaf {
  readonly form: Form
  /** From the outermost. Leaves that hold the same object stand inside the same quote. */
  readonly quotes: readonly object[]
  readonly indent: string
  /** It begins a list item. */
  readonly marker: string | null
  /** What stands before it, unless it is the first. */
  readonly gap: '\n' | '\n\n'
  readonly runs: readonly Run[]
}

export function textRun(text: string, marks: readonly Mark[] = []): Run {
  return { text, marks, isCode: false, isWhole: false, after: '' }
}

export function textLeaf(runs: readonly Run[]): Leaf {
  return { form: { is: 'text' }, quotes: [], indent: '', marker: null, gap: '\n\n', runs }
}

/** At least so many characters of what it says, if it has them. */
export function beginning(leaf: Leaf, length: number): string {
  let text = ''
  for (const run of leaf.runs) {
    if (text.length >= length) break
    text += run.text.slice(0, length - text.length)
  }
  return text
}

/** The leaf up to a place in its text. */
export function head(leaf: Leaf, to: number): Leaf {
  const runs: Run[] = []
  let at = 0
  for (const run of leaf.runs) {
    if (at >= to) break
    runs.push(at + run.text.length <= to ? run : { ...run, text: run.text.slice(0, to - at), after: '' })
    at += run.text.length
  }
  return { ...leaf, runs }
}

/** The leaf from a place in its text on; null: nothing is left. It goes on with an item and begins none. */
export function tail(leaf: Leaf, from: number): Leaf | null {
  let at = 0
  for (const [index, run] of leaf.runs.entries()) {
    const end = at + run.text.length
    if (end > from) {
      const runs = leaf.runs.slice(index)
      if (from > at) runs[0] = { ...run, text: run.text.slice(from - at) }
      return { ...leaf, runs, indent: leaf.marker === null ? leaf.indent : `${leaf.indent}  `, marker: null }
    }
    at = end
  }
  return null
}

/** Whether a place in its text is inside of what stays whole. */
export function isInsideWhole(leaf: Leaf, place: number): boolean {
  let at = 0
  for (const run of leaf.runs) {
    if (at >= place) return false
    if (at + run.text.length > place) return run.isWhole
    at += run.text.length
  }
  return false
}

/** The words alone, for where there is no room for markup. null: they are already. */
export function bare(leaf: Leaf): Leaf | null {
  const isBare =
    leaf.form.is === 'text' &&
    leaf.quotes.length === 0 &&
    leaf.indent === '' &&
    leaf.marker === null &&
    leaf.runs.every((run) => run.marks.length === 0 && !run.isCode && run.after === '')
  if (isBare) return null
  const runs = leaf.runs.flatMap(bareRun)
  return { ...textLeaf(leaf.marker === null ? runs : [textRun(`${leaf.marker} `), ...runs]), gap: leaf.gap }
}

export function bareRun({ text, isWhole, after }: Run): readonly Run[] {
  return [{ ...textRun(text), isWhole }, ...(after === '' ? [] : [{ ...textRun(after), isWhole: true }])]
}

/** Cut wherever it must be. null: it was already. */
export function breakable(leaf: Leaf): Leaf | null {
  return leaf.runs.some((run) => run.isWhole) ? { ...leaf, runs: leaf.runs.map((run) => ({ ...run, isWhole: false })) } : null
}
