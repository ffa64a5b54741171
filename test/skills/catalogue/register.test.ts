/** Registering skills: what is asked of them, and what is kept. */
import type { JsonObject, NewSkill } from '#contract'
import { ConflictError, InvalidError } from '#contract'
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { sign } from '../../../skills/bundle/signature.ts'
import { code, skill, T, use } from './given.ts'
import type { World } from './given.ts'

const refusal = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
  } catch (error) {
    if (error instanceof InvalidError || error instanceof ConflictError) return error.code
    throw error
  }
  return 'taken'
}

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const SECRET = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const PUBLIC = publicKey.export({ type: 'spki', format: 'pem' }).toString()

async function signed(given: NewSkill, kid = 'ops'): Promise<NewSkill> {
  const descriptor = Object(given.descriptor)
  return { ...given, signature: await sign({ descriptor, files: given.files }, { privateKey: SECRET, kid }) }
}

const under = (world: World, policy: 'off' | 'warn' | 'enforce', keys: { readonly [kid: string]: string } = { ops: PUBLIC }): void => {
  world.settings = { ...world.settings, signatures: { policy, keys } }
}

describe('registering', () => {
  test(
    'keeps a skill over a restart, and gives back just what was handed in',
    use(async ({ catalogue, events, clock, again }) => {
      const record = await catalogue.register(skill('1.0.0'))
      assert.deepEqual([record.version, record.isEnabled, record.createdBy, record.createdAt], ['1.0.0', true, 'ops', clock.now()])
      assert.deepEqual(events, [
        { name: 'skill.registered', data: { tenant: T, id: 'profile-enricher', version: '1.0.0', digest: record.digest, stable: true } },
      ])
      const later = await again()
      assert.deepEqual(later.resolve(T, 'profile-enricher'), record)
      assert.deepEqual(later.find(T, 'profile-enricher'), catalogue.find(T, 'profile-enricher'))
      const bundle = await later.load(record)
      assert.deepEqual([bundle.files, bundle.digest], [code('1.0.0'), record.digest])
      assert.deepEqual(await later.files(T, 'profile-enricher', '1.0.0'), code('1.0.0'))
      assert.deepEqual(await later.faultsOf(bundle, 'inputs', { userId: 1 }), [{ pointer: '#/userId', detail: 'must be string' }])
    }),
  )

  test(
    'the same again is the same record, other content under the version is refused',
    use(async ({ catalogue, tested, store }) => {
      const withTests = { tests: [{ name: 'one', input: { userId: 'a' }, output: {} }] }
      const both = await Promise.all([
        catalogue.register(skill('1.0.0', withTests)),
        catalogue.register(skill('1.0.0', withTests, { by: 'eve' })),
      ])
      assert.deepEqual(both[0], both[1])
      assert.equal(tested.length, 1)
      assert.equal(await refusal(catalogue.register(skill('1.0.0', withTests, { files: code('other') }))), 'SKILL_VERSION_TAKEN')
      assert.equal(await refusal(catalogue.register(skill('1.0.0', { ...withTests, description: 'other' }))), 'SKILL_VERSION_TAKEN')
      assert.equal(await refusal(catalogue.validate(skill('1.0.0', withTests, { files: code('other') }))), 'SKILL_VERSION_TAKEN')
      assert.equal((await store.skills.list()).length, 1)
      assert.notEqual((await catalogue.register(skill('1.0.0', {}, { tenant: 'other' }))).digest, both[0].digest)
    }),
  )

  test(
    'tells faults of descriptor and files together, and stores nothing',
    use(async ({ catalogue, store, events }) => {
      const bad = skill(
        '1.0.0',
        { runtime: { language: 'python', entrypoint: 'gone.py' }, dependencies: 'requirements.txt' },
        { files: { '../x': new Uint8Array() } },
      )
      await assert.rejects(catalogue.register(bad), (error) => {
        assert.ok(error instanceof InvalidError && error.code === 'SKILL_INVALID')
        assert.deepEqual(
          error.faults.map(({ pointer }) => pointer),
          ['#/runtime/entrypoint', '#/dependencies', '#/files/..~1x'],
        )
        return true
      })
      assert.equal(await refusal(catalogue.register(skill('1.0.0', { privileged: true }))), 'SKILL_INVALID')
      assert.equal(
        await refusal(catalogue.register(skill('1.0.0', { runtime: { language: 'python', entrypoint: 'constructor.py' } }))),
        'SKILL_INVALID',
      )
      assert.deepEqual([await store.skills.list(), events], [[], []])
    }),
  )

  test(
    'runs the tests of the descriptor, unless told not to',
    use(async (world) => {
      const { catalogue, tested } = world
      const tests = { tests: [{ name: 'one', input: {}, error: 'invalid_input' }] }
      world.testFaults = [{ pointer: '#/tests/0', detail: 'there is no sandbox for python here' }]
      const { testFaults: faults } = world
      // Where each fault is shown beside the words, the words do not say it again.
      const told = { code: 'SKILL_TESTS_FAILED', message: 'Of its 1 test 1 did not pass.', faults }
      await assert.rejects(catalogue.register(skill('1.0.0', tests)), told)
      assert.equal(await refusal(catalogue.validate(skill('1.0.0', tests))), 'SKILL_TESTS_FAILED')
      assert.equal(catalogue.find(T, 'profile-enricher'), null)
      assert.equal((await catalogue.register(skill('1.0.0', tests, { skipTests: true }))).version, '1.0.0')
      assert.equal(tested.length, 2)
      world.testFaults = []
      assert.equal((await catalogue.validate(skill('1.1.0', tests))).version, '1.1.0')
      assert.equal(catalogue.resolve(T, 'profile-enricher', '1.1.0'), null)
    }),
  )

  test(
    'holds a version to what its neighbours in the major promised',
    use(async ({ catalogue }) => {
      const inputs = (more: JsonObject): JsonObject => ({ inputs: { userId: { type: 'string' }, ...more } })
      await catalogue.register(skill('1.2.0'))
      assert.equal(await refusal(catalogue.register(skill('1.3.0', inputs({ age: { type: 'number' } })))), 'SKILL_INCOMPATIBLE')
      assert.equal(await refusal(catalogue.register(skill('1.3.0', inputs({ age: { type: 'number', optional: true } })))), 'taken')
      assert.equal(
        await refusal(catalogue.register(skill('1.1.0', inputs({ lost: { type: 'number', optional: true } })))),
        'SKILL_INCOMPATIBLE',
      )
      assert.equal(await refusal(catalogue.register(skill('1.4.0-rc.1', inputs({ age: { type: 'string' } })))), 'taken')
      assert.equal(await refusal(catalogue.register(skill('2.0.0', inputs({ age: { type: 'string' } })))), 'taken')
      assert.equal(await refusal(catalogue.register(skill('0.1.0'))), 'taken')
      assert.equal(await refusal(catalogue.register(skill('0.2.0', inputs({ age: { type: 'string' } })))), 'taken')
    }),
  )
})

describe('signatures', () => {
  test(
    'are asked for where the operator enforces them, at registration and again at load',
    use(async (world) => {
      const { catalogue, again } = world
      const early = await catalogue.register(skill('1.0.0'))
      under(world, 'enforce')
      assert.equal(await refusal(catalogue.register(skill('1.1.0'))), 'SKILL_UNSIGNED')
      const other = await signed(skill('1.1.0', {}, { files: code('other') }))
      assert.equal(await refusal(catalogue.register({ ...other, files: code('1.1.0') })), 'SKILL_UNSIGNED')
      assert.equal(await refusal(catalogue.register(await signed(skill('1.1.0'), 'nobody'))), 'SKILL_UNSIGNED')
      const late = await catalogue.register(await signed(skill('1.1.0')))
      for (const each of [catalogue, await again()]) {
        assert.equal(await refusal(each.load(early)), 'SKILL_UNSIGNED')
        assert.equal((await each.load(late)).descriptor.version, '1.1.0')
      }
      assert.deepEqual(await catalogue.files(T, 'profile-enricher', '1.0.0'), code('1.0.0'))
    }),
  )

  test(
    'lose their worth with their key, at once, and a newer one can be put in their place',
    use(async (world) => {
      const { catalogue } = world
      under(world, 'enforce')
      const record = await catalogue.register(await signed(skill('1.0.0')))
      await catalogue.load(record)
      under(world, 'enforce', { new: PUBLIC })
      assert.equal(await refusal(catalogue.load(record)), 'SKILL_UNSIGNED')
      const renewed = await catalogue.register(await signed(skill('1.0.0'), 'new'))
      assert.equal((await catalogue.load(renewed)).digest, record.digest)
      assert.equal((await (await world.again()).load(renewed)).digest, record.digest)
      under(world, 'warn', {})
      await catalogue.load(renewed)
      assert.equal((await catalogue.register(skill('1.1.0'))).signature, null)
    }),
  )
})

describe('loading', () => {
  test(
    'refuses what is not what was registered',
    use(async ({ catalogue, store, again }) => {
      const record = await catalogue.register(skill('1.0.0'))
      const other = await catalogue.register(skill('2.0.0'))
      assert.equal(await refusal(catalogue.load({ ...record, digest: other.digest })), 'SKILL_DAMAGED')
      assert.equal(await refusal(catalogue.load({ ...record, digest: 'sha256-0' })), 'SKILL_DAMAGED')
      const tampered = { ...record, descriptor: { ...record.descriptor, network: { allow: ['evil.example'] } } }
      assert.equal(await refusal((await again()).load(tampered)), 'SKILL_DAMAGED')
      await store.skills.add({ ...record, tenant: 'x', digest: 'sha256-1' }, new Uint8Array([1, 2, 3]), null)
      assert.equal(await refusal(catalogue.load({ ...record, digest: 'sha256-1' })), 'SKILL_DAMAGED')
    }),
  )

  test(
    'of the same skill by many at once asks the store once',
    use(async ({ catalogue, again }) => {
      const record = await catalogue.register(skill('1.0.0'))
      const later = await again()
      const bundles = await Promise.all(Array.from({ length: 20 }, () => later.load(record)))
      assert.equal(new Set(bundles).size, 1)
    }),
  )
})
