/** JSON Schemas (2020-12) of strangers: judged before they are used, and applied at a bounded cost, however they were written. */
import type { JsonObject, JsonValue } from './envelope.ts'
import type { Fault } from './errors.ts'

export interface SchemaDesk {
  /** null: it is a schema that may be used. */
  fault(schema: JsonObject): Promise<Fault | null>
  /** What is wrong with a value; nothing: it fits. Only for schemas without a fault. */
  check(schema: JsonObject, value: JsonValue): Promise<readonly Fault[]>
}
