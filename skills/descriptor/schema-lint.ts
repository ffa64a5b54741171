/**
 * What a stranger's JSON Schema may say: known keywords, references within itself, patterns and formats that cost little. That it is
 * a schema at all is for the compiler, how much it costs to apply for `schema-cost.ts`.
 */
import { canonicalJson, isJsonObject, nearest, pointerToken } from '#contract'
import type { Fault, JsonObject, JsonValue } from '#contract'
import { jsonFault } from './json.ts'
import { LinearPattern } from './pattern.ts'
import { innerSchemas, KEYWORDS, referred } from './schema-keywords.ts'

const MAX_BYTES = 65_536
const MAX_DEPTH = 32
/** Comparing each element with each: only so many, or only what can be looked up. */
const MAX_UNIQUE_OBJECTS = 256
/** Of all patterns of a schema together: ten as large as one may be. */
const MAX_PATTERN_STATES = 20_000
const DIALECT = 'https://json-schema.org/draft/2020-12/schema'

export const FORMATS = [
  'date',
  'time',
  'date-time',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uri',
  'uri-reference',
  'uuid',
  'json-pointer',
] as const

export function lintSchema(schema: JsonObject, pointer: string): readonly Fault[] {
  if (Buffer.byteLength(canonicalJson(schema)) > MAX_BYTES) return [{ pointer, detail: `the schema has more than ${MAX_BYTES} bytes` }]
  const fault = jsonFault(schema, { depth: MAX_DEPTH, values: MAX_BYTES })
  if (fault !== null) return [{ pointer: `${pointer}${fault.pointer.slice(1)}`, detail: fault.detail }]
  const lint = new Lint(schema)
  lint.visit(schema, pointer)
  lint.checkReferences()
  return lint.faults
}

class Lint {
  readonly faults: Fault[] = []
  readonly #root: JsonObject
  readonly #schemas = new Set<JsonValue>()
  #patternStates = 0
  readonly #references: { readonly ref: JsonValue; readonly pointer: string }[] = []

  constructor(root: JsonObject) {
    this.#root = root
  }

  visit(schema: JsonValue, pointer: string): void {
    if (typeof schema === 'boolean') return
    if (!isJsonObject(schema)) return this.#fault(pointer, 'must be a JSON Schema: an object, true or false')
    this.#schemas.add(schema)
    for (const [keyword, value] of Object.entries(schema)) this.#keyword(schema, { keyword, value, pointer })
    for (const { path, schema: inner } of innerSchemas(schema)) {
      this.visit(inner, `${pointer}${path.map((name) => `/${pointerToken(name)}`).join('')}`)
    }
  }

  /** To a schema that was visited, and to nothing that only looks like one (a default, an example). */
  checkReferences(): void {
    for (const { ref, pointer } of this.#references) {
      const target = typeof ref === 'string' ? referred(this.#root, ref) : undefined
      if (target === undefined || (typeof target !== 'boolean' && !this.#schemas.has(target)))
        this.#fault(pointer, 'must name a schema within this one, like "#/$defs/address"')
    }
  }

  #keyword(schema: JsonObject, { keyword, value, pointer }: { keyword: string; value: JsonValue; pointer: string }): void {
    const at = `${pointer}/${pointerToken(keyword)}`
    if (keyword.startsWith('x-')) return
    if (!KEYWORDS.has(keyword)) {
      const guess = nearest(keyword, KEYWORDS.keys())
      return this.#fault(at, `is no keyword that is supported here${guess === null ? '' : `; did you mean "${guess}"?`}`)
    }
    if (keyword === '$ref') this.#references.push({ ref: value, pointer: at })
    if (keyword === '$schema' && value !== DIALECT) this.#fault(at, `must be "${DIALECT}", or left out`)
    if (keyword === '$id' && schema !== this.#root) this.#fault(at, 'is only for the schema as a whole')
    if (keyword === 'pattern') this.#pattern(value, at)
    if (keyword === 'patternProperties' && isJsonObject(value)) {
      for (const pattern of Object.keys(value)) this.#pattern(pattern, `${at}/${pointerToken(pattern)}`)
    }
    if (keyword === 'format' && !FORMATS.some((format) => format === value)) {
      this.#fault(at, `must be one of ${FORMATS.join(', ')}`)
    }
    if (keyword === 'uniqueItems' && value === true && !isCheaplyUnique(schema))
      this.#fault(at, `needs \`maxItems\` of at most ${MAX_UNIQUE_OBJECTS}, or \`items\` of type string, number, integer or boolean`)
  }

  #pattern(value: JsonValue, pointer: string): void {
    if (typeof value !== 'string') return
    // No more are made, and said once.
    if (this.#patternStates > MAX_PATTERN_STATES) return
    try {
      this.#patternStates += new LinearPattern(value).size
      if (this.#patternStates > MAX_PATTERN_STATES) this.#fault(pointer, 'the patterns of this schema are too large together')
    } catch (error) {
      this.#fault(pointer, `the pattern cannot be used: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #fault(pointer: string, detail: string): void {
    this.faults.push({ pointer, detail })
  }
}

function isCheaplyUnique({ maxItems, items }: JsonObject): boolean {
  if (typeof maxItems === 'number' && maxItems <= MAX_UNIQUE_OBJECTS) return true
  const type = isJsonObject(items ?? null) && isJsonObject(items) ? items['type'] : undefined
  return typeof type === 'string' && ['string', 'number', 'integer', 'boolean'].includes(type)
}
