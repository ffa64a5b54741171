/**
 * Reading of what both requests have in common: members, texts and their faults. What changes an answer and cannot be had is refused by name; what only
 * tunes it is the agent's own matter, and is passed over.
 */
import { InvalidError, NotFoundError, isJsonObject, isWithinBounds } from '#contract'
import type { AnswerFormat, ClientChoice, ClientTool, Fault, JsonObject, JsonValue, SkillCall } from '#contract'

const PREFIX = 'openclaw/'
export const MAX_MESSAGES = 5_000
const MAX_TOOLS = 128

export const wrong = (param: string, detail: string): InvalidError =>
  new InvalidError(`The request was refused at ${param}: ${detail}`, {
    code: 'SCHEMA_VIOLATION',
    faults: [{ pointer: `#/${param}`, detail }],
  })

export const unsupported = (param: string, detail: string): InvalidError =>
  new InvalidError(`${param.replaceAll('/', '.')} is not supported here: ${detail}`, {
    code: 'UNSUPPORTED_PARAMETER',
    faults: [{ pointer: `#/${param}`, detail }],
  })

export interface Rules {
  readonly read: ReadonlySet<string>
  /** Taken, and of no effect: the agent's declaration says how it thinks. */
  readonly passedOver: ReadonlySet<string>
  /** Name → values that ask for nothing that is not so anyway, and why others are refused. */
  readonly only: { readonly [name: string]: { readonly values: readonly JsonValue[]; readonly why: string } }
}

/** The members of a body, each known and none that asks for what cannot be had. null counts as absent, as it does there. */
export function membersOf(body: JsonValue | undefined, rules: Rules): JsonObject {
  if (!isJsonObject(body)) throw wrong('', 'must be a JSON object')
  for (const [name, value] of Object.entries(body)) {
    const only = Object.hasOwn(rules.only, name) ? rules.only[name] : undefined
    if (only !== undefined) {
      if (value !== null && !only.values.some((allowed) => same(allowed, value))) throw unsupported(name, only.why)
    } else if (!rules.read.has(name) && !rules.passedOver.has(name)) throw wrong(name.slice(0, 64), 'is not a known parameter')
  }
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
}

const same = (a: JsonValue, b: JsonValue): boolean => JSON.stringify(a) === JSON.stringify(b)

export function agentOf(model: JsonValue | undefined): string {
  if (typeof model !== 'string' || model === '') throw wrong('model', 'must be the name of a model, `openclaw/<agent>`')
  if (model.startsWith(PREFIX) && model.length > PREFIX.length && model.length <= 128) return model.slice(PREFIX.length)
  throw new NotFoundError('Models here are called `openclaw/<agent>`. GET /v1/models lists those there are.', { code: 'MODEL_NOT_FOUND' })
}

/** A text, or a list of parts that are all texts. */
export function textIn(content: JsonValue | undefined, at: string, types: readonly string[]): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) throw wrong(at, 'must be text, or a list of parts')
  return content
    .map((part: JsonValue, index) => {
      const { type, text, refusal } = isJsonObject(part) ? part : {}
      const words = type === 'refusal' ? refusal : text
      if (typeof type !== 'string' || !types.includes(type))
        throw unsupported(`${at}/${index}`, `agents read text; parts may be ${types.join(', ')}`)
      if (typeof words !== 'string') throw wrong(`${at}/${index}/text`, 'must be text')
      return words
    })
    .join('')
}

export function callFrom({
  id,
  name,
  input,
  at,
}: {
  id: JsonValue | undefined
  name: JsonValue | undefined
  input: JsonValue | undefined
  at: string
}): SkillCall {
  if (typeof id !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(id)) throw wrong(at, 'needs an id of 1 to 64 letters, digits, _ and -')
  if (typeof name !== 'string' || !NAME.test(name)) throw wrong(at, 'needs the name of a function')
  const given = argumentsIn(input, at)
  const faults: Fault[] = []
  if (!isWithinBounds(given, '', faults)) throw wrong(at, `has arguments that are refused: ${faults[0]?.detail ?? ''}`)
  return { id, skill: name, input: given }
}

function argumentsIn(input: JsonValue | undefined, at: string): JsonValue {
  if (typeof input !== 'string' || input.trim() === '') return {}
  try {
    return JSON.parse(input) as JsonValue
  } catch {
    throw wrong(at, 'needs arguments that are JSON')
  }
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/

/** `functionOf`: where in a tool its function stands. */
export function toolsFrom(tools: JsonValue | undefined, functionOf: (tool: JsonObject) => JsonValue | undefined): readonly ClientTool[] {
  if (tools === undefined) return []
  if (!Array.isArray(tools) || tools.length > MAX_TOOLS) throw wrong('tools', `must be a list of at most ${MAX_TOOLS}`)
  const names = new Set<string>()
  return tools.map((tool: JsonValue, index) => {
    const at = `tools/${index}`
    if (!isJsonObject(tool) || tool['type'] !== 'function')
      throw unsupported(at, 'only functions; what the gateway itself can do are the skills of the agent')
    const named = functionOf(tool)
    const { name, description, parameters } = isJsonObject(named) ? named : {}
    if (typeof name !== 'string' || !NAME.test(name)) throw wrong(at, 'needs a name of 1 to 64 letters, digits, _ and -')
    if (names.has(name)) throw wrong(at, `is called ${name} like another`)
    names.add(name)
    return {
      name,
      description: typeof description === 'string' ? description : '',
      inputs: isJsonObject(parameters) ? parameters : { type: 'object', properties: {} },
    }
  })
}

/** What is offered of the client's tools, and what of it has to be called. `nameOf`: where in a choice the name of a function stands. */
export function offered(
  tools: readonly ClientTool[],
  choice: JsonValue | undefined,
  nameOf: (choice: JsonObject) => JsonValue | undefined,
): { readonly tools: readonly ClientTool[]; readonly choice: ClientChoice } {
  if (choice === undefined || choice === 'auto') return { tools, choice: 'auto' }
  if (choice === 'none') return { tools: [], choice: 'auto' }
  if (choice === 'required' && tools.length > 0) return { tools, choice }
  if (choice === 'required') throw wrong('tool_choice', 'needs tools that can be called')
  const name = isJsonObject(choice) && choice['type'] === 'function' ? nameOf(choice) : undefined
  if (typeof name !== 'string') throw unsupported('tool_choice', 'it may be auto, none, required or a function')
  if (!tools.some((tool) => tool.name === name)) throw wrong('tool_choice', 'must name one of the tools')
  return { tools, choice: { tool: name } }
}

/** `format`: what names the form of the answer; `schemaOf`: where in it the schema and its name stand. */
export function formatIn(
  format: JsonValue | undefined,
  at: string,
  schemaOf: (format: JsonObject) => JsonValue | undefined,
): AnswerFormat | null {
  if (format === undefined || format === null) return null
  const type = isJsonObject(format) ? format['type'] : undefined
  if (type === 'text') return null
  if (!isJsonObject(format) || type !== 'json_schema') throw unsupported(at, 'it may be text or json_schema')
  const given = schemaOf(format)
  const { name, description = null, schema, strict = null } = isJsonObject(given) ? given : {}
  if (typeof name !== 'string' || !NAME.test(name)) throw wrong(at, 'needs a name of 1 to 64 letters, digits, _ and -')
  if (!isJsonObject(schema)) throw wrong(at, 'needs a schema')
  if (strict !== null && typeof strict !== 'boolean') throw wrong(at, 'may be strict: true or false')
  if (description !== null && typeof description !== 'string') throw wrong(at, 'may have a description, which is text')
  return { name, description, schema, isStrict: strict }
}

export function flagIn(body: JsonObject, name: string): boolean {
  const value = body[name] ?? false
  if (typeof value === 'boolean') return value
  throw wrong(name, 'must be true or false')
}

export function limitIn(value: JsonValue | undefined, name: string): number | null {
  if (value === undefined) return null
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value
  throw wrong(name, 'must be a whole number above 0')
}

export function nameIn(value: JsonValue | undefined, name: string): string | null {
  if (value === undefined) return null
  if (typeof value === 'string' && value !== '' && value.length <= 255 && value.isWellFormed() && !/\p{Cc}/u.test(value)) return value
  throw wrong(name, 'must be text of 1 to 255 characters without control characters')
}

/** The client's own labels: 16 at most, texts both. */
export function labelsIn(value: JsonValue | undefined): { readonly [name: string]: string } {
  if (value === undefined) return {}
  if (!isJsonObject(value) || Object.keys(value).length > 16) throw wrong('metadata', 'must be an object of at most 16 texts')
  const labels: [string, string][] = []
  for (const [name, label] of Object.entries(value)) {
    if (typeof label !== 'string' || label.length > 512 || name.length > 64)
      throw wrong('metadata', 'must have names of 64 and texts of 512 characters at most')
    labels.push([name, label])
  }
  return Object.fromEntries(labels)
}
