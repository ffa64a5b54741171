/**
 * A descriptor that was parsed before, as the store keeps it, into what the gateway works with. Trusts what it is given: whether it is
 * one at all is for `descriptor.ts`.
 */
import { isJsonObject, textOf } from '#contract'
import type { JsonObject, JsonValue, SkillDescriptor, SkillTest } from '#contract'
import { descriptorSchema } from './descriptor-schema.ts'
import { writtenOut } from './shorthand.ts'

/** How a test may expect a run to end. */
export const ERRORS = [
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

export function readDescriptor(json: JsonObject): SkillDescriptor {
  const runtime = objectOf(json['runtime'])
  const resources = objectOf(json['resources'])
  return {
    id: textOf(json['id']),
    version: textOf(json['version']),
    description: text(json['description']) ?? '',
    inputs: writtenOut(objectOf(json['inputs']), 'inputs').schema,
    outputs: writtenOut(objectOf(json['outputs']), 'outputs').schema,
    runtime: { language: languageOf(runtime['language']), entrypoint: textOf(runtime['entrypoint']) },
    effect: effectOf(json['effect']),
    timeoutMs: number(json['timeout_ms'], 'timeout_ms'),
    resources: {
      memoryMb: number(resources['memory_mb'], 'memory_mb'),
      cpus: number(resources['cpus'], 'cpus'),
      pids: number(resources['pids'], 'pids'),
      tmpMb: number(resources['tmp_mb'], 'tmp_mb'),
    },
    network: { allow: textsOf(objectOf(json['network'])['allow']) },
    secrets: textsOf(json['secrets']),
    dependencies: text(json['dependencies']),
    tests: listOf(json['tests']).map((test) => testOf(objectOf(test))),
  }
}

export const objectOf = (value: JsonValue | undefined): JsonObject => (value !== undefined && isJsonObject(value) ? value : {})
const text = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null)
export const listOf = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? value : [])
const textsOf = (value: JsonValue | undefined): readonly string[] => listOf(value).filter((each) => typeof each === 'string')

const DEFAULTS: { readonly [name: string]: JsonValue | undefined } = Object.fromEntries(
  [objectOf(descriptorSchema['properties']), objectOf(objectOf(objectOf(descriptorSchema['properties'])['resources'])['properties'])]
    .flatMap((properties) => Object.entries(properties))
    .map(([name, schema]) => [name, objectOf(schema)['default']]),
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
