/**
 * The overlay laid over the tree of `openclaw.yaml`: file < overlay < environment. Here is what may be changed so at all; whether the
 * result is a configuration is the loader's to say.
 */
import { isJsonObject } from '#contract'
import type { ConfigPart, Fault, JsonObject, JsonValue, OverlayRow } from '#contract'
import { accessSchema } from './access.ts'
import { agentSchema } from './agent-schema.ts'
import { isSecretPath, passwordsIn } from './secret.ts'
import { childPath, emptyMap, fromJson } from './tree.ts'
import type { Entry, Node, Place } from './tree.ts'

export interface Laid {
  readonly tree: Node
  /** Rows for something that the file does not have any more. */
  readonly orphans: readonly OverlayRow[]
}

/** Names hold neither `/` nor `~`, so nothing in them has to be escaped. */
export function pathOf(part: ConfigPart): string {
  switch (part.is) {
    case 'routes':
      return '/routes'
    case 'limits':
      return '/server/rate_limits'
    case 'agent':
      return `/agents/${part.name}`
    case 'channel':
      return `/channels/${part.name}`
  }
}

/** Members of an agent or a channel that may be changed; null: the part is replaced whole. */
export function changeable(part: ConfigPart): readonly string[] | null {
  if (part.is === 'agent') return Object.keys(schemasIn(agentSchema)).filter((key) => key !== 'tenant')
  return part.is === 'channel' ? Object.keys(accessSchema) : null
}

export function layOverlay(tree: Node, rows: readonly OverlayRow[]): Laid {
  const orphans: OverlayRow[] = []
  let laid = tree
  for (const row of rows) {
    const next = layRow(laid, row)
    if (next === null) orphans.push(row)
    else laid = next
  }
  return { tree: laid, orphans }
}

/** What is wrong with a change before it is tried: what may not be changed here, and secrets, which belong in no database. */
export function changeFaults(part: ConfigPart, value: JsonObject): readonly Fault[] {
  const known = changeable(part)
  const strangers = known === null ? [] : Object.keys(value).filter((key) => !known.includes(key))
  const refused = strangers.map((key) => ({
    pointer: `#/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
    detail: `cannot be changed while the gateway runs; edit openclaw.yaml. What can: ${(known ?? []).join(', ')}`,
  }))
  return [...refused, ...secretFaults(value, '', '#')]
}

/**
 * Two merge patches as one (RFC 7396). A mapping that is taken away is its members taken away, so that what is given later
 * does not bring back the file's.
 */
export function mergePatches(earlier: JsonObject, later: JsonObject): JsonObject {
  const merged: { [key: string]: JsonValue } = { ...earlier }
  for (const [key, value] of Object.entries(later)) {
    const given = value === null ? takenAway(key) : value
    const before = merged[key]
    merged[key] = isJsonObject(given) && isJsonObject(before) ? mergePatches(before, given) : given
  }
  return merged
}

function takenAway(key: string): JsonValue {
  const members = Object.keys(schemasIn(schemasIn(agentSchema)[key]))
  return members.length === 0 ? null : Object.fromEntries(members.map((member) => [member, null]))
}

const schemasIn = (schema: JsonValue | undefined): JsonObject => {
  const properties = isJsonObject(schema) ? schema['properties'] : undefined
  return isJsonObject(properties) ? properties : {}
}

function layRow(tree: Node, row: OverlayRow): Node | null {
  const { path, by, at, value } = row
  const place: Place = { file: 'overlay', line: 0, column: 0, overlay: { path, by, at } }
  if (path === '/routes') return replaceMembers(tree, ['routes', 'rules', 'fallback'], value, place)
  const [first = '', name = ''] = path.slice(1).split('/')
  // What is declared with nothing behind it (`phone:`) is declared too.
  const isThere = first === 'server' || memberOf(memberOf(tree, first), name) !== undefined
  return isThere ? mergeMembers(tree, { [first]: { [name]: value } }, place) : null
}

function replaceMembers(tree: Node, keys: readonly string[], value: JsonObject, place: Place): Node {
  if (tree.kind !== 'map') return tree
  const kept = tree.entries.filter(({ key }) => !keys.includes(key))
  return { ...tree, entries: [...kept, ...Object.entries(value).map(([key, member]) => ({ key, place, node: fromJson(member, place) }))] }
}

/** The merge of RFC 7396 §2 on trees. */
function mergeMembers(tree: Node, patch: JsonObject, place: Place): Node {
  if (tree.kind === 'broken') return tree
  const entries = new Map<string, Entry>(tree.kind === 'map' ? tree.entries.map((entry) => [entry.key, entry]) : [])
  for (const [key, value] of Object.entries(patch)) {
    const before = entries.get(key)
    if (value === null) entries.delete(key)
    else if (isJsonObject(value))
      entries.set(key, { key, place: before?.place ?? place, node: mergeMembers(before?.node ?? emptyMap(place), value, place) })
    else entries.set(key, { key, place, node: fromJson(value, place) })
  }
  return { kind: 'map', place: tree.kind === 'map' ? tree.place : place, entries: [...entries.values()] }
}

const memberOf = (node: Node | undefined, key: string): Node | undefined =>
  node?.kind === 'map' ? node.entries.find((entry) => entry.key === key)?.node : undefined

const SECRET = 'a secret, which is kept in no database; write it in openclaw.yaml as ${NAME}'

function secretFaults(value: JsonValue, path: string, pointer: string): readonly Fault[] {
  if (typeof value === 'string') return isSecretPath(path) || passwordsIn(value).length > 0 ? [{ pointer, detail: SECRET }] : []
  if (isJsonObject(value) && typeof value['header'] === 'string' && isSecretPath(value['header']) && value['equals'] !== undefined)
    return [{ pointer: `${pointer}/equals`, detail: SECRET }]
  const members = Array.isArray(value)
    ? value.map((item: JsonValue, i) => [i, item] as const)
    : isJsonObject(value)
      ? Object.entries(value)
      : []
  return members.flatMap(([key, member]) =>
    secretFaults(member, childPath(path, key), `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`),
  )
}
