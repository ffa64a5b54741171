/** The one way in which JSON Schemas are compiled here: bounded patterns and formats, and faults in words. Ajv is loaded when it is first needed. */
import { isJsonObject, nearest, pointerToken } from '#contract'
import type { Fault, JsonObject, JsonValue } from '#contract'
import type { ErrorObject, Format, ValidateFunction } from 'ajv'
import type { Ajv2020 } from 'ajv/dist/2020.js'
import { Budget, LinearPattern } from './pattern.ts'
import { FORMATS } from './schema-lint.ts'
import { FORMAT_STEPS, isAtLeast, isAtMost } from './text-cost.ts'

/** Texts of a format are short; what is longer has none. */
const MAX_FORMATTED = 2_048
const MAX_FAULTS = 10

export interface Compiled {
  /** Faults of a value; without `every`, only the first. */
  check(value: JsonValue): readonly Fault[]
}

/** Of a schema that is known to be one. `every`: look for all faults of a value, not for the first alone. @throws Error of Ajv, in its words */
export async function compileSchema(schema: JsonObject, options: { readonly every: boolean }): Promise<Compiled> {
  const { ajv, budget } = await compiler(options)
  const { $id: _ours, ...anonymous } = schema
  const validate = ajv.compile(anonymous)
  return {
    check(value) {
      budget.refill()
      return faultsOf(validate, value)
    },
  }
}

/** Tells schemas from what is none. Costly to make, cheap to ask. */
export class SchemaJudge {
  #compiler: Promise<Compiler> | null = null

  /** null: it is a schema. */
  async fault(schema: JsonObject): Promise<Fault | null> {
    const { ajv, budget } = await (this.#compiler ??= compiler({ every: false }))
    budget.refill()
    if (ajv.validateSchema(schema) !== true) {
      const [error] = ajv.errors ?? []
      return error === undefined ? { pointer: '#', detail: 'is no JSON Schema' } : faultOf(error)
    }
    try {
      await compileSchema(schema, { every: false })
      return null
    } catch (error) {
      return { pointer: '#', detail: `is no JSON Schema: ${error instanceof Error ? error.message : String(error)}` }
    }
  }
}

interface Compiler {
  readonly ajv: Ajv2020
  readonly budget: Budget
}

async function compiler({ every }: { readonly every: boolean }): Promise<Compiler> {
  const [{ Ajv2020, str, _ }, formats] = await Promise.all([import('ajv/dist/2020.js'), import('ajv-formats/dist/formats.js')])
  const budget = new Budget()
  const regExp = (source: string): { test(text: string): boolean; toString(): string } => {
    const pattern = new LinearPattern(source)
    // Ajv tells patterns apart by their text.
    return { test: (text) => pattern.test(text, budget), toString: () => source }
  }
  const ajv = new Ajv2020({
    // Whatever is unknown was refused before, by name.
    strict: false,
    allErrors: every,
    validateSchema: false,
    // An inlined schema is written out as often as it is referred to.
    inlineRefs: false,
    logger: false,
    verbose: true,
    code: { regExp: Object.assign(regExp, { code: 'linear' }) },
  })
  for (const name of FORMATS) {
    const holds = judgeOf(formats.fullFormats[name])
    const validate = (text: string): boolean => {
      if (text.length > MAX_FORMATTED) return false
      budget.spend(1 + FORMAT_STEPS * text.length)
      return holds(text)
    }
    ajv.addFormat(name, { type: 'string', validate })
  }
  // Ajv's own count all characters at each look, and nobody counts the looks.
  for (const [keyword, holds, words] of [
    ['minLength', isAtLeast, 'fewer'],
    ['maxLength', isAtMost, 'more'],
  ] as const) {
    ajv.removeKeyword(keyword)
    ajv.addKeyword({
      keyword,
      type: 'string',
      schemaType: 'number',
      errors: false,
      compile: (limit: number) => (text: string) => holds(text, limit, budget),
      error: {
        message: ({ schemaCode }) => str`must NOT have ${words} than ${schemaCode} characters`,
        params: ({ schemaCode }) => _`{limit: ${schemaCode}}`,
      },
    })
  }
  return { ajv, budget }
}

function faultsOf(validate: ValidateFunction, value: JsonValue): readonly Fault[] {
  try {
    if (validate(value)) return []
  } catch (error) {
    return [{ pointer: '#', detail: `could not be checked: ${error instanceof Error ? error.message : String(error)}` }]
  }
  const faults = (validate.errors ?? []).filter(({ keyword }) => keyword !== 'if' && keyword !== 'propertyNames')
  const places = new Map<string, Fault>()
  for (const error of faults.length === 0 ? (validate.errors ?? []) : faults) {
    const fault = faultOf(error)
    if (!places.has(fault.pointer)) places.set(fault.pointer, fault)
    if (places.size === MAX_FAULTS) break
  }
  return [...places.values()]
}

function faultOf({ instancePath, keyword, params, message, parentSchema }: ErrorObject): Fault {
  const at = `#${instancePath}`
  if (keyword === 'required') return { pointer: `${at}/${pointerToken(String(params['missingProperty']))}`, detail: 'is missing' }
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') {
    const name = String(params['additionalProperty'] ?? params['unevaluatedProperty'])
    const known = parentSchema === undefined || !isJsonObject(parentSchema['properties']) ? [] : Object.keys(parentSchema['properties'])
    const guess = nearest(name, known)
    return { pointer: `${at}/${pointerToken(name)}`, detail: `is not a known member${guess === null ? '' : `; did you mean "${guess}"?`}` }
  }
  if (keyword === 'enum') return { pointer: at, detail: `must be one of ${shown(params['allowedValues'])}` }
  if (keyword === 'const') return { pointer: at, detail: `must be ${shown(params['allowedValue'])}` }
  return { pointer: at, detail: message ?? 'is wrong' }
}

const shown = (value: unknown): string => {
  const text = Array.isArray(value) ? value.map((each) => JSON.stringify(each)).join(', ') : JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

function judgeOf(format: Format): (text: string) => boolean {
  if (format instanceof RegExp) return (text) => format.test(text)
  if (typeof format === 'function') return (text) => format(text)
  if (typeof format === 'object' && format !== null && 'validate' in format) {
    const { validate } = format
    if (validate instanceof RegExp) return (text) => validate.test(text)
    if (typeof validate === 'function') return (text) => Reflect.apply(validate, undefined, [text]) === true
  }
  throw new Error('a format that is none')
}
