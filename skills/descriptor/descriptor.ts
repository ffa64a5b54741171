/**
 * A descriptor as it was written, into one that the gateway works with, or every fault at once, each with its place. Pure but for
 * loading Ajv. Files and signature are for `bundle/`, what versions owe each other for `compatible.ts`.
 */
import { isJsonObject, textOf } from '#contract'
import type { Fault, JsonObject, JsonValue, SkillDescriptor, SkillTest } from '#contract'
import { compileSchema, SchemaJudge } from './ajv.ts'
import type { Compiled } from './ajv.ts'
import { descriptorSchema } from './descriptor-schema.ts'
import { hostFault } from './host.ts'
import { jsonFault } from './json.ts'
import { costFault } from './schema-cost.ts'
import { lintSchema } from './schema-lint.ts'
import { writtenOut } from './shorthand.ts'
import { parseVersion } from './version.ts'

export type Parsed =
  | { readonly ok: true; readonly descriptor: SkillDescriptor; readonly written: JsonObject }
  | { readonly ok: false; readonly faults: readonly Fault[] }

const BOUNDS = { depth: 64, values: 20_000 }
const MAX_BYTES = 262_144
const ENTRYPOINT = /^[A-Za-z0-9_][\w./-]*$/
const EXTENSIONS: { readonly [language: string]: readonly string[] } = {
  python: ['.py'],
  node: ['.mjs', '.js', '.cjs'],
  javascript: ['.js', '.mjs'],
  shell: ['.sh'],
}
const LOCK_FILES: { readonly [language: string]: string } = { python: 'requirements.txt', node: 'package-lock.json' }
const ERRORS = [
  'invalid_input',
  'invalid_output',
  'timeout',
  'oom',
  'pids_exhausted',
  'output_limit',
  'crashed',
  'protocol',
  'deps_failed',
  'egress_denied',
  'refused',
  'not_found',
] as const

/** Parses one descriptor after the other; what is costly to make is made once. */
export class DescriptorParser {
  readonly #schemas = new SchemaJudge()
  #shape: Promise<Compiled> | null = null

  async parse(value: unknown): Promise<Parsed> {
    this.#shape ??= compileSchema(descriptorSchema, { every: true })
    return parsed(value, { shape: await this.#shape, schemas: this.#schemas })
  }
}

/** For one alone. */
export const parseDescriptor = (value: unknown): Promise<Parsed> => new DescriptorParser().parse(value)

interface Judges {
  readonly shape: Compiled
  readonly schemas: SchemaJudge
}

async function parsed(value: unknown, { shape, schemas }: Judges): Promise<Parsed> {
  const fault = jsonFault(value, BOUNDS)
  if (fault !== null) return { ok: false, faults: [fault] }
  // Bounded just now; what it holds is JSON.
  const json = value as JsonValue
  if (JSON.stringify(json).length > MAX_BYTES) return refused('#', `has more than ${MAX_BYTES} characters`)
  if (!isJsonObject(json)) return refused('#', 'must be an object')
  const misshapen = shape.check(json)
  if (misshapen.length > 0) return { ok: false, faults: misshapen }
  const descriptor = readDescriptor(json)
  const [inputs, outputs] = [await schemaFaults(json, 'inputs', schemas), await schemaFaults(json, 'outputs', schemas)]
  const faults = [...ownFaults(json, descriptor), ...inputs, ...outputs]
  return faults.length > 0 ? { ok: false, faults } : { ok: true, descriptor, written: json }
}

const refused = (pointer: string, detail: string): Parsed => ({ ok: false, faults: [{ pointer, detail }] })

/** Of one that was parsed before, as the store keeps it. */
export function readDescriptor(json: JsonObject): SkillDescriptor {
  const runtime = object(json['runtime'])
  const resources = object(json['resources'])
  return {
    id: textOf(json['id']),
    version: textOf(json['version']),
    description: text(json['description']) ?? '',
    inputs: writtenOut(object(json['inputs']), 'inputs').schema,
    outputs: writtenOut(object(json['outputs']), 'outputs').schema,
    runtime: { language: languageOf(runtime['language']), entrypoint: textOf(runtime['entrypoint']) },
    effect: effectOf(json['effect']),
    timeoutMs: number(json['timeout_ms'], 'timeout_ms'),
    resources: {
      memoryMb: number(resources['memory_mb'], 'memory_mb'),
      cpus: number(resources['cpus'], 'cpus'),
      pids: number(resources['pids'], 'pids'),
      tmpMb: number(resources['tmp_mb'], 'tmp_mb'),
    },
    network: { allow: textsOf(object(json['network'])['allow']) },
    secrets: textsOf(json['secrets']),
    dependencies: text(json['dependencies']),
    tests: list(json['tests']).map((test) => testOf(object(test))),
  }
}

const object = (value: JsonValue | undefined): JsonObject => (value !== undefined && isJsonObject(value) ? value : {})
const text = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null)
const list = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? value : [])
const textsOf = (value: JsonValue | undefined): readonly string[] => list(value).filter((each) => typeof each === 'string')

const DEFAULTS: { readonly [name: string]: JsonValue | undefined } = Object.fromEntries(
  [object(descriptorSchema['properties']), object(object(object(descriptorSchema['properties'])['resources'])['properties'])]
    .flatMap((properties) => Object.entries(properties))
    .map(([name, schema]) => [name, object(schema)['default']]),
)
const number = (value: JsonValue | undefined, name: string): number => (typeof value === 'number' ? value : Number(DEFAULTS[name]))

function languageOf(value: JsonValue | undefined): SkillDescriptor['runtime']['language'] {
  return value === 'node' || value === 'shell' || value === 'javascript' ? value : 'python'
}

/** The one that allows the least, unless it says otherwise. */
function effectOf(value: JsonValue | undefined): SkillDescriptor['effect'] {
  return value === 'none' || value === 'idempotent' ? value : 'once'
}

function testOf(test: JsonObject): SkillTest {
  const error = ERRORS.find((code) => code === test['error'])
  const output = test['output']
  return {
    name: textOf(test['name']),
    input: test['input'] ?? null,
    ...(output !== undefined && { output }),
    ...(error !== undefined && { error }),
  }
}

function ownFaults(json: JsonObject, descriptor: SkillDescriptor): readonly Fault[] {
  const faults: Fault[] = []
  const add = (pointer: string, detail: string | null): void => {
    if (detail !== null) faults.push({ pointer, detail })
  }
  const { language, entrypoint } = descriptor.runtime
  if (parseVersion(descriptor.version) === null) add('#/version', 'must be a semantic version without build metadata, like "1.0.0"')
  add('#/runtime/entrypoint', pathFault(entrypoint))
  if (!EXTENSIONS[language]?.some((extension) => entrypoint.endsWith(extension)))
    add('#/runtime/entrypoint', `must end in ${EXTENSIONS[language]?.join(' or ') ?? 'nothing'} for ${language}`)
  for (const [at, entry] of descriptor.network.allow.entries()) add(`#/network/allow/${at}`, hostFault(entry))
  if (descriptor.dependencies !== null) add('#/dependencies', lockFault(language, descriptor.dependencies))
  for (const [at, test] of list(json['tests']).entries()) {
    const { output, error } = object(test)
    if ((output === undefined) === (error === undefined)) add(`#/tests/${at}`, 'must have one of "output" and "error"')
    if (error !== undefined && !ERRORS.some((code) => code === error)) add(`#/tests/${at}/error`, `must be one of ${ERRORS.join(', ')}`)
  }
  return faults
}

const pathFault = (path: string): string | null =>
  ENTRYPOINT.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
    ? null
    : 'must be the path of a file of the skill: letters, digits, "_", "-", "." and "/", without ".."'

function lockFault(language: string, path: string): string | null {
  const wanted = LOCK_FILES[language]
  if (wanted === undefined) return `${language} skills have no dependencies: leave it out`
  if (path !== wanted && !path.endsWith(`/${wanted}`)) return `must be a ${wanted} for ${language}`
  return pathFault(path)
}

async function schemaFaults(json: JsonObject, side: 'inputs' | 'outputs', schemas: SchemaJudge): Promise<readonly Fault[]> {
  const { schema, faults } = writtenOut(object(json[side]), side)
  const lint = faults.length > 0 ? faults : lintSchema(schema, `#/${side}`)
  if (lint.length > 0) return lint
  const cost = costFault(schema)
  if (cost !== null) return [{ pointer: `#/${side}`, detail: cost }]
  const fault = await schemas.fault(schema)
  return fault === null ? [] : [{ pointer: `#/${side}${fault.pointer.slice(1)}`, detail: fault.detail }]
}
