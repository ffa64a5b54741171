/** `{name: {type, description}}` in place of a JSON Schema, told apart and written out. */
import type { Fault, JsonObject, JsonValue } from '#contract'
import { isJsonObject, pointerToken } from '#contract'
import { KEYWORDS } from './schema-keywords.ts'

export type WrittenOut = { readonly schema: JsonObject; readonly faults: readonly Fault[] }

/** `side` inputs: nothing but what is named may be given. */
export function writtenOut(given: JsonObject, side: 'inputs' | 'outputs'): WrittenOut {
  if (isSchema(given)) {
    // A model calls with named arguments, so an input is an object; an author need not say so.
    if (side === 'outputs' || given['type'] === 'object') return { schema: given, faults: [] }
    if (given['type'] === undefined) return { schema: { type: 'object', ...given }, faults: [] }
    return { schema: given, faults: [{ pointer: '#/inputs/type', detail: 'must be "object": inputs have names' }] }
  }
  const faults: Fault[] = []
  const properties: [string, JsonValue][] = []
  const required: string[] = []
  for (const [name, member] of Object.entries(given)) {
    const pointer = `#/${side}/${pointerToken(name)}`
    if (!isJsonObject(member)) {
      faults.push({ pointer, detail: 'must be an object like {"type": "string", "description": "…"}' })
      continue
    }
    const { optional, ...schema } = member
    if (optional !== undefined && typeof optional !== 'boolean')
      faults.push({ pointer: `${pointer}/optional`, detail: 'must be true or false' })
    properties.push([name, schema])
    if (optional !== true) required.push(name)
  }
  const schema: JsonObject = {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length > 0 && { required }),
    ...(side === 'inputs' && { additionalProperties: false }),
  }
  return { schema, faults }
}

/**
 * A schema has a keyword with what no member in short has: a text, a list, a number. Where all is objects, it is a schema if it has
 * `properties` (or the like) that hold no schema themselves, but names.
 */
function isSchema(given: JsonObject): boolean {
  const keywords = Object.entries(given).filter(([name]) => KEYWORDS.has(name))
  if (keywords.some(([, value]) => !isJsonObject(value))) return true
  return (
    keywords.length > 0 &&
    keywords.length === Object.keys(given).length &&
    keywords.every(([, value]) => isJsonObject(value) && !looksLikeOne(value))
  )
}

const looksLikeOne = (value: JsonObject): boolean =>
  Object.entries(value).some(([name, member]) => KEYWORDS.has(name) && !isJsonObject(member))
