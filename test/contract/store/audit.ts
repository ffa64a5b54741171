/** The audit's port: entries in a chain, in the transaction of the write they tell of, and gone only under a seal. */
import { DEFAULT_TENANT, AUDIT_ROOT, newKeyId } from '#contract'
import type { AuditEntry, KeyRecord } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T } from './given.ts'

const auditEntry = (change: Partial<AuditEntry> = {}): AuditEntry => ({
  tenant: 'default',
  at: T,
  actor: { id: 'ops', credential: 'key-1', ip: '127.0.0.1' },
  action: 'keys.create',
  object: 'key-2',
  outcome: 'ok',
  requestId: 'req-1',
  traceId: null,
  detail: { body: { name: 'ci' } },
  ...change,
})

export function auditSuite(use: UseStore): void {
  describe('audit', () => {
    test(
      'keeps a chain for each tenant, in the order of writing, over a crash',
      use(async ({ store, crash }) => {
        await store.audit.append(auditEntry())
        await Promise.all([
          store.audit.append(auditEntry({ tenant: 'acme', action: 'x' })),
          store.audit.append(auditEntry({ action: 'second', actor: { id: 'eve', credential: 'key-9', ip: null } })),
        ])
        const after = await crash()
        const own = await after.audit.after('default', 0, 10)
        assert.deepEqual(
          own.map(({ seq, action, prevHash }) => [seq, action, prevHash]),
          [
            [1, 'keys.create', AUDIT_ROOT],
            [2, 'second', own[0]?.hash],
          ],
        )
        assert.deepEqual(
          { ...own[0], seq: undefined, prevHash: undefined, hash: undefined },
          {
            ...auditEntry(),
            seq: undefined,
            prevHash: undefined,
            hash: undefined,
          },
        )
        assert.deepEqual(
          (await after.audit.after('acme', 0, 10)).map(({ seq }) => seq),
          [1],
        )
        assert.deepEqual(await after.audit.after('nobody', 0, 10), [])
        assert.deepEqual(
          (await after.audit.heads()).map(({ tenant, seq }) => [tenant, seq]),
          [
            ['acme', 1],
            ['default', 2],
          ],
        )
      }),
    )

    test(
      'lists newest first, by what is asked for',
      use(async ({ store }) => {
        for (const [at, action, outcome] of [
          [T, 'a', 'ok'],
          [T + 1, 'b', 'denied'],
          [T + 2, 'a', 'failed'],
        ] as const)
          await store.audit.append(auditEntry({ at, action, outcome, object: action }))
        const list = async (filter: object, before: number | null = null): Promise<readonly number[]> =>
          (await store.audit.list({ tenant: 'default', ...filter }, before, 10)).map(({ seq }) => seq)
        assert.deepEqual(await list({}), [3, 2, 1])
        assert.deepEqual(await list({}, 3), [2, 1])
        assert.deepEqual(await list({ action: 'a' }), [3, 1])
        assert.deepEqual(await list({ outcome: 'denied' }), [2])
        assert.deepEqual(await list({ object: 'b' }), [2])
        assert.deepEqual(await list({ actor: 'nobody' }), [])
        assert.deepEqual(await list({ since: T + 1 }), [3, 2])
        assert.deepEqual(await list({ until: T + 1 }), [1])
        assert.deepEqual(await store.audit.list({ tenant: 'acme' }, null, 10), [])
      }),
    )

    test(
      'lets entries go under a seal only, and goes on from it',
      use(async ({ store, restart }) => {
        for (let i = 0; i < 3; i++) await store.audit.append(auditEntry({ at: T + i }))
        assert.deepEqual(await store.audit.outdated(T), [])
        const [old] = await store.audit.outdated(T + 2)
        assert.equal(old?.seq, 2)
        const seal = { tenant: 'default', seq: 2, hash: old?.hash ?? '', at: T + 9, signature: 'signed' }
        await assert.rejects(store.audit.seal({ ...seal, hash: 'another' }), { code: 'AUDIT_BROKEN' })
        assert.equal(await store.audit.seal(seal), 2)
        assert.deepEqual(await store.audit.sealOf('default'), seal)
        assert.equal(await store.audit.sealOf('acme'), null)
        assert.deepEqual(
          (await store.audit.after('default', 0, 10)).map(({ seq }) => seq),
          [3],
        )
        const [last] = await store.audit.outdated(T + 9)
        await store.audit.seal({ ...seal, seq: 3, hash: last?.hash ?? '' })
        const later = await restart()
        await later.audit.append(auditEntry())
        assert.deepEqual(
          (await later.audit.after('default', 0, 10)).map(({ seq, prevHash }) => [seq, prevHash]),
          [[4, last?.hash]],
        )
      }),
    )

    test(
      'shares the fate of the write that carries it',
      use(async ({ store, crash, lend }) => {
        const id = newKeyId(T)
        const key: KeyRecord = {
          id,
          tenant: DEFAULT_TENANT,
          name: 'ops',
          hash: 'ab'.repeat(32),
          scopes: [],
          roles: [],
          createdAt: T,
          createdBy: null,
          expiresAt: null,
          revokedAt: null,
          lastUsedAt: null,
          previous: null,
        }
        const first = lend(auditEntry({ object: null }))
        await store.keys.add(key)
        const second = lend(auditEntry({ action: 'again' }))
        // The same id again breaks the table's rule after the group has begun to write.
        await assert.rejects(Promise.all([store.keys.add(key), store.keys.touch(id, T)]))
        // What changes nothing carries nothing.
        const third = lend(auditEntry({ action: 'in vain' }))
        assert.equal(await store.keys.revoke(DEFAULT_TENANT, newKeyId(T), T), false)
        await store.keys.touch(id, T + 60_000)
        const after = await crash()
        assert.deepEqual(
          (await after.audit.after('default', 0, 10)).map(({ action, object }) => [action, object]),
          [['keys.create', id]],
        )
        assert.deepEqual([first.settled, second.settled, third.settled], [[true], [false], [false]])
      }),
    )
  })
}
