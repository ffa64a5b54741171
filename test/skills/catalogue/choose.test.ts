/** Which version a call gets, and what operators change about it. */
import { ConflictError, NotFoundError } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { skill, T, use, versionsOf } from './given.ts'
import type { World } from './given.ts'

const ID = 'profile-enricher'
const code = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
  } catch (error) {
    if (error instanceof ConflictError || error instanceof NotFoundError) return error.code
    throw error
  }
  return 'done'
}
const register = async ({ catalogue }: Pick<World, 'catalogue'>, ...versions: readonly string[]): Promise<void> => {
  for (const version of versions) await catalogue.register(skill(version))
}
const chosen = ({ catalogue }: Pick<World, 'catalogue'>, asked?: string): string | undefined =>
  catalogue.choose(T, ID, asked, 'me')?.version

describe('a call', () => {
  test(
    'gets the newest major that has a stable version which is switched on, or what it asks for',
    use(async (world) => {
      await register(world, '1.0.0', '1.2.0', '2.0.0-rc.1', '2.0.0', '3.0.0-beta.1', '1.1.0')
      assert.equal(chosen(world), '2.0.0')
      const asked = [
        '1',
        'v1',
        '2',
        '1.1.0',
        '2.0.0-rc.1',
        '^1',
        '~1.1',
        '1.x',
        '>=1',
        '^3.0.0-beta.0',
        '3',
        '^3',
        '4',
        '9.9.9',
        'latest',
        '',
      ]
      assert.deepEqual(
        asked.map((each) => chosen(world, each)),
        [
          '1.2.0',
          '1.2.0',
          '2.0.0',
          '1.1.0',
          '2.0.0-rc.1',
          '1.2.0',
          '1.1.0',
          '1.2.0',
          '2.0.0',
          '3.0.0-beta.1',
          ...Array.from({ length: 6 }, () => undefined),
        ],
      )
      await world.catalogue.setEnabled(T, ID, '2.0.0', false)
      assert.deepEqual(
        [undefined, '2', '2.0.0', '>=1'].map((each) => chosen(world, each)),
        ['1.2.0', undefined, undefined, '1.2.0'],
      )
      assert.deepEqual(
        versionsOf([world.catalogue.resolve(T, ID, '2.0.0'), world.catalogue.resolve(T, ID, '2'), world.catalogue.resolve(T, ID)]),
        ['2.0.0', undefined, '1.2.0'],
      )
      assert.equal(world.catalogue.describe(T, ID, '1')?.version, '1.2.0')
      assert.equal(world.catalogue.describe(T, ID, '2'), null)
      assert.equal(chosen({ catalogue: await world.again() }), '1.2.0')
    }),
  )

  test(
    'of one tenant never gets what another registered',
    use(async ({ catalogue }) => {
      await catalogue.register(skill('1.0.0', {}, { tenant: 'other' }))
      assert.equal(catalogue.choose(T, ID, undefined, 'me'), null)
      assert.equal(catalogue.find(T, ID), null)
      assert.deepEqual(
        catalogue.list(T).map(({ id }) => id),
        ['own'],
      )
      await assert.rejects(catalogue.files(T, ID, '1.0.0'), NotFoundError)
      for (const change of [catalogue.remove(T, ID, null), catalogue.setEnabled(T, ID, '1.0.0', false), catalogue.promote(T, ID, '1.0.0')])
        assert.equal(await code(change), 'SKILL_NOT_FOUND')
      assert.equal(catalogue.choose('other', ID, undefined, 'me')?.version, '1.0.0')
    }),
  )

  test(
    'gets the deprecated one only where there is no other',
    use(async (world) => {
      await register(world, '2.0.0', '1.0.0', '1.1.0')
      await world.catalogue.promote(T, ID, '1.0.0')
      await world.catalogue.deprecate(T, ID, '1.1.0', 'use 2')
      assert.deepEqual([chosen(world, '~1.1'), world.catalogue.resolve(T, ID, '1.1.0')?.deprecated], ['1.1.0', 'use 2'])
    }),
  )
})

describe("the gateway's own skills", () => {
  test(
    'are there for everybody, until a tenant has its own under the same id',
    use(async ({ catalogue, store }) => {
      const record = catalogue.choose(T, 'own', '^3', 'me')
      assert.ok(record)
      assert.equal((await catalogue.load(record)).descriptor.version, '3.1.0')
      assert.equal(catalogue.current(T).length, 1)
      await catalogue.register(skill('1.0.0', { id: 'own' }))
      assert.deepEqual(
        versionsOf([
          catalogue.choose(T, 'own', undefined, 'me'),
          catalogue.choose(T, 'own', '3', 'me'),
          catalogue.choose('other', 'own', '3', 'me'),
        ]),
        ['1.0.0', undefined, '3.1.0'],
      )
      await catalogue.remove(T, 'own', null)
      assert.equal(catalogue.choose(T, 'own', undefined, 'me')?.version, '3.1.0')
      assert.deepEqual(await store.skills.list(), [])
    }),
  )

  test(
    'are changed by nobody, and switched off in the settings alone',
    use(async (world) => {
      const { catalogue } = world
      for (const change of [
        catalogue.setEnabled(T, 'own', '3.1.0', false),
        catalogue.remove(T, 'own', null),
        catalogue.promote(T, 'own', '3.1.0'),
        catalogue.rollback(T, 'own', 3),
      ])
        assert.equal(await code(change), 'SKILL_BUNDLED')
      world.settings = {
        ...world.settings,
        entries: { own: { isEnabled: false, network: null, secrets: {}, grade: null, tenants: ['default'] } },
      }
      assert.equal(catalogue.choose(T, 'own', undefined, 'me'), null)
      assert.equal(catalogue.choose(T, 'own', '3.1.0', 'me'), null)
      assert.deepEqual([catalogue.find(T, 'own')?.current, catalogue.resolve(T, 'own', '3.1.0')?.isEnabled], [null, false])
      assert.deepEqual(catalogue.current(T), [])
    }),
  )
})

describe('removing', () => {
  test(
    'leaves what calls get where it is, unless all goes',
    use(async (world) => {
      const { catalogue } = world
      await register(world, '1.0.0', '1.1.0', '2.0.0')
      await catalogue.register(skill('1.2.0', {}, { hold: true }))
      await catalogue.canary(T, ID, '1.2.0', 100)
      assert.equal(await code(catalogue.remove(T, ID, '1.1.0')), 'SKILL_IN_USE')
      assert.equal(await code(catalogue.remove(T, ID, '1.2.0')), 'SKILL_IN_USE')
      assert.equal(await code(catalogue.remove(T, ID, '7.0.0')), 'SKILL_NOT_FOUND')
      await catalogue.remove(T, ID, '1.0.0')
      assert.equal(catalogue.find(T, ID)?.tracks.find(({ major }) => major === 1)?.previous, null)
      await catalogue.remove(T, ID, '2.0.0')
      assert.equal(chosen(world), '1.1.0')
      assert.deepEqual((await world.again()).find(T, ID), catalogue.find(T, ID))
      await catalogue.remove(T, ID, null)
      assert.equal(catalogue.find(T, ID), null)
      assert.deepEqual([await world.store.skills.list(), await world.store.skills.tracks()], [[], []])
      await register(world, '1.0.0')
      await catalogue.remove(T, ID, '1.0.0')
      assert.equal(catalogue.find(T, ID), null)
    }),
  )
})
