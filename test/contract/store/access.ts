/** Keys, registered agents, kept answers, the channels' own values. */
import type { KeyRecord, RevocationRecord, RoleRecord } from '#contract'
import { DEFAULT_TENANT, asKeyId, newAgentId, newKeyId, newRevocationId } from '#contract'
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
          roles: ['viewer'],
          createdAt: T,
          createdBy: 'admin',
          expiresAt: T + 1,
          revokedAt: null,
          lastUsedAt: null,
          previous: null,
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
      'gives a key another secret and remembers the one before as long as it is told to, until the key is revoked',
      use(async ({ store, crash }) => {
        const key: KeyRecord = {
          id: newKeyId(T),
          tenant: DEFAULT_TENANT,
          name: 'ops',
          hash: 'ab'.repeat(32),
          scopes: [],
          roles: ['viewer', 'ops'],
          createdAt: T,
          createdBy: null,
          expiresAt: null,
          revokedAt: null,
          lastUsedAt: null,
          previous: null,
        }
        await store.keys.add(key)
        assert.equal(await store.keys.rotate(key.id, 'cd'.repeat(32), T + 60_000), true)
        const previous = { hash: key.hash, until: T + 60_000 }
        assert.deepEqual(await store.keys.list(), [{ ...key, hash: 'cd'.repeat(32), previous }])
        assert.equal(await store.keys.rotate(key.id, 'ef'.repeat(32), null), true)
        assert.equal(await store.keys.rotate(asKeyId('key-none'), '01'.repeat(32), null), false)
        await store.keys.revoke(DEFAULT_TENANT, key.id, T)
        assert.equal(await store.keys.rotate(key.id, '01'.repeat(32), null), false)
        assert.deepEqual(await (await crash()).keys.list(), [{ ...key, hash: 'ef'.repeat(32), revokedAt: T }])
      }),
    )

    test(
      'keeps roles, one of a name in each tenant',
      use(async ({ store, crash }) => {
        const role: RoleRecord = { tenant: 'a', name: 'ops', permissions: ['agents:read'], createdAt: T, createdBy: 'x' }
        const other = { ...role, tenant: 'b', permissions: ['*'] }
        assert.equal(await store.roles.add(role), true)
        assert.equal(await store.roles.add({ ...role, permissions: ['*'] }), false)
        assert.equal(await store.roles.add(other), true)
        assert.deepEqual(await (await crash()).roles.list(), [role, other])
      }),
    )

    test(
      'changes a role of its tenant alone, and only as it was seen',
      use(async ({ store, crash }) => {
        const role: RoleRecord = { tenant: 'a', name: 'ops', permissions: ['agents:read'], createdAt: T, createdBy: 'x' }
        const other = { ...role, tenant: 'b' }
        await store.roles.add(role)
        await store.roles.add(other)
        const to = ['logs:read', 'audit:read']
        assert.equal(await store.roles.change('a', 'ops', { from: ['*'], to }), false)
        assert.equal(await store.roles.change('a', 'none', { from: ['agents:read'], to }), false)
        assert.equal(await store.roles.change('a', 'ops', { from: ['agents:read'], to }), true)
        assert.equal(await store.roles.change('a', 'ops', { from: ['agents:read'], to: ['*'] }), false)
        assert.deepEqual(await (await crash()).roles.list(), [{ ...role, permissions: to }, other])
      }),
    )

    test(
      'removes a role of its tenant alone',
      use(async ({ store }) => {
        const role: RoleRecord = { tenant: 'a', name: 'ops', permissions: ['agents:read'], createdAt: T, createdBy: 'x' }
        await store.roles.add(role)
        assert.equal(await store.roles.remove('b', 'ops'), false)
        assert.equal(await store.roles.remove('a', 'ops'), true)
        assert.equal(await store.roles.remove('a', 'ops'), false)
        assert.deepEqual(await store.roles.list(), [])
      }),
    )

    test(
      'keeps what was called back until it has run out',
      use(async ({ store, crash }) => {
        const one: RevocationRecord = {
          id: newRevocationId(T),
          tenant: 'a',
          issuer: 'https://id.example',
          of: { is: 'token', jti: 't1' },
          createdAt: T,
          createdBy: 'x',
          expiresAt: T + 10,
        }
        const all: RevocationRecord = {
          ...one,
          id: newRevocationId(T + 1),
          of: { is: 'subject', subject: 'alice', notBefore: T },
          createdAt: T + 1,
          expiresAt: T + 20,
        }
        await store.revocations.add(one, T)
        await store.revocations.add(all, T + 1)
        const later = await crash()
        assert.deepEqual(await later.revocations.list(T), [one, all])
        assert.deepEqual(await later.revocations.list(T + 10), [all])
        await later.revocations.add({ ...one, id: newRevocationId(T + 15), createdAt: T + 15, expiresAt: T + 30 }, T + 15)
        assert.equal((await later.revocations.list(T)).length, 2, 'what had run out is gone')
      }),
    )

    test(
      'keep which pages signed out for as long as their cookies would count',
      use(async ({ store, crash }) => {
        const [one, two] = [
          { id: 'one', expiresAt: T + 10 },
          { id: 'two', expiresAt: T + 20 },
        ]
        for (const each of [two, one, one]) await store.revocations.leaveSession(each, T)
        const later = await crash()
        assert.deepEqual(await later.revocations.leftSessions(T), [one, two])
        assert.deepEqual(await later.revocations.leftSessions(T + 10), [two])
        await later.revocations.leaveSession({ id: 'three', expiresAt: T + 30 }, T + 10)
        assert.deepEqual(
          (await later.revocations.leftSessions(T)).map(({ id }) => id),
          ['two', 'three'],
          'what had run out is gone',
        )
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
      'takes an agent away once, leaves those of the same name with other tenants, and gives its name a new id later',
      use(async ({ store, crash }) => {
        const agent = { id: newAgentId(T), tenant: DEFAULT_TENANT, name: 'helper', declaration: {}, createdAt: T }
        const other = { ...agent, id: newAgentId(T + 1), tenant: 'other' }
        await store.agents.put(agent)
        await store.agents.put(other)
        assert.equal(await store.agents.remove(agent.id), true)
        assert.equal(await store.agents.remove(agent.id), false)
        const later = await crash()
        assert.deepEqual(await later.agents.list(), [other])
        const again = { ...agent, id: newAgentId(T + 2), createdAt: T + 2 }
        assert.deepEqual(await later.agents.put(again), again)
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
      'frees the key of a request whose answer a crash took away, and keeps an answer that was given',
      use(async ({ store, crash }) => {
        const begin = (on: typeof store, key: string): ReturnType<typeof store.idempotency.begin> =>
          on.idempotency.begin(key, 'f', T, T + 1_000)
        for (const key of ['open', 'answered']) assert.equal(await begin(store, key), null)
        await store.idempotency.finish('answered', { status: 200 })
        const later = await crash()
        assert.equal(await begin(later, 'open'), null)
        assert.deepEqual((await begin(later, 'answered'))?.answer, { status: 200 })
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
