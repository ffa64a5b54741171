/** The few forms of which the schema of `openclaw.yaml` is made. */
import { DEFAULT_TENANT, TENANT_PATTERN } from '#contract'
import type { JsonObject, JsonValue } from '#contract'

type Properties = { readonly [name: string]: JsonObject }

/** A mapping whose keys are all known. */
export const object = (description: string, properties: Properties): JsonObject => ({
  type: 'object',
  description,
  properties,
  additionalProperties: false,
})

/** A mapping whose keys the user names. */
export const map = (description: string, values: JsonObject, names?: string): JsonObject => ({
  type: 'object',
  description,
  additionalProperties: values,
  ...(names === undefined ? {} : { propertyNames: { pattern: names } }),
  default: {},
})

export const list = (description: string, items: JsonObject, fallback: readonly JsonValue[] = []): JsonObject => ({
  type: 'array',
  description,
  items,
  default: fallback,
})

export const text = (description: string, fallback?: string): JsonObject => ({
  type: 'string',
  description,
  minLength: 1,
  ...(fallback === undefined ? {} : { default: fallback }),
})

export const choice = (description: string, values: readonly string[], fallback?: string): JsonObject => ({
  type: 'string',
  description,
  enum: values,
  ...(fallback === undefined ? {} : { default: fallback }),
})

export const flag = (description: string, fallback: boolean): JsonObject => ({ type: 'boolean', description, default: fallback })

export const integer = (description: string, fallback: number, minimum: number, maximum: number): JsonObject => ({
  type: 'integer',
  description,
  default: fallback,
  minimum,
  maximum,
})

/** @param minimum seconds @param maximum seconds */
export const duration = (description: string, fallback: string, minimum: number, maximum: number): JsonObject => ({
  type: ['string', 'number'],
  format: 'duration',
  description,
  default: fallback,
  minimum,
  maximum,
})

export const bytes = (description: string, fallback: string, minimum: number, maximum: number): JsonObject => ({
  type: ['string', 'integer'],
  format: 'bytes',
  description,
  default: fallback,
  minimum,
  maximum,
})

export const tenant = (description: string): JsonObject => ({
  type: 'string',
  pattern: TENANT_PATTERN,
  description,
  default: DEFAULT_TENANT,
})
