/**
 * A descriptor as it was written: one that the gateway works with, or every fault at once, each with its place. Pure but for loading Ajv.
 * What it means is `read.ts`. Files and signature are for `bundle/`, what versions owe each other for `compatible.ts`.
 */
import { isJsonObject } from '#contract'
import type { Fault, JsonObject, JsonValue, SkillDescriptor } from '#contract'
import { compileSchema, SchemaJudge } from './ajv.ts'
import type { Compiled } from './ajv.ts'
import { descriptorSchema } from './descriptor-schema.ts'
import { hostFault } from './host.ts'
import { idFault } from './id.ts'
import { jsonFault } from './json.ts'
import { ERRORS, listOf, objectOf, readDescriptor } from './read.ts'
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

function ownFaults(json: JsonObject, descriptor: SkillDescriptor): readonly Fault[] {
  const faults: Fault[] = []
  const add = (pointer: string, detail: string | null): void => {
    if (detail !== null) faults.push({ pointer, detail })
  }
  const { language, entrypoint } = descriptor.runtime
  add('#/id', idFault(descriptor.id))
  if (parseVersion(descriptor.version) === null) add('#/version', 'must be a semantic version without build metadata, like "1.0.0"')
  add('#/runtime/entrypoint', pathFault(entrypoint))
  if (!EXTENSIONS[language]?.some((extension) => entrypoint.endsWith(extension)))
    add('#/runtime/entrypoint', `must end in ${EXTENSIONS[language]?.join(' or ') ?? 'nothing'} for ${language}`)
  for (const [at, entry] of descriptor.network.allow.entries()) add(`#/network/allow/${at}`, hostFault(entry))
  if (descriptor.dependencies !== null) add('#/dependencies', lockFault(language, descriptor.dependencies))
  for (const [at, test] of listOf(json['tests']).entries()) {
    const { output, error } = objectOf(test)
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
  const { schema, faults } = writtenOut(objectOf(json[side]), side)
  const lint = faults.length > 0 ? faults : lintSchema(schema, `#/${side}`)
  if (lint.length > 0) return lint
  const cost = costFault(schema)
  if (cost !== null) return [{ pointer: `#/${side}`, detail: cost }]
  const fault = await schemas.fault(schema)
  return fault === null ? [] : [{ pointer: `#/${side}${fault.pointer.slice(1)}`, detail: fault.detail }]
}
