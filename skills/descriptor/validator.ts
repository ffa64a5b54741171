/**
 * Inputs and outputs held against the schemas of a version. Compiled once for each digest and kept for those used last. Values are a
 * stranger's: depth and number are bounded before, the work by what `schema-cost.ts` let pass, and that on
 * long texts by a budget.
 */
import type { Fault, JsonObject, JsonValue, SkillDescriptor } from '#contract'
import { compileSchema } from './ajv.ts'
import type { Compiled } from './ajv.ts'
import { jsonFault } from './json.ts'
import { MAX_VALUE_DEPTH, looksOf } from './schema-cost.ts'

export type Side = 'inputs' | 'outputs'

const MAX_KEPT = 200
/** Values in one input or output, members and elements included. */
const MAX_VALUES = 200_000
/** Looks at values, all together: about half a second of the gateway's one thread. A schema that looks often is given fewer values. */
const MAX_WORK = 6_400_000
/** All faults are looked for only where there cannot be many. */
const FEW_VALUES = 1_000

interface Kept {
  readonly values: number
  readonly first: Promise<Compiled>
  every: Promise<Compiled> | null
}

export class Validators {
  /** In the order of their last use. */
  readonly #kept = new Map<string, Kept>()
  readonly #max: number

  constructor(options: { readonly max?: number } = {}) {
    this.#max = options.max ?? MAX_KEPT
  }

  get size(): number {
    return this.#kept.size
  }

  /** What is wrong with a value, at most ten faults; none: nothing. */
  check(skill: { readonly digest: string; readonly descriptor: SkillDescriptor }, side: Side, value: JsonValue): Promise<readonly Fault[]> {
    return this.checkBy(`${side} ${skill.digest}`, skill.descriptor[side], value)
  }

  /** `key`: the same for the same schema, and for no other. */
  async checkBy(key: string, schema: JsonObject, value: JsonValue): Promise<readonly Fault[]> {
    const kept = this.#keep(key, () => ({
      values: Math.min(MAX_VALUES, Math.floor(MAX_WORK / Math.max(1, looksOf(schema)))),
      first: compileSchema(schema, { every: false }),
      every: null,
    }))
    const bound = jsonFault(value, { depth: MAX_VALUE_DEPTH, values: kept.values, isData: true })
    if (bound !== null) return [bound]
    const faults = (await kept.first).check(value)
    if (faults.length === 0 || jsonFault(value, { depth: MAX_VALUE_DEPTH, values: FEW_VALUES, isData: true }) !== null) return faults
    kept.every ??= compileSchema(schema, { every: true })
    return (await kept.every).check(value)
  }

  #keep(key: string, make: () => Kept): Kept {
    const kept = this.#kept.get(key) ?? make()
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > this.#max && oldest !== undefined) this.#kept.delete(oldest)
    return kept
  }
}
