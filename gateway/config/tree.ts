/**
 * A configuration before it is checked: values that remember where they stand. Made from YAML, from the environment or
 * from JSON, so that all three are checked by the same walk.
 */
import { isJsonObject } from '#contract'
import type { JsonValue, OverlayRow } from '#contract'
import { isSecretPath } from './secret.ts'

/** Line and column count from 1; 0 where there is no such thing (environment, JSON). */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
  /** It stands in no file: it was changed over the API. */
  readonly overlay?: Pick<OverlayRow, 'path' | 'by' | 'at'>
}

export interface ConfigFault extends Place {
  /** Dotted path: `routes[0].match.topic`; empty for the file as a whole. */
  readonly path: string
  /** What stands there, what was expected, what to do. */
  readonly message: string
  /** The known word that was probably meant. */
  readonly nearest?: string
}

/** The keys from the root to a value. */
export type Keys = readonly (string | number)[]
/** Tells a fault; the caller knows the place. */
export type Tell = (at: Keys, message: string, nearest?: string | null) => void

export type Scalar = string | number | boolean | null
export type Node =
  | { readonly kind: 'map'; readonly place: Place; readonly entries: readonly Entry[] }
  | { readonly kind: 'list'; readonly place: Place; readonly items: readonly Node[] }
  | ScalarNode
  /** Its fault is already told. */
  | { readonly kind: 'broken'; readonly place: Place }
export interface ScalarNode {
  readonly kind: 'scalar'
  readonly place: Place
  readonly value: Scalar
  /** As written, where that may differ from the value: `1.0`. */
  readonly source?: string
  /** References that are part of it, `NAME` or `source:name`. Such text may stand for a number or a truth value too. */
  readonly env?: readonly string[]
  /** One of them gave a secret. */
  readonly isSecret?: boolean
}
export interface Entry {
  readonly key: string
  readonly place: Place
  readonly node: Node
}

export const emptyMap = (place: Place): Node => ({ kind: 'map', place, entries: [] })

/** A key with nothing behind it. */
export const isNothing = (node: Node): boolean => node.kind === 'scalar' && node.value === null

export const childPath = (path: string, key: string | number): string => {
  if (typeof key === 'number') return `${path}[${key}]`
  return path === '' ? key : `${path}.${key}`
}

/** A tree without lines: every node stands at `place`. */
export function fromJson(value: JsonValue, place: Place): Node {
  if (Array.isArray(value)) return { kind: 'list', place, items: value.map((item: JsonValue) => fromJson(item, place)) }
  if (isJsonObject(value)) {
    return { kind: 'map', place, entries: Object.entries(value).map(([key, member]) => ({ key, place, node: fromJson(member, place) })) }
  }
  return { kind: 'scalar', place, value: value as Scalar }
}

/** `tree` with `node` at the path `keys`; mappings that are missing on the way are made. */
export function withValue(tree: Node, keys: readonly string[], node: Node): Node {
  const [key, ...rest] = keys
  if (key === undefined) return node
  const entries = tree.kind === 'map' ? tree.entries : []
  const old = entries.find((entry) => entry.key === key)
  const entry: Entry = { key, place: node.place, node: withValue(old?.node ?? emptyMap(node.place), rest, node) }
  return { kind: 'map', place: tree.place, entries: [...entries.filter((other) => other !== old), entry] }
}

/** For messages: `a list`, `the number 8400`, `the text "eight"`. What may be secret is not repeated. */
export function describe(node: Node, path: string): string {
  if (node.kind === 'map') return 'a mapping'
  if (node.kind === 'list') return 'a list'
  if (node.kind === 'broken') return 'something unreadable'
  if (node.value === null) return 'nothing'
  if (node.env !== undefined) return `the value of ${node.env.join(' and ')}`
  if (typeof node.value === 'string') {
    return isSecretPath(path) || node.value.length > 24 ? 'a text' : `the text ${JSON.stringify(node.value)}`
  }
  if (isSecretPath(path)) return `a ${typeof node.value}`
  return `the ${typeof node.value === 'number' ? 'number' : 'truth value'} ${String(node.value)}`
}

/** What stands behind one key. */
export function member(node: Node | undefined, key: string | number): { readonly node: Node; readonly place: Place } | undefined {
  if (node?.kind === 'map') return node.entries.find((entry) => entry.key === key)
  const item = node?.kind === 'list' && typeof key === 'number' ? node.items[key] : undefined
  return item && { node: item, place: item.place }
}

/** Where the keys lead to, or the nearest thing around it that is there. */
export function placeOf(tree: Node, keys: readonly (string | number)[]): Place {
  let node = tree
  let place = tree.place
  for (const key of keys) {
    const next = member(node, key)
    if (!next) return place
    node = next.node
    place = node.kind === 'scalar' ? node.place : next.place
  }
  return place
}
