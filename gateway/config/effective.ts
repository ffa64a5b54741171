/** The configuration as it is in effect, for people: YAML, each value with where it came from, secrets masked. */
import { isJsonObject, SECRET_MASK } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import type { Origin } from './check.ts'
import type { Loaded } from './load.ts'
import { isSecretPath, maskUserInfo } from './secret.ts'
import { childPath } from './tree.ts'

const COMMENT_COLUMN = 44

export interface EffectiveValue {
  readonly path: string
  readonly value: JsonValue
  /** `default`, `openclaw.yaml:12`, `openclaw.yaml:12 (env NAME)`, `openclaw.yaml:12 (vault:app#token)`, `overlay by ops at …`, `env NAME`. */
  readonly origin: string
}

/** Every single value, secrets masked. */
export function effectiveValues(loaded: Pick<Loaded, 'settings' | 'origins'>): readonly EffectiveValue[] {
  return values(loaded.settings, '', loaded.origins)
}

/** YAML with a comment at each value. */
export function effective(loaded: Pick<Loaded, 'settings' | 'origins'>): string {
  return lines(loaded.settings, '', 0, loaded.origins).join('\n') + '\n'
}

/** The paths whose values differ; a secret that is another is told as every other, by its path alone. */
export function changedPaths(before: JsonObject, after: JsonObject): readonly string[] {
  const was = new Map(leaves(before, ''))
  const is = new Map(leaves(after, ''))
  return [...new Set([...was.keys(), ...is.keys()])].filter((path) => was.get(path) !== is.get(path)).sort()
}

const leaves = (value: JsonValue, path: string): readonly (readonly [string, string])[] =>
  isLeaf(value) ? [[path, JSON.stringify(value)]] : members(value).flatMap(([key, member]) => leaves(member, childPath(path, key)))

function values(value: JsonValue, path: string, origins: ReadonlyMap<string, Origin>): readonly EffectiveValue[] {
  if (isLeaf(value)) return [{ path, value: masked(value, path, origins.get(path)), origin: originText(origins.get(path)) }]
  return members(value).flatMap(([key, member]) => values(member, childPath(path, key), origins))
}

function lines(value: JsonValue, path: string, depth: number, origins: ReadonlyMap<string, Origin>): readonly string[] {
  return members(value).flatMap(([key, member]) => {
    const inside = childPath(path, key)
    const label = '  '.repeat(depth) + (typeof key === 'number' ? '-' : `${plainKey(key)}:`)
    if (!isLeaf(member)) return [label, ...lines(member, inside, depth + 1, origins)]
    const said = `${label} ${JSON.stringify(masked(member, inside, origins.get(inside)))}`
    return [`${said.padEnd(COMMENT_COLUMN)} # ${originText(origins.get(inside))}`]
  })
}

const members = (value: JsonValue): readonly (readonly [string | number, JsonValue])[] =>
  Array.isArray(value) ? value.map((item: JsonValue, i) => [i, item] as const) : Object.entries(isJsonObject(value) ? value : {})

const isLeaf = (value: JsonValue): boolean => members(value).length === 0
const plainKey = (key: string): string => (/^[A-Za-z_][\w.-]*$/.test(key) ? key : JSON.stringify(key))

function masked(value: JsonValue, path: string, origin: Origin | undefined): JsonValue {
  const isSecret = isSecretPath(path) || (origin?.from === 'file' && origin.isSecret === true)
  if (typeof value === 'string') return isSecret ? SECRET_MASK : maskUserInfo(value)
  return isSecret && (typeof value === 'number' || typeof value === 'boolean') ? SECRET_MASK : value
}

function originText(origin: Origin | undefined): string {
  if (!origin || origin.from === 'default') return 'default'
  if (origin.from === 'env') return `env ${origin.name}`
  if (origin.from === 'overlay') return `overlay by ${origin.by} at ${new Date(origin.at).toISOString()}`
  const names = origin.env?.map((reference) => (reference.includes(':') ? reference : `env ${reference}`))
  return `${origin.file}:${origin.line}${names === undefined ? '' : ` (${names.join(', ')})`}`
}
