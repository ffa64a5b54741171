/**
 * `google.protobuf.Value` and JSON, both ways, in the shapes of proto-loader. How deep and how large a value may be is checked where every
 * body is checked; the decoder itself stops at a depth of 100.
 */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue } from '#contract'

export function toJson(value: unknown): JsonValue {
  if (!isRecord(value)) return null
  switch (value['kind']) {
    case 'stringValue':
    case 'numberValue':
    case 'boolValue':
      return scalar(value[value['kind']])
    case 'structValue':
      return toObject(value['structValue'])
    case 'listValue': {
      const list = value['listValue']
      const values = isRecord(list) ? list['values'] : null
      return Array.isArray(values) ? values.map(toJson) : []
    }
    default:
      return null
  }
}

/** Names that poison objects become members like any other here, and are refused with the rest of the body. */
export function toObject(value: unknown): JsonObject {
  const fields = isRecord(value) ? value['fields'] : null
  return isRecord(fields) ? Object.fromEntries(Object.entries(fields).map(([name, member]) => [name, toJson(member)])) : {}
}

export function fromJson(value: JsonValue): object {
  if (value === null) return { nullValue: 'NULL_VALUE' }
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'number') return { numberValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return isJsonObject(value) ? { structValue: fromObject(value) } : { listValue: { values: value.map(fromJson) } }
}

export function fromObject(value: JsonValue | undefined): object | null {
  if (!isJsonObject(value)) return null
  return { fields: Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fromJson(member)])) }
}

export const isRecord = (value: unknown): value is { readonly [name: string]: unknown } => typeof value === 'object' && value !== null

const scalar = (value: unknown): JsonValue =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
