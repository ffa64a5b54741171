/** Keys, registered agents, kept answers, the channels' own values. */
import type { KeyRecord } from '#contract'
import { DEFAULT_TENANT, asKeyId, newAgentId, newKeyId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T } from './given.ts'

export function accessSuite(use: UseStore): void {
  describe('access', () => {
    test(
      'keeps keys, revokes them once, and remembers when they were last used',
      use(async ({ store, crash }) => {
        const key: KeyRecord = {
          id: newKeyId(T),
          tenant: DEFAULT_TENANT,
          name: 'ops',
          hash: 'ab'.repeat(32),
          scopes: ['messages:write', 'admin'],
          createdAt: T,
          expiresAt: T + 1,
          revokedAt: null,
          lastUsedAt: null,
        }
        const other = { ...key, id: newKeyId(T + 1), hash: 'cd'.repeat(32), scopes: [], createdAt: T + 1, expiresAt: null }
        await store.keys.add(key)
        await store.keys.add(other)
        await store.keys.touch(key.id, T + 60_000)
        await store.keys.touch(key.id, T)
        assert.equal(await store.keys.revoke(DEFAULT_TENANT, other.id, T + 9), true)
        assert.equal(await store.keys.revoke(DEFAULT_TENANT, other.id, T + 10), false)
        assert.equal(await store.keys.revoke(DEFAULT_TENANT, asKeyId('key-none'), T), false)
        assert.deepEqual(await (await crash()).keys.list(), [
          { ...key, lastUsedAt: T + 60_000 },
          { ...other, revokedAt: T + 9 },
        ])
      }),
    )

    test(
      'keeps the id of an agent that is registered again under its name',
      use(async ({ store }) => {
        const agent = {
          id: newAgentId(T),
          tenant: DEFAULT_TENANT,
          name: 'helper',
          declaration: { version: '1.0.0', capabilities: ['chat'] },
          createdAt: T,
        }
        assert.deepEqual(await store.agents.put(agent), agent)
        const changed = { ...agent, declaration: { version: '2.0.0' } }
        assert.deepEqual(await store.agents.put({ ...changed, id: newAgentId(T + 1), createdAt: T + 1 }), changed)
        assert.deepEqual(await store.agents.list(), [changed])
      }),
    )

    test(
      'gives a key of a request to one caller, and its answer to all later ones until it runs out',
      use(async ({ store }) => {
        const begin = (now = T, fingerprint = 'f'): ReturnType<typeof store.idempotency.begin> =>
          store.idempotency.begin('k', fingerprint, now, now + 1_000)
        const all = await Promise.all(Array.from({ length: 5 }, () => begin()))
        assert.equal(all.filter((result) => result === null).length, 1)
        assert.deepEqual(await begin(T, 'g'), { fingerprint: 'f', answer: null, expiresAt: T + 1_000 })
        await store.idempotency.finish('k', { status: 200 })
        assert.deepEqual(await begin(), { fingerprint: 'f', answer: { status: 200 }, expiresAt: T + 1_000 })
        await store.idempotency.abandon('k')
        assert.deepEqual((await begin())?.answer, { status: 200 }, 'an answer that was given stays')
        assert.equal(await begin(T + 1_000), null)
        await store.idempotency.abandon('k')
        assert.equal(await begin(T + 1_000), null)
      }),
    )

    test(
      'keeps bytes of channels apart and exactly',
      use(async ({ store, crash }) => {
        const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
        await store.channelState.write('a', { x: bytes, y: new Uint8Array(0), z: Uint8Array.of(1) })
        await store.channelState.write('b', { x: Uint8Array.of(2) })
        await store.channelState.write('a', { z: null, ['__proto__']: Uint8Array.of(3) })
        const later = await crash()
        assert.deepEqual(await later.channelState.keys('a'), ['__proto__', 'x', 'y'])
        assert.deepEqual(await later.channelState.keys('none'), [])
        assert.deepEqual(await later.channelState.read('a', 'x'), bytes)
        assert.deepEqual(await later.channelState.read('a', 'y'), new Uint8Array(0))
        assert.equal(await later.channelState.read('a', 'z'), null)
        assert.deepEqual(await later.channelState.read('a', '__proto__'), Uint8Array.of(3))
        assert.deepEqual(await later.channelState.read('b', 'x'), Uint8Array.of(2))
      }),
    )
  })
}
