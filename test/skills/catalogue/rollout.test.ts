/** Canaries: who gets one, and when it is taken back. */
import type { SkillErrorCode, SkillOutcome, SkillRecord, SkillTrack } from '#contract'
import { ConflictError } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bucketOf } from '../../../skills/catalogue/rollout.ts'
import { skill, T, use } from './given.ts'
import type { World } from './given.ts'

const ID = 'profile-enricher'
const OK: SkillOutcome = { status: 'ok', output: {} }
const failed = (code: SkillErrorCode): SkillOutcome => ({ status: 'error', code, message: '' })

const track = ({ catalogue }: Pick<World, 'catalogue'>, major = 1): SkillTrack | undefined =>
  catalogue.find(T, ID)?.tracks.find((each) => each.major === major)

/** 1.0.0 is stable, 1.1.0 its canary with half of the calls. */
async function withCanary(world: World): Promise<{ readonly stable: SkillRecord; readonly canary: SkillRecord }> {
  const stable = await world.catalogue.register(skill('1.0.0'))
  const canary = await world.catalogue.register(skill('1.1.0', {}, { hold: true }))
  await world.catalogue.canary(T, ID, '1.1.0', 5_000)
  world.events.length = 0
  return { stable, canary }
}

function observe(
  { catalogue }: World,
  record: SkillRecord,
  outcomes: readonly (readonly [times: number, outcome: SkillOutcome, ms: number])[],
): void {
  for (const [times, outcome, ms] of outcomes) for (let i = 0; i < times; i++) catalogue.observe(record, outcome, ms)
}

const isRefused = (error: unknown): boolean => error instanceof ConflictError && error.code === 'SKILL_ROLLOUT_REFUSED'

describe('a newer version', () => {
  test(
    'is stable at once, unless it is held, a prerelease, older, or a canary is out',
    use(async (world) => {
      const { catalogue } = world
      await catalogue.register(skill('1.1.0'))
      await catalogue.register(skill('1.2.0'))
      assert.deepEqual([track(world)?.stable, track(world)?.previous], ['1.2.0', '1.1.0'])
      for (const version of ['1.0.0', '1.9.0-rc.1']) await catalogue.register(skill(version))
      await catalogue.register(skill('1.3.0', {}, { hold: true }))
      assert.equal(track(world)?.stable, '1.2.0')
      assert.equal(catalogue.choose(T, ID, '^1', 'me')?.version, '1.2.0')
      await catalogue.canary(T, ID, '1.3.0', 1)
      await catalogue.register(skill('1.4.0'))
      assert.deepEqual([track(world)?.stable, track(world)?.canary], ['1.2.0', '1.3.0'])
      await catalogue.promote(T, ID, '1.4.0')
      assert.deepEqual([track(world)?.stable, track(world)?.canary, track(world)?.previous], ['1.4.0', null, '1.2.0'])
      assert.deepEqual(track({ catalogue: await world.again() }), track(world))
    }),
  )

  test(
    'can be taken back, once, to the one before',
    use(async (world) => {
      const { catalogue } = world
      await catalogue.register(skill('1.0.0'))
      await assert.rejects(catalogue.rollback(T, ID, 1), isRefused)
      await catalogue.register(skill('1.1.0'))
      const back = await catalogue.rollback(T, ID, 1)
      assert.deepEqual([back.stable, back.previous, back.note], ['1.0.0', null, '1.1.0 was rolled back: by hand'])
      await assert.rejects(catalogue.rollback(T, ID, 1), isRefused)
      await assert.rejects(catalogue.rollback(T, ID, 2), { code: 'SKILL_NOT_FOUND' })
    }),
  )
})

describe('a canary', () => {
  test(
    'gets its share of the callers, and each keeps to the same side',
    use(async (world) => {
      const { catalogue } = world
      await withCanary(world)
      await catalogue.canary(T, ID, '1.1.0', 2_000)
      const versions = Array.from({ length: 5_000 }, (_, i) => catalogue.choose(T, ID, undefined, `session-${i}`)?.version)
      const share = versions.filter((version) => version === '1.1.0').length / versions.length
      assert.ok(Math.abs(share - 0.2) < 0.03, `${share}`)
      const later = await world.again()
      for (let i = 0; i < 200; i++) assert.equal(later.choose(T, ID, '1', `session-${i}`)?.version, versions[i])
      await catalogue.canary(T, ID, '1.1.0', 4_000)
      for (const [i, version] of versions.entries())
        if (version === '1.1.0') assert.equal(catalogue.choose(T, ID, undefined, `session-${i}`)?.version, '1.1.0')
      assert.equal(catalogue.choose(T, ID, '1.0.0', 'session-1')?.version, '1.0.0')
      assert.equal(catalogue.resolve(T, ID)?.version, '1.0.0')
      assert.equal(catalogue.describe(T, ID, '1')?.version, '1.0.0')
    }),
  )

  test('has buckets that other skills and tenants do not share', () => {
    const all = [bucketOf('a', 'x', 's'), bucketOf('b', 'x', 's'), bucketOf('a', 'y', 's'), bucketOf('a', 'x', 't')]
    assert.equal(new Set(all).size, 4)
    assert.ok(all.every((bucket) => bucket >= 0 && bucket < 10_000))
  })

  test(
    'is ended by weight 0, by switching it off, or whole by promotion',
    use(async (world) => {
      const { catalogue } = world
      await withCanary(world)
      await catalogue.canary(T, ID, '1.1.0', 10_000)
      assert.equal(catalogue.choose(T, ID, undefined, 'me')?.version, '1.1.0')
      assert.equal(catalogue.choose(T, ID, '~1.0', 'me')?.version, '1.0.0')
      await catalogue.setEnabled(T, ID, '1.1.0', false)
      assert.equal(catalogue.choose(T, ID, undefined, 'me')?.version, '1.0.0')
      await assert.rejects(catalogue.promote(T, ID, '1.1.0'), isRefused)
      await assert.rejects(catalogue.canary(T, ID, '1.0.0', 5), isRefused)
      await catalogue.setEnabled(T, ID, '1.1.0', true)
      assert.equal((await catalogue.canary(T, ID, '1.1.0', 0)).canary, null)
      assert.equal((await catalogue.promote(T, ID, '1.1.0')).stable, '1.1.0')
      await catalogue.register(skill('2.0.0', {}, { hold: true }))
      await assert.rejects(catalogue.canary(T, ID, '2.0.0', 5), isRefused)
    }),
  )
})

describe('a canary is taken back by itself', () => {
  test(
    'when more of its calls fail, and says why',
    use(async (world) => {
      const { stable, canary } = await withCanary(world)
      observe(world, stable, [
        [98, OK, 10],
        [2, failed('crashed'), 10],
      ])
      observe(world, canary, [
        [46, OK, 10],
        [3, failed('crashed'), 10],
      ])
      await world.catalogue.stop()
      assert.equal(track(world)?.canary, '1.1.0', 'fewer than 50 say nothing')
      observe(world, canary, [[1, failed('timeout'), 10]])
      await world.catalogue.stop()
      assert.deepEqual([track(world)?.stable, track(world)?.canary, track(world)?.weight], ['1.0.0', null, 0])
      assert.equal(track(world)?.note, "1.1.0 was rolled back: 8 % of its last 50 calls failed, 2 % of the stable version's 100")
      assert.deepEqual(
        world.events.map(({ name, data }) => [name, data['version'], data['stable']]),
        [['skill.rolled_back', '1.1.0', '1.0.0']],
      )
      assert.deepEqual(track({ catalogue: await world.again() }), track(world))
      assert.equal(world.catalogue.choose(T, ID, '^1.0', 'session-1')?.version, '1.0.0')
    }),
  )

  test(
    'when it is more than twice as slow',
    use(async (world) => {
      const { stable, canary } = await withCanary(world)
      observe(world, stable, [[60, OK, 40]])
      observe(world, canary, [
        [57, OK, 30],
        [3, OK, 90],
      ])
      await world.catalogue.stop()
      assert.equal(track(world)?.canary, '1.1.0', 'one in twenty is not more than one in twenty')
      observe(world, canary, [[2, OK, 90]])
      await world.catalogue.stop()
      assert.equal(track(world)?.canary, null)
      assert.match(track(world)?.note ?? '', /more than 90 ms, of the stable version 40 ms/)
    }),
  )

  test(
    'but not for what the stable one does as well, nor for what is not its fault, nor for what is long over',
    use(async (world) => {
      const { stable, canary } = await withCanary(world)
      observe(world, stable, [[100, failed('crashed'), 10]])
      observe(world, canary, [[100, failed('crashed'), 10]])
      await world.catalogue.promote(T, ID, '1.0.0')
      await world.catalogue.canary(T, ID, '1.1.0', 0)
      await world.catalogue.register(skill('1.2.0', {}, { hold: true }))
      await world.catalogue.canary(T, ID, '1.2.0', 10)
      const next = world.catalogue.resolve(T, ID, '1.2.0')
      assert.ok(next)
      for (const code of ['invalid_input', 'cancelled', 'unavailable', 'busy', 'refused', 'not_found', 'unknown', 'skipped'] as const)
        observe(world, next, [[100, failed(code), 10]])
      observe(world, next, [[49, failed('crashed'), 10]])
      world.clock.advance(11 * 60_000)
      observe(world, next, [
        [49, OK, 10],
        [1, failed('crashed'), 10],
      ])
      observe(world, canary, [[100, failed('crashed'), 10]])
      await world.catalogue.stop()
      assert.equal(track(world)?.canary, '1.2.0')
    }),
  )
})
