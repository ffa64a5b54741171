/**
 * What a version owes the ones before it in its major: whatever they took as input it takes too, and what it gives, their callers
 * can read. Told from the schemas alone. Where two schemas differ in a way that cannot be judged here, that is a fault:
 * a wrong yes would break somebody's calls.
 */
import { canonicalJson, isJsonObject, pointerToken } from '#contract'
import type { Fault, JsonObject, JsonValue, SkillDescriptor } from '#contract'
import { referred } from './schema-keywords.ts'

/** Additive only; none: `after` may stand where `before` stood. */
export function incompatibilities(before: SkillDescriptor, after: SkillDescriptor): readonly Fault[] {
  const inputs = new Comparison('input', { wide: after.inputs, narrow: before.inputs })
  inputs.compare({ wide: after.inputs, narrow: before.inputs }, '#/inputs', 0)
  const outputs = new Comparison('output', { wide: before.outputs, narrow: after.outputs })
  outputs.compare({ wide: before.outputs, narrow: after.outputs }, '#/outputs', 0)
  return [...inputs.faults, ...outputs.faults]
}

/** All that `narrow` allows, `wide` has to allow. */
interface Pair<Of = JsonValue> {
  readonly wide: Of
  readonly narrow: Of
}

const MAX_DEPTH = 64
const WORDS: ReadonlySet<string> = new Set(
  '$schema $id $comment $defs definitions title description default examples deprecated readOnly writeOnly'.split(' '),
)
/** Compared one by one; all others have to be the same. */
const COMPARED: ReadonlySet<string> = new Set('type enum const properties required additionalProperties items'.split(' '))
const AT_MOST = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties']
const AT_LEAST = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties']

class Comparison {
  readonly faults: Fault[] = []
  readonly #side: 'input' | 'output'
  readonly #roots: Pair<JsonObject>
  readonly #seen = new Set<string>()

  constructor(side: 'input' | 'output', roots: Pair<JsonObject>) {
    this.#side = side
    this.#roots = roots
  }

  compare(given: Pair, pointer: string, depth: number): void {
    const wide = resolved(this.#roots.wide, given.wide)
    const narrow = resolved(this.#roots.narrow, given.narrow)
    if (wide === true || narrow === false) return
    const key = `${canonicalJson(given.wide)}\n${canonicalJson(given.narrow)}`
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    if (depth > MAX_DEPTH) return this.#fault(pointer, 'is nested too deep to be compared')
    if (!isJsonObject(wide)) return this.#fault(pointer, this.#side === 'input' ? 'is not taken any more' : 'was never given before')
    const pair = { wide, narrow: isJsonObject(narrow) ? narrow : {} }
    this.#types(pair, pointer)
    this.#values(pair, pointer)
    this.#bounds(pair, pointer)
    this.#members(pair, pointer, depth)
    if (wide['items'] !== undefined) {
      this.compare({ wide: wide['items'], narrow: pair.narrow['items'] ?? true }, `${pointer}/items`, depth + 1)
    }
    this.#others(pair, pointer)
  }

  #types({ wide, narrow }: Pair<JsonObject>, pointer: string): void {
    const allowed = typesOf(wide)
    if (allowed === null) return
    const given = typesOf(narrow)
    const isAllowed = (type: string): boolean => allowed.includes(type) || (type === 'integer' && allowed.includes('number'))
    if (given !== null && given.every(isAllowed)) return
    this.#fault(
      `${pointer}/type`,
      this.#side === 'input'
        ? `took ${given?.join(', ') ?? 'any type'} before and takes only ${allowed.join(', ')} now`
        : `gave ${allowed.join(', ')} before and may give ${given?.join(', ') ?? 'any type'} now`,
    )
  }

  #values({ wide, narrow }: Pair<JsonObject>, pointer: string): void {
    const allowed = valuesOf(wide)
    if (allowed === null) return
    const given = valuesOf(narrow)
    if (given !== null && given.every((value) => allowed.includes(value))) return
    this.#fault(`${pointer}/enum`, this.#side === 'input' ? 'takes fewer values than before' : 'may give other values than before')
  }

  #bounds({ wide, narrow }: Pair<JsonObject>, pointer: string): void {
    const judge = (keyword: string, isWithin: (allowed: number, given: number) => boolean): void => {
      const allowed = wide[keyword]
      const given = narrow[keyword]
      if (typeof allowed !== 'number' || (typeof given === 'number' && isWithin(allowed, given))) return
      this.#fault(`${pointer}/${keyword}`, this.#side === 'input' ? 'is narrower than before' : 'is wider than before')
    }
    for (const keyword of AT_MOST) judge(keyword, (allowed, given) => given <= allowed)
    for (const keyword of AT_LEAST) judge(keyword, (allowed, given) => given >= allowed)
  }

  #members(pair: Pair<JsonObject>, pointer: string, depth: number): void {
    const { wide, narrow } = pair
    const [known, given] = [membersOf(wide), membersOf(narrow)]
    const at = (name: string): string => `${pointer}/properties/${pointerToken(name)}`
    for (const name of textsOf(wide['required'])) {
      if (textsOf(narrow['required']).includes(name)) continue
      this.#fault(at(name), this.#side === 'input' ? 'must be given now and need not be given before' : 'is not always given any more')
    }
    for (const [name, member] of Object.entries(given)) {
      if (Object.hasOwn(known, name)) this.compare({ wide: known[name] ?? true, narrow: member }, at(name), depth + 1)
      else if (this.#side === 'output') continue // A new member of an output is what additive means.
      else if (wide['additionalProperties'] === false) this.#fault(at(name), 'is not taken any more')
      else this.compare({ wide: wide['additionalProperties'] ?? true, narrow: member }, at(name), depth + 1)
    }
    for (const name of Object.keys(known)) {
      if (Object.hasOwn(given, name)) continue
      if (this.#side === 'output') this.#fault(at(name), 'is gone')
      // A name that meant nothing before may be given a meaning; one that stood for the others of a list of names may not.
      else if (isJsonObject(narrow['additionalProperties'] ?? true) && mayHaveMembers(narrow))
        this.compare({ wide: known[name] ?? true, narrow: narrow['additionalProperties'] ?? true }, at(name), depth + 1)
    }
    if (this.#side === 'input') {
      const [now, before] = [wide['additionalProperties'] ?? true, narrow['additionalProperties'] ?? true]
      if (mayHaveMembers(narrow)) this.compare({ wide: now, narrow: before }, `${pointer}/additionalProperties`, depth + 1)
    }
  }

  #others({ wide, narrow }: Pair<JsonObject>, pointer: string): void {
    const compared = new Set([...COMPARED, ...AT_MOST, ...AT_LEAST, ...WORDS])
    for (const keyword of new Set([...Object.keys(wide), ...Object.keys(narrow)])) {
      if (compared.has(keyword) || keyword.startsWith('x-')) continue
      if (this.#isSame(pick(wide, keyword), pick(narrow, keyword))) continue
      // What is only taken away from the side that has to allow more allows more.
      if (wide[keyword] === undefined && LIMITS.has(keyword)) continue
      this.#fault(`${pointer}/${pointerToken(keyword)}`, 'differs from before in a way that cannot be judged')
    }
  }

  /** The same words mean the same where what they refer to is the same. */
  #isSame(wide: JsonValue | undefined, narrow: JsonValue | undefined): boolean {
    const text = canonicalJson(wide)
    if (text !== canonicalJson(narrow)) return false
    if (!text.includes('"$ref"')) return true
    const { wide: one, narrow: other } = this.#roots
    return canonicalJson([one['$defs'], one['definitions']]) === canonicalJson([other['$defs'], other['definitions']]) && isLocal(text)
  }

  #fault(pointer: string, detail: string): void {
    this.faults.push({ pointer, detail })
  }
}

const pick = (schema: JsonObject, keyword: string): JsonObject => {
  const value = schema[keyword]
  return value === undefined ? {} : { [keyword]: value }
}

/** Whether all it refers to are definitions. */
const isLocal = (text: string): boolean => text.split('"$ref":').every((rest, at) => at === 0 || /^"#\/(?:\$defs|definitions)\//.test(rest))

/** Keywords that only ever forbid. */
const LIMITS: ReadonlySet<string> = new Set(
  'pattern format multipleOf uniqueItems not allOf anyOf oneOf contains propertyNames dependentRequired dependentSchemas'.split(' '),
)

/** Through references, as long as nothing stands beside them. */
function resolved(root: JsonObject, schema: JsonValue): JsonValue {
  let at = schema
  for (let hops = 0; hops < MAX_DEPTH; hops++) {
    if (!isJsonObject(at) || typeof at['$ref'] !== 'string') return at
    const beside = Object.keys(at).filter((keyword) => keyword !== '$ref' && !WORDS.has(keyword))
    const target = referred(root, at['$ref'])
    if (beside.length > 0 || target === undefined) return at
    at = target
  }
  return at
}

function typesOf({ type }: JsonObject): readonly string[] | null {
  if (typeof type === 'string') return [type]
  return Array.isArray(type) ? textsOf(type) : null
}

function valuesOf(schema: JsonObject): readonly string[] | null {
  if ('const' in schema) return [canonicalJson(schema['const'])]
  return Array.isArray(schema['enum']) ? schema['enum'].map((value) => canonicalJson(value)) : null
}

const membersOf = ({ properties }: JsonObject): JsonObject => (properties !== undefined && isJsonObject(properties) ? properties : {})
const textsOf = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
const mayHaveMembers = (schema: JsonObject): boolean => typesOf(schema)?.includes('object') ?? true
