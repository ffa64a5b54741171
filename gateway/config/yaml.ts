/**
 * YAML 1.2 text → a tree with places. The only file that knows the library, which is loaded when there is something to read. Aliases are
 * followed within bounds; what is not JSON (mappings as keys, tags) is a fault.
 */
import type * as Yaml from 'yaml'
import type { Document, LineCounter, Node as YamlNode, Pair, Scalar as YamlScalar } from 'yaml'
import { interpolate } from './interpolate.ts'
import type { Environment } from './interpolate.ts'
import { childPath, emptyMap } from './tree.ts'
import type { ConfigFault, Entry, Node, Place, Scalar } from './tree.ts'

const MAX_DEPTH = 64
const MAX_NODES = 100_000

export interface YamlSource {
  readonly file: string
  readonly text: string
  readonly env: Environment
}

export async function parseYaml(source: YamlSource): Promise<{ readonly tree: Node; readonly faults: readonly ConfigFault[] }> {
  const yaml = await import('yaml')
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(source.text, { lineCounter: lines, prettyErrors: false, version: '1.2' })
  if (document.errors.length > 0 || document.warnings.length > 0) {
    return {
      tree: emptyMap({ file: source.file, line: 1, column: 1 }),
      faults: syntaxFaults([...document.errors, ...document.warnings], source, lines),
    }
  }
  const reader = new Reader(yaml, document, source, lines)
  const root = document.contents
  const tree = root === null ? emptyMap({ file: source.file, line: 1, column: 1 }) : reader.read(root, '', 0)
  return { tree, faults: reader.faults }
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
    faults.push({ path: '', file: source.file, line, column: col, message: `not YAML: ${error.message}${quote}` })
  }
  return faults
}

class Reader {
  readonly faults: ConfigFault[] = []
  readonly #yaml: typeof Yaml
  readonly #document: Document.Parsed
  readonly #source: YamlSource
  readonly #lines: LineCounter
  #nodes = 0

  constructor(yaml: typeof Yaml, document: Document.Parsed, source: YamlSource, lines: LineCounter) {
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
      return target ? this.read(target, path, depth + 1) : { kind: 'broken', place }
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
    if (typeof value !== 'string') return { kind: 'scalar', place, value, ...(node.source === undefined ? {} : { source: node.source }) }
    const filled = interpolate(value, this.#source.env)
    if (!filled.ok) {
      // In a plain or quoted scalar of one line, the reference's own column; in a block, the block's.
      const inline = node.source !== undefined && !node.source.includes('\n') && node.type?.startsWith('BLOCK') !== true
      const offset = inline ? filled.at + (node.type === 'PLAIN' ? 0 : 1) : 0
      this.#fault({ ...place, column: place.column + offset }, path, filled.problem)
      return { kind: 'broken', place }
    }
    return { kind: 'scalar', place, value: filled.text, ...(filled.names.length === 0 ? {} : { env: filled.names }) }
  }

  #place(node: YamlNode): Place {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0)
    return { file: this.#source.file, line, column: col }
  }

  #fault(place: Place, path: string, message: string): void {
    this.faults.push({ path, ...place, message })
  }
}
