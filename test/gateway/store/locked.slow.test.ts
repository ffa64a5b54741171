/** Another program holds the write lock of sessions.db. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { accepted, claiming, message, session } from '../../contract/store/given.ts'
import { eventually } from '../../support/eventually.ts'
import { withFolder } from './given.ts'

const LOCKED = { name: 'UnavailableError', code: 'STORE_LOCKED', retryable: true }

function lock(file: string): () => void {
  const other = new DatabaseSync(file, { timeout: 5_000 })
  other.exec('BEGIN IMMEDIATE')
  return () => {
    other.exec('ROLLBACK')
    other.close()
  }
}

describe('a locked store', () => {
  test(
    'acknowledges nothing, keeps nothing of what it refused, and recovers without traffic',
    withFolder(async ({ file, open }) => {
      const store = await open({ writeTimeoutMs: 200 })
      const unlock = lock(file)
      const began = performance.now()
      const refused = Array.from({ length: 5 }, (_, i) =>
        assert.rejects(store.inbox.accept(message('p', `refused ${i}`, { key: `k${i}` })), LOCKED),
      )
      await Promise.all(refused)
      // That it refuses at all, while the lock is held, shows that its patience is bounded.
      assert.ok(performance.now() - began >= 190, 'it is patient')
      const health = store.health()
      assert.deepEqual([health.ok, health.code, health.waiting], [false, 'STORE_LOCKED', 0])
      assert.match(health.detail ?? '', /Close it/)
      unlock()
      await eventually(() => store.health().ok, 'its recovery')
      assert.equal((await store.inbox.ledger()).accepted, 0)
      await accepted(store, 'p', 'kept', { key: 'k0' })
    }),
  )

  test(
    'makes those wait who have the patience, and lets them go on in order',
    withFolder(async ({ file, open }) => {
      const store = await open({ writeTimeoutMs: 100 })
      await accepted(store, 'p', 'x')
      const unlock = lock(file)
      const claim = store.turns.claim(claiming(session('p').key))
      await assert.rejects(store.inbox.accept(message('p', 'refused')), LOCKED)
      assert.deepEqual((await store.inbox.ledger()).byStatus.queued, 1, 'reading goes on')
      unlock()
      assert.equal((await claim).status, 'claimed')
      assert.equal(store.health().ok, true)
    }),
  )

  test(
    'lets nothing of a chain pass what has to be tried again',
    withFolder(async ({ file, open }) => {
      const store = await open({ writeTimeoutMs: 2_000 })
      const unlock = lock(file)
      const first = store.inbox.acceptAll([message('p', 'first')], 'chain')
      const lost = assert.rejects(first, LOCKED)
      // What follows has a second left when the patience of the first is over, and the lock goes.
      await delay(1_000)
      const second = store.inbox.acceptAll([message('p', 'second')], 'chain')
      const other = store.inbox.acceptAll([message('p', 'other')], 'other chain')
      const ends = Promise.allSettled([second, other])
      await lost
      unlock()
      const [late, apart] = await ends
      assert.equal(late?.status === 'rejected' && late.reason.code, 'STORE_OUT_OF_ORDER')
      assert.equal(apart?.status, 'fulfilled')
      assert.equal((await store.inbox.ledger()).accepted, 1)
      await store.inbox.acceptAll([message('p', 'first')], 'chain')
      await store.inbox.acceptAll([message('p', 'second')], 'chain')
      assert.equal((await store.inbox.ledger()).accepted, 3)
    }),
  )

  test(
    'can be stopped, and refuses what still waits',
    withFolder(async ({ file, open }) => {
      const store = await open({ writeTimeoutMs: 60_000 })
      const unlock = lock(file)
      const waiting = assert.rejects(store.inbox.accept(message('p', 'x')), LOCKED)
      await store.stop()
      await waiting
      unlock()
    }),
  )
})
