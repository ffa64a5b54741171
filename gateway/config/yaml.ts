/**
 * YAML 1.2 text → a tree with places, once it is known what its references stand for. The only file that knows the library, which is loaded when there
 * is something to read. Aliases are followed within bounds; what is not JSON (mappings as keys, tags) is a fault.
 */
import type * as Yaml from 'yaml'
import type { Document, LineCounter, Node as YamlNode, Pair, Scalar as YamlScalar } from 'yaml'
import { interpolate, referencesIn } from './interpolate.ts'
import type { Lookup } from './interpolate.ts'
import { isSecretPath } from './secret.ts'
import { childPath, emptyMap } from './tree.ts'
import type { ConfigFault, Entry, Node, Place, Scalar } from './tree.ts'

const MAX_DEPTH = 64
const MAX_NODES = 100_000

export interface YamlSource {
  readonly file: string
  readonly text: string
}

export interface ParsedYaml {
  /** The references in all its texts; of one member of the root alone, if it is named. */
  references(member?: string): readonly string[]
  read(lookup: Lookup): YamlTree
}
export interface YamlTree {
  readonly tree: Node
  readonly faults: readonly ConfigFault[]
  /** Values that were filled in and are secret, by themselves or by where they stand. */
  readonly secrets: readonly string[]
}

/** An empty `faults` means that it is YAML. */
export async function parseYaml(source: YamlSource): Promise<ParsedYaml | { readonly faults: readonly ConfigFault[] }> {
  const yaml = await import('yaml')
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(source.text, { lineCounter: lines, prettyErrors: false, version: '1.2' })
  if (document.errors.length > 0 || document.warnings.length > 0) {
    return { faults: syntaxFaults([...document.errors, ...document.warnings], source, lines) }
  }
  const root = document.contents
  return {
    references: (member) => {
      const node: unknown = member === undefined ? root : yaml.isMap(root) ? root.get(member, true) : null
      const found: string[] = []
      if (yaml.isNode(node))
        yaml.visit(node, { Scalar: (_, { value }) => void (typeof value === 'string' && found.push(...referencesIn(value))) })
      return found
    },
    read: (lookup) => {
      const reader = new Reader(yaml, document, { ...source, lookup }, lines)
      const tree = root === null ? emptyMap({ file: source.file, line: 1, column: 1 }) : reader.read(root, '', 0)
      return { tree, faults: reader.faults, secrets: reader.secrets }
    },
  }
}

/** The first error of each line: what follows on the same line mostly follows from it. */
function syntaxFaults(
  errors: readonly { message: string; pos: [number, number] }[],
  source: YamlSource,
  lines: LineCounter,
): ConfigFault[] {
  const seen = new Set<number>()
  const faults: ConfigFault[] = []
  for (const error of errors) {
    const { line, col } = lines.linePos(error.pos[0])
    if (seen.has(line)) continue
    seen.add(line)
    const quote = source.text.split('\n')[line - 1]?.includes('${') ? '; inside [ ] and { } write "${NAME}" with quotes' : ''
    faults.push({ path: '', file: source.file, line, column: col, message: `not YAML: ${withoutSource(error.message)}${quote}` })
  }
  return faults
}

/** The library's words without what stands in the file, which may be a secret that only wants quotes. */
const withoutSource = (message: string): string => message.replace(/(?:: | %|(?<=sequence) \\)[^]*$/, '')

class Reader {
  readonly faults: ConfigFault[] = []
  readonly secrets: string[] = []
  readonly #yaml: typeof Yaml
  readonly #document: Document.Parsed
  readonly #source: YamlSource & { readonly lookup: Lookup }
  readonly #lines: LineCounter
  #nodes = 0

  constructor(yaml: typeof Yaml, document: Document.Parsed, source: YamlSource & { readonly lookup: Lookup }, lines: LineCounter) {
    this.#yaml = yaml
    this.#document = document
    this.#source = source
    this.#lines = lines
  }

  read(node: YamlNode, path: string, depth: number): Node {
    const place = this.#place(node)
    if (depth > MAX_DEPTH || ++this.#nodes > MAX_NODES) {
      const bound = depth > MAX_DEPTH ? `deeper than ${MAX_DEPTH} levels` : `more than ${MAX_NODES} values`
      if (this.#nodes <= MAX_NODES + 1) this.#fault(place, path, `${bound}, expected fewer; look for an alias that holds itself`)
      return { kind: 'broken', place }
    }
    if (this.#yaml.isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target) return this.read(target, path, depth + 1)
      this.#fault(place, path, 'an alias of nothing, expected a value; a text that begins with "*" needs quotes')
      return { kind: 'broken', place }
    }
    if (this.#yaml.isMap(node)) {
      return { kind: 'map', place, entries: node.items.flatMap((pair) => this.#entry(pair, path, depth, place)) }
    }
    if (this.#yaml.isSeq(node)) {
      const items = node.items.map((item, i) => this.#value(item, childPath(path, i), depth, place))
      return { kind: 'list', place, items }
    }
    return this.#yaml.isScalar(node) ? this.#scalar(node, path, place) : { kind: 'broken', place }
  }

  #entry(pair: Pair, path: string, depth: number, around: Place): Entry[] {
    const key = pair.key
    if (!this.#yaml.isScalar(key) || key.value === null) {
      this.#fault(this.#yaml.isNode(key) ? this.#place(key) : around, path, 'a key that is no text, expected a name')
      return []
    }
    const name = typeof key.value === 'string' ? key.value : (key.source ?? '')
    const place = this.#place(key)
    return [{ key: name, place, node: this.#value(pair.value, childPath(path, name), depth, place) }]
  }

  #value(value: unknown, path: string, depth: number, around: Place): Node {
    return this.#yaml.isNode(value) ? this.read(value, path, depth + 1) : { kind: 'scalar', place: around, value: null }
  }

  #scalar(node: YamlScalar, path: string, place: Place): Node {
    const value = node.value as Scalar
    if (value === null && node.anchor !== undefined) {
      this.#fault(place, path, 'an anchor with nothing behind it, expected a value; a text that begins with "&" needs quotes')
      return { kind: 'broken', place }
    }
    if (typeof value !== 'string') return { kind: 'scalar', place, value, ...(node.source === undefined ? {} : { source: node.source }) }
    const filled = interpolate(value, this.#source.lookup)
    if (!filled.ok) {
      // In a plain or quoted scalar of one line, the reference's own column; in a block, the block's.
      const inline = node.source !== undefined && !node.source.includes('\n') && node.type?.startsWith('BLOCK') !== true
      const offset = inline ? filled.at + (node.type === 'PLAIN' ? 0 : 1) : 0
      if (filled.problem !== null) this.#fault({ ...place, column: place.column + offset }, path, filled.problem)
      return { kind: 'broken', place }
    }
    this.secrets.push(...(isSecretPath(path) ? filled.values : filled.secrets))
    if (filled.used.length === 0) return { kind: 'scalar', place, value: filled.text }
    return { kind: 'scalar', place, value: filled.text, env: filled.used, ...(filled.secrets.length > 0 && { isSecret: true }) }
  }

  #place(node: YamlNode): Place {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0)
    return { file: this.#source.file, line, column: col }
  }

  #fault(place: Place, path: string, message: string): void {
    this.faults.push({ path, ...place, message })
  }
}
