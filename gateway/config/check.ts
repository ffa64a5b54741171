/**
 * Holds a tree against a schema: reports every fault with its place, fills in defaults, and remembers where each value came
 * from. Knows the part of JSON Schema 2020-12 that configuration needs; any other keyword is an error of the
 * schema's author and is thrown, so that no rule is silently without effect.
 */
import { isJsonObject, nearest } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import { durationMs, sizeBytes } from './quantity.ts'
import { expectation, list, refuseUnknownKeywords, schemas, typesOf } from './schema-reading.ts'
import { childPath, describe, emptyMap, isNothing } from './tree.ts'
import type { ConfigFault, Node, Place, ScalarNode } from './tree.ts'

/** Where a value came from. */
export type Origin =
  | { readonly from: 'default' }
  | { readonly from: 'file'; readonly file: string; readonly line: number; readonly env?: readonly string[]; readonly isSecret?: boolean }
  | { readonly from: 'overlay'; readonly by: string; readonly at: number }
  | { readonly from: 'env'; readonly name: string }

export interface Checked {
  /** The values in the file's own terms, defaults filled in. Meaningless when there are faults. */
  readonly settings: JsonObject
  readonly faults: readonly ConfigFault[]
  /** Path → origin, for every value that is no mapping or list with members. */
  readonly origins: ReadonlyMap<string, Origin>
}

/** `path` is that of the tree's root, for faults and origins. */
export function check(tree: Node, schema: JsonObject, path = ''): Checked {
  const walk = new Walk()
  const value = walk.node(tree, schema, path)
  return { settings: isJsonObject(value) ? value : {}, faults: walk.faults.toSorted(byPlace), origins: walk.origins }
}

/** Order of reading. */
export const byPlace = (a: Place, b: Place): number => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column

class Walk {
  readonly faults: ConfigFault[] = []
  readonly origins = new Map<string, Origin>()

  /** The value with defaults, undefined when it is at fault. */
  node(given: Node, schema: JsonObject, path: string): JsonValue | undefined {
    refuseUnknownKeywords(schema)
    const types = typesOf(schema)
    const node = unlessEmpty(given, types)
    if (node.kind === 'broken') return undefined
    if (node.kind === 'scalar') return this.#scalar(node, schema, types, path)
    if (!types.includes(node.kind === 'map' ? 'object' : 'array')) {
      return this.#fault(node.place, path, `${describe(node, path)}, expected ${expectation(schema, types)}`)
    }
    return node.kind === 'map' ? this.#map(node, schema, path) : this.#list(node, schema, path)
  }

  #map(node: Node & { kind: 'map' }, schema: JsonObject, path: string): JsonValue {
    const properties = schemas(schema['properties'])
    const extra = schema['additionalProperties']
    const names = isJsonObject(schema['propertyNames']) ? schema['propertyNames']['pattern'] : undefined
    const given = new Map<string, JsonValue | undefined>()
    for (const { key, place, node: member } of node.entries) {
      const own = Object.hasOwn(properties, key) ? properties[key] : undefined
      const inside = childPath(path, key)
      if (own) given.set(key, this.node(member, own, inside))
      else if (extra === false) this.#unknown(place, inside, key, Object.keys(properties))
      else if (typeof names === 'string' && !new RegExp(names, 'u').test(key))
        this.#fault(place, inside, `the name ${JSON.stringify(key)}, expected one like ${names}`)
      else given.set(key, this.node(member, isJsonObject(extra) ? extra : {}, inside))
    }
    for (const name of list(schema['required'])) {
      if (typeof name === 'string' && !given.has(name))
        this.#fault(node.place, childPath(path, name), `nothing, expected ${JSON.stringify(name)} here`)
    }
    // In the schema's order, so that what is printed does not depend on how the file was written.
    const all = new Map<string, JsonValue | undefined>()
    for (const [key, property] of Object.entries(properties)) {
      all.set(key, given.has(key) ? given.get(key) : this.#missing(property, childPath(path, key), node.place))
    }
    for (const [key, value] of given) all.set(key, value)
    if (all.size === 0) this.origins.set(path, originOf(node))
    return Object.fromEntries([...all].filter((entry): entry is [string, JsonValue] => entry[1] !== undefined))
  }

  /** Defaults; a mapping of known keys that is missing has the defaults of its keys, if it has any. */
  #missing(schema: JsonObject, path: string, place: Place): JsonValue | undefined {
    refuseUnknownKeywords(schema)
    const fallback = schema['default']
    if (fallback !== undefined) {
      this.origins.set(path, { from: 'default' })
      return fallback
    }
    if (schema['required'] !== undefined || !isJsonObject(schema['properties'])) return undefined
    const filled = this.#map({ ...emptyMap(place), kind: 'map', entries: [] }, schema, path)
    this.origins.delete(path)
    return isJsonObject(filled) && Object.keys(filled).length > 0 ? filled : undefined
  }

  #list(node: Node & { kind: 'list' }, schema: JsonObject, path: string): JsonValue {
    const items = isJsonObject(schema['items']) ? schema['items'] : {}
    const count = node.items.length
    this.#bounds(node.place, path, count, schema['minItems'], schema['maxItems'], 'entries')
    if (count === 0) this.origins.set(path, originOf(node))
    return node.items.map((item, i) => this.node(item, items, childPath(path, i)) ?? null)
  }

  #scalar(node: ScalarNode, schema: JsonObject, types: readonly string[], path: string): JsonValue | undefined {
    const value = fitted(node, types)
    if (value === undefined) return this.#fault(node.place, path, `${describe(node, path)}, expected ${expectation(schema, types)}`)
    const before = this.faults.length
    const allowed = 'const' in schema ? [schema['const']] : list(schema['enum'])
    if (allowed.length > 0 && !allowed.includes(value)) {
      const words = allowed.filter((word) => typeof word === 'string')
      this.#fault(
        node.place,
        path,
        `${describe(node, path)}, expected ${expectation(schema, types)}`,
        typeof value === 'string' ? nearest(value, words) : null,
      )
    } else if (schema['format'] === 'duration' && value !== null) this.#quantity(node, schema, path, durationMs(value), 1_000)
    else if (schema['format'] === 'bytes' && value !== null) this.#quantity(node, schema, path, sizeBytes(value), 1)
    else if (typeof value === 'string') this.#text(node, value, schema, path)
    else if (typeof value === 'number') this.#bounds(node.place, path, value, schema['minimum'], schema['maximum'], '', schema)
    if (this.faults.length > before) return undefined
    this.origins.set(path, originOf(node))
    return value
  }

  #text(node: ScalarNode, value: string, schema: JsonObject, path: string): void {
    const pattern = schema['pattern']
    if (schema['minLength'] === 1 && value === '')
      this.#fault(
        node.place,
        path,
        `${node.env ? describe(node, path) + ', which is empty' : 'an empty text'}, expected ${expectation(schema, ['string'])}`,
      )
    else this.#bounds(node.place, path, value.length, schema['minLength'], schema['maxLength'], 'characters')
    if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value))
      this.#fault(node.place, path, `${describe(node, path)}, expected a text like ${pattern}`)
    if (schema['format'] === 'uri' && !URL.canParse(value))
      this.#fault(node.place, path, `${describe(node, path)}, expected an address like http://127.0.0.1:11434/v1`)
  }

  #quantity(node: ScalarNode, schema: JsonObject, path: string, amount: number | null, unit: number): void {
    const { minimum, maximum } = schema
    if (amount === null) this.#fault(node.place, path, `${describe(node, path)}, expected ${expectation(schema, [])}`)
    else if (typeof minimum === 'number' && amount < minimum * unit)
      this.#fault(node.place, path, `${describe(node, path)}, expected at least ${minimum} ${unit === 1 ? 'bytes' : 's'}`)
    else if (typeof maximum === 'number' && amount > maximum * unit)
      this.#fault(node.place, path, `${describe(node, path)}, expected at most ${maximum} ${unit === 1 ? 'bytes' : 's'}`)
  }

  #bounds(
    place: Place,
    path: string,
    amount: number,
    least: JsonValue | undefined,
    most: JsonValue | undefined,
    what: string,
    schema: JsonObject = {},
  ): void {
    const above = schema['exclusiveMinimum']
    const below = schema['exclusiveMaximum']
    const said = what === '' ? `the number ${amount}` : `${amount} ${what}`
    if (typeof least === 'number' && amount < least) this.#fault(place, path, `${said}, expected at least ${least}`)
    if (typeof most === 'number' && amount > most) this.#fault(place, path, `${said}, expected at most ${most}`)
    if (typeof above === 'number' && amount <= above) this.#fault(place, path, `${said}, expected more than ${above}`)
    if (typeof below === 'number' && amount >= below) this.#fault(place, path, `${said}, expected less than ${below}`)
  }

  #unknown(place: Place, path: string, key: string, known: readonly string[]): void {
    const guess = nearest(key, known)
    const shown = known.length <= 12 ? known.join(', ') : `${known.slice(0, 12).join(', ')}, …`
    const elsewhere = path === key ? ELSEWHERE[key] : undefined
    this.#fault(
      place,
      path,
      `unknown key ${JSON.stringify(key)}, expected one of ${shown}${elsewhere === undefined ? '' : `. ${elsewhere}`}`,
      guess,
    )
  }

  #fault(place: Place, path: string, message: string, guess: string | null = null): undefined {
    this.faults.push({ path, ...place, message, ...(guess !== null && { nearest: guess }) })
  }
}

/** What plans and other programs have at the top, and we have in several places. */
const ELSEWHERE: { readonly [key: string]: string | undefined } = {
  security:
    'What it would hold is elsewhere: TLS, hosts, origins and rate limits below `server`, who may come in below `auth`, `roles` and `keys`, secrets below `secrets`, limits of an agent in `agents.<name>.limits`; validators there are none',
}

/** A key whose members are all commented out means the same as no key. */
function unlessEmpty(node: Node, types: readonly string[]): Node {
  if (!isNothing(node) || types.includes('null')) return node
  if (types.includes('object')) return emptyMap(node.place)
  return types.includes('array') ? { kind: 'list', place: node.place, items: [] } : node
}

/** The value as one of the wanted types: numbers as written where text is wanted, text of the environment as what it says. */
function fitted(node: ScalarNode, types: readonly string[]): JsonValue | undefined {
  const { value, source } = node
  if (types.length === 0 || types.includes(typeOf(value)) || (typeof value === 'number' && types.includes('number'))) return value
  if (typeof value === 'number' && types.includes('string') && source !== undefined) return source
  if (typeof value !== 'string' || node.env === undefined) return undefined
  if (types.includes('boolean') && /^(true|false)$/.test(value)) return value === 'true'
  if (types.includes('number') || types.includes('integer')) {
    const number = value.trim() === '' ? Number.NaN : Number(value)
    return types.includes(typeOf(number)) || (types.includes('number') && Number.isFinite(number)) ? number : undefined
  }
  return undefined
}

const typeOf = (value: string | number | boolean | null): string => {
  if (value === null) return 'null'
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'number'
  return typeof value
}

function originOf(node: Node): Origin {
  const { file, line, overlay } = node.place
  if (overlay) return { from: 'overlay', by: overlay.by, at: overlay.at }
  if (line === 0) return { from: 'env', name: file }
  const { env = null, isSecret = false } = node.kind === 'scalar' ? node : {}
  return { from: 'file', file, line, ...(env !== null && { env }), ...(isSecret && { isSecret }) }
}
