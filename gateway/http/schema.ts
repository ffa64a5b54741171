/**
 * Validation by JSON Schema 2020-12. Ajv and each schema are loaded and compiled when they are first needed: a gateway that nobody
 * writes to pays for neither.
 */
import type { Ajv2020, ErrorObject } from 'ajv/dist/2020.js'
import { isJsonObject, pointerToken } from '#contract'
import type { Fault, JsonObject } from '#contract'

/** Answers what is wrong, at most a few things; nothing: it fits. */
export type Check = (value: unknown) => readonly Fault[]

const MAX_FAULTS = 10
const NO_FAULTS: readonly Fault[] = []

export class Schemas {
  #loading: Promise<{ readonly body: Ajv2020; readonly query: Ajv2020 }> | null = null

  /** `query`: values are strings that are turned into what the schema names, in place. */
  async compile(schema: JsonObject, use: 'body' | 'query'): Promise<Check> {
    this.#loading ??= load()
    const validate = (await this.#loading)[use].compile(schema)
    return (value) => (validate(value) ? NO_FAULTS : faultsOf(validate.errors ?? []))
  }
}

async function load(): Promise<{ readonly body: Ajv2020; readonly query: Ajv2020 }> {
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  // Not allErrors: the work and the answer must stay small however wrong the body is.
  const formats = { 'date-time': isDateTime }
  // Schemas of routes are ours, and a test holds them to the metaschema: compiling that takes longer than compiling theirs.
  const options = { strictTypes: false, strictRequired: false, validateSchema: false, formats, allErrors: false, logger: false } as const
  return { body: new Ajv2020(options), query: new Ajv2020({ ...options, coerceTypes: true, useDefaults: true }) }
}

const DATE_TIME =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/

/** RFC 3339 §5.6, in upper case. A 31st of June would be taken for the 1st of July by `Date`. */
function isDateTime(text: string): boolean {
  const [, year, month, day] = DATE_TIME.exec(text) ?? []
  return day !== undefined && Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
}

function faultsOf(errors: readonly ErrorObject[]): readonly Fault[] {
  // That no branch fits says less than why each did not.
  const exact = errors.filter((error) => error.keyword !== 'oneOf' && error.keyword !== 'anyOf' && error.keyword !== 'if')
  const seen = new Map<string, Fault>()
  for (const error of exact.length > 0 ? exact : errors) {
    const fault = faultOf(error)
    seen.set(`${fault.pointer} ${fault.detail}`, fault)
    if (seen.size === MAX_FAULTS) break
  }
  return [...seen.values()]
}

function faultOf(error: ErrorObject): Fault {
  const params: unknown = error.params
  const at = `#${error.instancePath}`
  if (isJsonObject(params)) {
    const extra = params['additionalProperty'] ?? params['unevaluatedProperty']
    if (typeof extra === 'string') return { pointer: `${at}/${pointerToken(extra)}`, detail: 'is not a known member' }
    const missing = params['missingProperty']
    if (typeof missing === 'string') return { pointer: `${at}/${pointerToken(missing)}`, detail: 'is missing' }
    const allowed = params['allowedValues']
    if (Array.isArray(allowed)) return { pointer: at, detail: `must be one of ${allowed.join(', ')}` }
  }
  return { pointer: at, detail: error.message ?? 'does not fit the schema' }
}
