/** Schemas of strangers who are no authors of skills: held to the same bounds, by the same means. */
import { canonicalDigest } from '#contract'
import type { Fault, JsonObject, JsonValue, SchemaDesk } from '#contract'
import { SchemaJudge } from './ajv.ts'
import { costFault } from './schema-cost.ts'
import { lintSchema } from './schema-lint.ts'
import { Validators } from './validator.ts'

/** Verdicts that are remembered: clients send the same schema with every request. */
const MAX_KEPT = 200

export class Schemas implements SchemaDesk {
  /** In the order of their last use. */
  readonly #verdicts = new Map<string, Promise<Fault | null>>()
  readonly #judge = new SchemaJudge()
  readonly #validators = new Validators()

  fault(schema: JsonObject): Promise<Fault | null> {
    const digest = canonicalDigest(schema)
    const verdict = this.#verdicts.get(digest) ?? this.#judgeOf(schema)
    this.#verdicts.delete(digest)
    this.#verdicts.set(digest, verdict)
    const [oldest] = this.#verdicts.keys()
    if (this.#verdicts.size > MAX_KEPT && oldest !== undefined) this.#verdicts.delete(oldest)
    return verdict
  }

  async #judgeOf(schema: JsonObject): Promise<Fault | null> {
    const [lint] = lintSchema(schema, '#')
    if (lint !== undefined) return lint
    const cost = costFault(schema)
    return cost === null ? this.#judge.fault(schema) : { pointer: '#', detail: cost }
  }

  check(schema: JsonObject, value: JsonValue): Promise<readonly Fault[]> {
    return this.#validators.checkBy(canonicalDigest(schema), schema, value)
  }
}
