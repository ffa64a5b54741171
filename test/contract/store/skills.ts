/** Registered skills: immutable versions, shared bundles, tracks. */
import type { SkillRecord, SkillTrack } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T } from './given.ts'

const record = (version: string, change: Partial<SkillRecord> = {}): SkillRecord => ({
  tenant: 'acme',
  id: 'enrich',
  version,
  digest: `sha256-${version}`,
  descriptor: { id: 'enrich', version, inputs: {}, note: 'naïve ☂ \u0000' },
  isEnabled: true,
  deprecated: null,
  signature: 'h..s',
  createdAt: T,
  createdBy: 'ops',
  ...change,
})

const track = (stable: string, change: Partial<SkillTrack> = {}): SkillTrack => ({
  tenant: 'acme',
  id: 'enrich',
  major: 1,
  stable,
  previous: null,
  canary: null,
  weight: 0,
  note: null,
  updatedAt: T,
  ...change,
})

const bytes = (text: string): Uint8Array => new Uint8Array([0, 255, ...new TextEncoder().encode(text)])

export function skillSuite(use: UseStore): void {
  describe('skills', () => {
    test(
      'keeps versions, bundles and tracks over a crash',
      use(async ({ store, crash }) => {
        const [one, two] = [record('1.0.0'), record('1.1.0', { tenant: 'other', signature: null, createdAt: T + 1 })]
        assert.equal(await store.skills.add(one, bytes('one'), track('1.0.0')), 'added')
        assert.equal(await store.skills.add(two, bytes('two'), null), 'added')
        await store.skills.setTrack(track('1.0.0', { canary: '1.1.0', weight: 500, previous: '0.9.0', note: 'why', updatedAt: T + 2 }))
        assert.equal(await store.skills.change(one, { isEnabled: false, deprecated: 'use two' }), true)
        assert.equal(await store.skills.change(two, { deprecated: 'x' }), true)
        assert.equal(await store.skills.change(two, { deprecated: null, signature: 'h2..s2' }), true)
        const later = await crash()
        assert.deepEqual(await later.skills.list(), [
          { ...one, isEnabled: false, deprecated: 'use two' },
          { ...two, signature: 'h2..s2' },
        ])
        assert.deepEqual(await later.skills.tracks(), [
          track('1.0.0', { canary: '1.1.0', weight: 500, previous: '0.9.0', note: 'why', updatedAt: T + 2 }),
        ])
        assert.deepEqual(await later.skills.bundle('sha256-1.0.0'), bytes('one'))
        assert.equal(await later.skills.bundle('sha256-none'), null)
      }),
    )

    test(
      'gives a version one content for ever',
      use(async ({ store }) => {
        assert.equal(await store.skills.add(record('1.0.0'), bytes('one'), track('1.0.0')), 'added')
        assert.equal(await store.skills.add(record('1.0.0', { createdBy: 'eve' }), bytes('one'), track('2.0.0')), 'same')
        assert.equal(await store.skills.add(record('1.0.0', { digest: 'sha256-b' }), bytes('two'), track('2.0.0')), 'taken')
        assert.deepEqual(await store.skills.list(), [record('1.0.0')])
        assert.deepEqual(await store.skills.tracks(), [track('1.0.0')])
        assert.equal(await store.skills.bundle('sha256-b'), null)
        const both = await Promise.all(
          ['a', 'b'].map((name) => store.skills.add(record('1.2.0', { digest: name }), bytes(name), track('1.2.0'))),
        )
        assert.deepEqual(both, ['added', 'taken'])
      }),
    )

    test(
      'keeps a bundle as long as one version has it',
      use(async ({ store }) => {
        const shared = { digest: 'sha256-shared' }
        await store.skills.add(record('1.0.0', shared), bytes('shared'), track('1.0.0', { previous: '0.9.0' }))
        await store.skills.add(record('1.0.0', { ...shared, tenant: 'other' }), bytes('shared'), track('1.0.0', { tenant: 'other' }))
        await store.skills.add(record('0.9.0'), bytes('old'), null)
        const gone = { tenant: 'acme', id: 'enrich', version: null }
        assert.equal(await store.skills.remove({ ...gone, version: '0.9.0' }), true)
        assert.equal(await store.skills.remove({ ...gone, version: '0.9.0' }), false)
        assert.equal(await store.skills.bundle('sha256-0.9.0'), null)
        assert.deepEqual(await store.skills.tracks(), [track('1.0.0'), track('1.0.0', { tenant: 'other' })])
        await store.skills.add(record('2.0.0'), bytes('two'), track('2.0.0', { major: 2 }))
        assert.equal(await store.skills.remove({ ...gone, version: '2.0.0' }), true)
        assert.equal((await store.skills.tracks()).length, 2)
        assert.equal(await store.skills.remove(gone), true)
        assert.equal(await store.skills.remove(gone), false)
        assert.deepEqual(await store.skills.bundle('sha256-shared'), bytes('shared'))
        assert.deepEqual(await store.skills.tracks(), [track('1.0.0', { tenant: 'other' })])
        assert.equal(await store.skills.remove({ ...gone, tenant: 'other' }), true)
        assert.equal(await store.skills.bundle('sha256-shared'), null)
        assert.equal(await store.skills.change({ tenant: 'acme', id: 'enrich', version: '1.0.0' }, { isEnabled: false }), false)
      }),
    )
  })
}
