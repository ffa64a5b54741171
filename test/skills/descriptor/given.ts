/** Descriptors for tests. */
import type { Fault, JsonObject, SkillDescriptor } from '#contract'
import assert from 'node:assert/strict'
import { DescriptorParser } from '../../../skills/descriptor/descriptor.ts'

const parser = new DescriptorParser()

/** The seed's own, to the letter. */
export const SEED: JsonObject = {
  id: 'profile-enricher',
  version: '1.0.0',
  inputs: { userId: { type: 'string', description: 'User identifier' } },
  outputs: { profile: { type: 'object', properties: { name: { type: 'string' }, email: { type: 'string' } } } },
  runtime: { language: 'python', entrypoint: 'enrich_profile.py' },
}

export async function parsed(json: JsonObject): Promise<SkillDescriptor> {
  const result = await parser.parse(json)
  assert.ok(result.ok, JSON.stringify(result))
  return result.descriptor
}

export async function faultsOf(value: unknown): Promise<readonly Fault[]> {
  const result = await parser.parse(value)
  return result.ok ? [] : result.faults
}

/** Pointers alone, in their order. */
export const pointersOf = async (value: unknown): Promise<readonly string[]> => (await faultsOf(value)).map(({ pointer }) => pointer)
