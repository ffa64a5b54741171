import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT } from '#contract'
import type { SkillDescriptor, SkillRunner } from '#contract'
import { chooseSkills } from '../../../gateway/pipeline/skill-choice.ts'
import { skillDescriptor } from '../../support/skill.ts'

const OLD = skillDescriptor({ id: 'weather', version: '1.4.0' })
const NEW = skillDescriptor({ id: 'weather', version: '2.0.0' })
const CLOCK = skillDescriptor({ id: 'clock' })
const runner: SkillRunner = {
  list: () => [CLOCK, NEW],
  find: (_tenant, id, version) => (id === 'weather' && version === '^1.2' ? OLD : null),
  run: async () => ({ status: 'ok', output: null }),
  adopt: async () => null,
  stop: async () => undefined,
}
const chosen = (...wanted: readonly string[]): readonly (readonly [SkillDescriptor, string | undefined])[] =>
  [...chooseSkills({ tenant: DEFAULT_TENANT, skills: wanted }, runner).values()].map(({ descriptor, version }) => [descriptor, version])

test('an agent has the skills that it names, and all with a star', () => {
  assert.deepEqual(chosen(), [])
  assert.deepEqual(chosen('clock', 'none'), [[CLOCK, undefined]])
  assert.deepEqual(chosen('*'), [
    [CLOCK, undefined],
    [NEW, undefined],
  ])
})

test('a range gives the version in it, also beside the star', () => {
  assert.deepEqual(chosen('weather@^1.2'), [[OLD, '^1.2']])
  assert.deepEqual(chosen('*', 'weather@^1.2'), [
    [CLOCK, undefined],
    [OLD, '^1.2'],
  ])
})

test('where nothing is in the range the agent has none, rather than another version', () => {
  assert.deepEqual(chosen('*', 'weather@^3'), [[CLOCK, undefined]])
  assert.deepEqual(chosen('@1', 'weather@'), [])
})
