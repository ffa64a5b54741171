/** Reads documents of the API, whose members may be more or fewer than this version knows. */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue } from '#contract'

/** A member as text; empty when it is not there. */
export const text = (value: JsonValue | undefined): string => {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

/** The documents in a list; none when it is none. */
export const rowsIn = (value: JsonValue | undefined): readonly JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : [])

/** The texts in a list. */
export const wordsIn = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((word) => typeof word === 'string') : []

/** A document; without members when it is none. */
export const documentIn = (value: JsonValue | undefined): JsonObject => (isJsonObject(value) ? value : {})
