/**
 * How often a schema may look at one and the same value. References that meet again (`allOf: [b, b]`, `b: allOf: [c, c]`, …) double
 * the work at each step, and so do schemas that refer to themselves along two ways, once for each level of the value. Here the
 * worst case is counted, never tried; a schema whose worst case is too much is refused.
 */
import type { JsonObject, JsonValue } from '#contract'
import { isJsonObject } from '#contract'
import { innerSchemas, referred } from './schema-keywords.ts'

/** Levels of a value that is validated. */
export const MAX_VALUE_DEPTH = 64
const MAX_LOOKS = 256
/** So many members or alternatives of one schema count as one look. */
const LISTED_PER_LOOK = 8

type Counts = Map<JsonObject, number>

/** How often at most it looks at one value. Of a schema that was let pass. */
export const looksOf = (root: JsonObject): number => new Cost(root).looks()

/** What is wrong, in words; null: nothing. */
export function costFault(root: JsonObject): string | null {
  try {
    const cost = new Cost(root)
    return cost.looks() > MAX_LOOKS ? TOO_MUCH : null
  } catch (error) {
    if (error instanceof Entangled) return TOO_MUCH
    if (error instanceof Endless) return 'refers to itself without going into the value, which never ends'
    throw error
  }
}

const TOO_MUCH = `looks at the same value too often: more than ${MAX_LOOKS} times in the worst case, by references that meet again or by very long lists`

class Endless extends Error {}
class Entangled extends Error {}

/** Steps of the counting itself: a tenth of a second. */
const MAX_STEPS = 1_000_000

class Cost {
  readonly #root: JsonObject
  /** Schema → all that look at the same value with it, and how often. */
  readonly #same = new Map<JsonObject, Counts>()
  readonly #open = new Set<JsonObject>()
  #steps = 0
  /** Schema → for each kind of member, what looks at it. */
  readonly #inside = new Map<JsonObject, readonly Counts[]>()

  constructor(root: JsonObject) {
    this.#root = root
  }

  /** The most looks at any value, at any depth. */
  looks(): number {
    const reached = this.#reached()
    let level = new Map([...reached].map((schema) => [schema, this.#weight(schema)]))
    let most = level.get(this.#root) ?? 0
    for (let depth = 1; depth <= MAX_VALUE_DEPTH && most <= MAX_LOOKS; depth++) {
      const above = new Map<JsonObject, number>()
      this.#spend(reached.size)
      for (const schema of reached) {
        above.set(schema, Math.max(0, ...this.#insideOf(schema).map((counts) => sum(counts, (inner) => level.get(inner) ?? 0))))
      }
      level = above
      most = Math.max(most, level.get(this.#root) ?? 0)
    }
    return most
  }

  #spend(steps: number): void {
    this.#steps += steps
    if (this.#steps > MAX_STEPS) throw new Entangled()
  }

  #reached(): ReadonlySet<JsonObject> {
    const reached = new Set([this.#root])
    for (const schema of reached) for (const counts of this.#insideOf(schema)) for (const inner of counts.keys()) reached.add(inner)
    return reached
  }

  #weight(schema: JsonObject): number {
    return sum(this.#sameAs(schema), own)
  }

  #sameAs(schema: JsonObject): Counts {
    const known = this.#same.get(schema)
    if (known !== undefined) return known
    if (this.#open.has(schema)) throw new Endless()
    this.#open.add(schema)
    const counts: Counts = new Map([[schema, 1]])
    for (const inner of this.#applied(schema)) {
      this.#spend(this.#sameAs(inner).size)
      for (const [each, times] of this.#sameAs(inner)) counts.set(each, (counts.get(each) ?? 0) + times)
    }
    this.#open.delete(schema)
    this.#same.set(schema, counts)
    return counts
  }

  #applied(schema: JsonObject): readonly JsonObject[] {
    const ref = schema['$ref']
    const target = typeof ref === 'string' ? referred(this.#root, ref) : undefined
    const others = innerSchemas(schema).flatMap(({ reach, schema: inner }) => (reach === 'same' ? [inner] : []))
    return [...others, ...(target === undefined ? [] : [target])].filter(isJsonObject)
  }

  /** Members of different names, and elements at different places, are different values: what looks at each is counted for itself. */
  #insideOf(schema: JsonObject): readonly Counts[] {
    const known = this.#inside.get(schema)
    if (known !== undefined) return known
    const looks = [...this.#sameAs(schema)].flatMap(([each, times]) => looksInside(each, times))
    this.#spend(looks.length * (1 + new Set(looks.map(({ name }) => name)).size))
    const counts = (['member', 'element'] as const).flatMap((kind) => countsOf(looks.filter((look) => look.kind === kind)))
    this.#inside.set(schema, counts)
    return counts
  }
}

interface Look {
  readonly kind: 'member' | 'element'
  /** null: at all but those with one of the names in `except`. */
  readonly name: string | null
  readonly except: JsonValue
  readonly schema: JsonObject
  readonly times: number
}

function looksInside(schema: JsonObject, times: number): readonly Look[] {
  return innerSchemas(schema).flatMap(({ keyword, reach, path, schema: inner }): readonly Look[] => {
    if (reach !== 'inside' || !isJsonObject(inner)) return []
    const kind = /items|contains/i.test(keyword) ? 'element' : 'member'
    const name = keyword === 'properties' || keyword === 'prefixItems' ? (path[1] ?? null) : null
    const beside = keyword === 'additionalProperties' ? schema['properties'] : keyword === 'items' ? schema['prefixItems'] : undefined
    return [{ kind, name, except: beside ?? null, schema: inner, times }]
  })
}

/** One count for each name, and one for all other names. */
function countsOf(looks: readonly Look[]): readonly Counts[] {
  const everywhere = looks.filter(({ name }) => name === null)
  const byName = new Map<string | null, Look[]>([[null, []]])
  for (const look of looks) {
    if (look.name !== null) byName.set(look.name, [...(byName.get(look.name) ?? []), look])
  }
  return [...byName].map(([name, named]) => {
    const counts: Counts = new Map<JsonObject, number>()
    for (const { schema, times, except } of [...named, ...everywhere]) {
      const isLeftOut = name !== null && typeof except === 'object' && except !== null && Object.hasOwn(except, name)
      if (!isLeftOut) counts.set(schema, (counts.get(schema) ?? 0) + times)
    }
    return counts
  })
}

function sum(counts: Counts, weight: (schema: JsonObject) => number): number {
  let total = 0
  for (const [schema, times] of counts) {
    const each = weight(schema)
    if (each > 0) total += times * each
  }
  return total
}

/** A schema with a thousand names asks for each of them. */
function own(schema: JsonObject): number {
  const listed = ['properties', 'required', 'enum', 'patternProperties', 'dependentRequired', 'dependentSchemas']
  return 1 + listed.reduce((count, keyword) => count + length(schema[keyword]), 0) / LISTED_PER_LOOK
}

const length = (value: JsonValue | undefined): number =>
  Array.isArray(value) ? value.length : value !== undefined && isJsonObject(value) ? Object.keys(value).length : 0
