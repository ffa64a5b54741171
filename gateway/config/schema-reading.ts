/**
 * Reads the members of a JSON Schema: types, words for people, keywords that are known. The walk itself is check.ts.
 */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue } from '#contract'

const KEYWORDS = new Set(
  (
    '$schema $id $comment title description default examples type enum const properties additionalProperties propertyNames required items ' +
    'minItems maxItems minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum format'
  ).split(' '),
)

/** Throws for a keyword that would have no effect. */
export function refuseUnknownKeywords(schema: JsonObject): void {
  for (const keyword of Object.keys(schema)) {
    if (!KEYWORDS.has(keyword))
      throw new TypeError(
        `The keyword ${JSON.stringify(keyword)} is not known to the configuration check. Say it with others or add it to gateway/config/check.ts.`,
      )
  }
}

/** What is wanted, for messages. */
export function expectation(schema: JsonObject, types: readonly string[]): string {
  if ('const' in schema) return JSON.stringify(schema['const'])
  const words = list(schema['enum'])
  if (words.length > 0) return `one of ${words.map((word) => (typeof word === 'string' ? word : JSON.stringify(word))).join(', ')}`
  if (schema['format'] === 'duration') return 'a duration like 30s, 5m, 500ms or PT5M'
  if (schema['format'] === 'bytes') return 'a size like 512KiB, 1MiB or 1048576'
  const names: { readonly [type: string]: string } = {
    object: 'a mapping',
    array: 'a list',
    string: 'a text',
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    null: 'null',
  }
  return types.map((type) => names[type] ?? type).join(' or ')
}

/** No type stated: none is refused. */
export function typesOf(schema: JsonObject): readonly string[] {
  const type = schema['type']
  if (type === undefined) return ['object', 'array', 'string', 'integer', 'number', 'boolean', 'null']
  return typeof type === 'string' ? [type] : list(type).filter((name) => typeof name === 'string')
}

export const list = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? value : [])

export function schemas(value: JsonValue | undefined): { readonly [name: string]: JsonObject } {
  if (!isJsonObject(value)) return {}
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, JsonObject] => isJsonObject(entry[1])))
}
