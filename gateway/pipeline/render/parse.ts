/**
 * CommonMark with tables, strikethrough, task lists and bare addresses, read into leaves. The only file that knows the parser, and
 * loaded only where a channel has a dialect. What the parser cannot make sense of stays as it was written: no word is lost.
 */
import type { List, ListItem, Nodes, PhrasingContent, RootContent, Table } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'
import { textLeaf, textRun } from './leaf.ts'
import type { Leaf, Mark, Run } from './leaf.ts'
import { sections } from './section.ts'
import { tableLeaf } from './table.ts'

/** Marks, quotes and lists in one another; what lies deeper stays as it was written. */
const MAX_DEPTH = 32

export function parse(text: string): readonly Leaf[] {
  const leaves = sections(text).flatMap(({ source, isWords }) => (isWords ? asWords(source) : leavesOf(source)))
  // A text of nothing but marks means them: the answer to which sign begins a heading.
  return leaves.some(({ runs, marker }) => marker !== null || runs.some((run) => run.text.trim() !== '')) ? leaves : asWords(text)
}

const asWords = (text: string): readonly Leaf[] => (text.trim() === '' ? [] : [textLeaf([textRun(text.trim())])])

function leavesOf(source: string): readonly Leaf[] {
  try {
    const root = fromMarkdown(source, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] })
    return new Reader(source, root).blocks(root.children, { quotes: [], indent: '', depth: 0 })
  } catch {
    // An answer that was paid for is never lost to its markup.
    return asWords(source)
  }
}

interface Place {
  readonly quotes: readonly object[]
  readonly indent: string
  readonly depth: number
}

class Reader {
  readonly #source: string
  readonly #urls = new Map<string, { readonly url: string; readonly title: string | null }>()
  readonly #referred = new Set<string>()

  constructor(source: string, root: Nodes) {
    this.#source = source
    this.#collect(root, 0)
  }

  blocks(nodes: readonly RootContent[], place: Place): readonly Leaf[] {
    return nodes.flatMap((node) => this.#block(node, place))
  }

  #block(node: RootContent, place: Place): readonly Leaf[] {
    const at = { ...place, depth: place.depth + 1 }
    const leaf = (runs: readonly Run[]): Leaf => ({ ...textLeaf(runs), quotes: place.quotes, indent: place.indent })
    if (place.depth > MAX_DEPTH) return [leaf([textRun(this.#literal(node))])]
    switch (node.type) {
      case 'paragraph':
        return [leaf(this.#inlines(node.children, [], 0))]
      case 'heading':
        return [{ ...leaf(this.#inlines(node.children, [], 0)), form: { is: 'heading', level: node.depth } }]
      case 'code':
        return [
          // A language is a matter of colours; what stands behind it, a file's name mostly, is words.
          ...(node.meta ? [leaf([textRun(node.meta)])] : []),
          ...(node.value.trim() === ''
            ? []
            : [{ ...leaf([textRun(node.value)]), form: { is: 'fence', language: node.lang ?? null } as const }]),
        ]
      case 'blockquote':
        return this.blocks(node.children, { ...at, quotes: [...place.quotes, node], indent: '' })
      case 'list':
        return this.#list(node, at)
      case 'table':
        return [{ ...this.#table(node), quotes: place.quotes, indent: place.indent }]
      case 'thematicBreak':
        return [leaf([textRun('———')])]
      case 'footnoteDefinition':
        return prefixed(this.blocks(node.children, at), `[^${node.label ?? node.identifier}]: `, leaf([]))
      case 'definition':
        return this.#referred.has(node.identifier) ? [] : [leaf([textRun(this.#literal(node))])]
      default:
        return [leaf([textRun(this.#literal(node))])]
    }
  }

  #list(list: List, place: Place): readonly Leaf[] {
    return list.children.flatMap((item, index) => {
      const marker = list.ordered === true ? `${(list.start ?? 1) + index}.` : '•'
      const leaves = this.#item(item, marker, place)
      const [first, ...rest] = leaves
      return first === undefined || list.spread === true || index === 0 ? leaves : [{ ...first, gap: '\n' as const }, ...rest]
    })
  }

  #item(item: ListItem, marker: string, place: Place): readonly Leaf[] {
    const empty: Leaf = { ...textLeaf([]), quotes: place.quotes, indent: place.indent, marker }
    const inside = item.children.flatMap((node, index) => {
      const [first, ...rest] = this.#block(node, { ...place, indent: `${place.indent}  ` })
      const isClose = index > 0 && node.type === 'list' && item.spread !== true
      return first === undefined ? [] : [isClose ? { ...first, gap: '\n' as const } : first, ...rest]
    })
    const done = item.checked ?? null
    const leaves = done === null ? inside : prefixed(inside, done ? '☑ ' : '☐ ', empty)
    const [first, ...rest] = leaves
    if (first === undefined) return [empty]
    const takesMarker = first.form.is !== 'fence' && first.marker === null && first.quotes.length === place.quotes.length
    if (takesMarker) return [{ ...first, marker, indent: place.indent }, ...rest]
    return [empty, { ...first, gap: '\n' }, ...rest]
  }

  #table(table: Table): Leaf {
    const rows = table.children.map((row) => row.children.map((cell) => this.#inlines(cell.children, [], 0)))
    return tableLeaf(
      rows,
      (table.align ?? []).map((align) => align === 'right'),
    )
  }

  #inlines(nodes: readonly PhrasingContent[], marks: readonly Mark[], depth: number): readonly Run[] {
    return nodes.flatMap((node) => this.#inline(node, marks, depth))
  }

  #inline(node: PhrasingContent, marks: readonly Mark[], depth: number): readonly Run[] {
    const inside = (children: readonly PhrasingContent[], mark: Mark): readonly Run[] =>
      this.#inlines(children, marks.some(({ kind }) => kind === mark.kind) ? marks : [...marks, mark], depth + 1)
    if (depth > MAX_DEPTH) return [textRun(this.#literal(node), marks)]
    switch (node.type) {
      case 'text':
        return [textRun(node.value, marks)]
      case 'inlineCode':
        return [{ ...textRun(node.value, marks), isCode: true }]
      case 'break':
        return [textRun('\n', marks)]
      case 'strong':
        return inside(node.children, { kind: 'strong' })
      case 'delete':
        return inside(node.children, { kind: 'strike' })
      case 'emphasis':
        return this.#isInWord(node)
          ? [textRun('*', marks), ...this.#inlines(node.children, marks, depth + 1), textRun('*', marks)]
          : inside(node.children, { kind: 'emphasis' })
      case 'link':
        return linked(inside(node.children, { kind: 'link', url: node.url }), node, marks)
      case 'linkReference':
        return this.#reference(node, (url) => inside(node.children, { kind: 'link', url }), marks)
      case 'image':
        return linked(inside(words(node.alt), { kind: 'link', url: node.url }), node, marks)
      case 'imageReference':
        return this.#reference(node, (url) => inside(words(node.alt), { kind: 'link', url }), marks)
      default:
        return [textRun(this.#literal(node), marks)]
    }
  }

  #reference(
    node: PhrasingContent & { readonly identifier: string },
    runs: (url: string) => readonly Run[],
    marks: readonly Mark[],
  ): readonly Run[] {
    const target = this.#urls.get(node.identifier)
    return target === undefined ? [textRun(this.#literal(node), marks)] : linked(runs(target.url), target, marks)
  }

  /**
   * A star between letters or digits is more often a product than emphasis: `2*3*4`. CommonMark §6.2 says so of `_` only; where
   * whole words are meant both look the same.
   */
  #isInWord({ position }: PhrasingContent): boolean {
    const [from = 0, to = 0] = [position?.start.offset, position?.end.offset]
    return this.#source[from] === '*' && (LETTER.test(this.#source.charAt(from - 1)) || LETTER.test(this.#source.charAt(to)))
  }

  #literal({ position }: Nodes): string {
    return this.#source.slice(position?.start.offset, position?.end.offset)
  }

  #collect(node: Nodes, depth: number): void {
    if (node.type === 'definition' && !this.#urls.has(node.identifier))
      this.#urls.set(node.identifier, { url: node.url, title: node.title ?? null })
    if (node.type === 'linkReference' || node.type === 'imageReference') this.#referred.add(node.identifier)
    if ('children' in node && depth <= 2 * MAX_DEPTH) for (const child of node.children) this.#collect(child, depth + 1)
  }
}

const LETTER = /[0-9A-Za-z]/

const words = (alt: string | null | undefined): readonly PhrasingContent[] => (alt ? [{ type: 'text', value: alt }] : [])

/** What stands before the first leaf, or alone. */
function prefixed([first, ...rest]: readonly Leaf[], prefix: string, alone: Leaf): readonly Leaf[] {
  if (first === undefined) return [{ ...alone, runs: [textRun(prefix.trimEnd())] }]
  if (first.form.is === 'fence') return [{ ...alone, runs: [textRun(prefix.trimEnd())] }, first, ...rest]
  return [{ ...first, runs: [textRun(prefix), ...first.runs] }, ...rest]
}

/** The words of a link, and where it leads for whoever sees only words. */
function linked(
  runs: readonly Run[],
  { url, title }: { readonly url: string; readonly title?: string | null | undefined },
  marks: readonly Mark[],
): readonly Run[] {
  const text = runs.map((run) => run.text).join('')
  const behind = title ? [textRun(` "${title}"`, marks)] : []
  if (url === '') return [...runs.map((run) => ({ ...run, marks })), ...behind]
  const isNested = marks.some(({ kind }) => kind === 'link')
  const address = isNested ? marks : [...marks, { kind: 'link', url } as const]
  if (text === '') return [{ ...textRun(url, address), isWhole: true }, ...behind]
  if (text === url || `mailto:${text}` === url || `http://${text}` === url)
    return [...runs.map((run) => ({ ...run, isWhole: true })), ...behind]
  // A picture within a link: one of the two addresses is left to words.
  if (isNested) return [...runs, { ...textRun(` (${url})`, marks), isWhole: true }, ...behind]
  return [...runs.slice(0, -1), ...runs.slice(-1).map((run) => ({ ...run, after: ` (${url})` })), ...behind]
}
