/** The keywords of JSON Schema 2020-12 that a skill's schemas may have, and where other schemas stand in them. */
import type { JsonObject, JsonValue } from '#contract'
import { isJsonObject } from '#contract'

/** Where a keyword's schemas apply: to the same value, to values inside it, or nowhere until they are referred to. */
export type Reach = 'same' | 'inside' | 'nowhere'

interface Keyword {
  readonly holds: 'nothing' | 'schema' | 'schemas' | 'map'
  readonly reach: Reach
}

const plain: Keyword = { holds: 'nothing', reach: 'nowhere' }
const named = (names: string, keyword: Keyword): [string, Keyword][] => names.split(' ').map((name) => [name, keyword])

export const KEYWORDS: ReadonlyMap<string, Keyword> = new Map([
  ...named('$schema $id $ref $comment title description default examples deprecated readOnly writeOnly', plain),
  ...named('type enum const format contentEncoding contentMediaType pattern minLength maxLength', plain),
  ...named('multipleOf minimum maximum exclusiveMinimum exclusiveMaximum', plain),
  ...named('required minProperties maxProperties dependentRequired minItems maxItems uniqueItems minContains maxContains', plain),
  ...named('allOf anyOf oneOf', { holds: 'schemas', reach: 'same' }),
  ...named('not if then else', { holds: 'schema', reach: 'same' }),
  ['dependentSchemas', { holds: 'map', reach: 'same' }],
  ['properties', { holds: 'map', reach: 'inside' }],
  ['patternProperties', { holds: 'map', reach: 'inside' }],
  ['prefixItems', { holds: 'schemas', reach: 'inside' }],
  ...named('additionalProperties unevaluatedProperties propertyNames items contains unevaluatedItems', {
    holds: 'schema',
    reach: 'inside',
  }),
  ...named('$defs definitions', { holds: 'map', reach: 'nowhere' }),
])

/** Whether these are the `items` of a list whose elements can be looked up, not only compared with each other. */
export function areScalar(items: JsonValue | undefined): boolean {
  const type = items !== undefined && isJsonObject(items) ? items['type'] : undefined
  return typeof type === 'string' && ['string', 'number', 'integer', 'boolean'].includes(type)
}

/** One schema inside another: by which keyword, and under which name or number of it. */
export interface Inner {
  readonly keyword: string
  readonly reach: Reach
  readonly path: readonly string[]
  readonly schema: JsonValue
}

export function innerSchemas(schema: JsonObject): readonly Inner[] {
  return Object.entries(schema).flatMap(([keyword, value]): readonly Inner[] => {
    const { holds, reach } = KEYWORDS.get(keyword) ?? plain
    if (holds === 'nothing') return []
    if (holds === 'schema') return [{ keyword, reach, path: [keyword], schema: value }]
    const members = holds === 'map' && isJsonObject(value) ? Object.entries(value) : Array.isArray(value) ? [...value.entries()] : []
    return members.map(([name, schema]) => ({ keyword, reach, path: [keyword, String(name)], schema }))
  })
}

/** What a `$ref` of this schema points at: only places in the same schema can be named. */
export function referred(root: JsonObject, ref: string): JsonValue | undefined {
  if (ref === '#') return root
  if (!ref.startsWith('#/')) return undefined
  let at: JsonValue | undefined = root
  for (const token of ref.slice(2).split('/')) {
    const name = decoded(token)
    const members: JsonValue | undefined = at
    if (typeof members !== 'object' || members === null || name === null || !Object.hasOwn(members, name)) return undefined
    at = Object.entries(members).find(([member]) => member === name)?.[1]
  }
  return at
}

function decoded(token: string): string | null {
  try {
    return decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return null
  }
}
