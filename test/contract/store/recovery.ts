/** What a dead gateway leaves behind: resumed turns, counted crashes, leases. */
import type { ClaimResult, Store } from '#contract'
import { DEFAULT_TENANT, newDeadLetterId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { StoreFeatures, UseStore } from './given.ts'
import { T, accepted, answered, balanced, claimed, claiming, finishing, session, starting, statusOf } from './given.ts'

const claim = (store: Store, peer: string, now: number): Promise<ClaimResult> =>
  store.turns.claim(claiming(session(peer).key, { now, leaseMs: 10, maxCrashes: 2, deadLetter: newDeadLetterId(now) }))

export function recoverySuite(use: UseStore, features: StoreFeatures): void {
  describe('recovery', () => {
    test(
      'resumes the unfinished turn before anything newer, in the same attempt',
      use(async ({ store, crash }) => {
        const first = await accepted(store, 'p', 'first')
        const turn = await claimed(store, 'p')
        await accepted(store, 'p', 'second')
        const later = await crash()
        const resumed = await claimed(later, 'p', { owner: 'boot-2', now: T + 60_000 })
        assert.deepEqual([resumed.id, resumed.attempt, resumed.resumed, resumed.more], [turn.id, 1, true, true])
        assert.deepEqual(
          resumed.messages.map((message) => message.envelope),
          [first.envelope],
        )
        assert.ok(resumed.fence > turn.fence)
      }),
    )

    test(
      'gives a turn up that crashed the gateway too often at the same step',
      use(async ({ store }) => {
        const given = await accepted(store, 'p', 'x')
        assert.equal((await claim(store, 'p', T)).status, 'claimed')
        assert.equal((await claim(store, 'p', T + 10)).status, 'claimed')
        const dead = await claim(store, 'p', T + 20)
        assert.equal(dead.status, 'dead')
        assert.deepEqual([dead.reason.code, dead.messages.map((message) => message.envelope)], ['TURN_CRASHED', [given.envelope]])
        assert.equal(await statusOf(store, given), 'dead')
        assert.equal((await store.deadLetters.open()).count, 1)
        assert.deepEqual(await claim(store, 'p', T + 30), { status: 'idle', dueAt: null })
        await balanced(store)
      }),
    )

    test(
      'forgets the crashes of a step that finished',
      use(async ({ store }) => {
        await accepted(store, 'p', 'x')
        for (let i = 0; i < 6; i++) {
          const turn = await claim(store, 'p', T + i * 10)
          assert.equal(turn.status, 'claimed')
          await store.turns.startStep(starting(turn.turn, `llm:${i}`))
          await store.turns.finishStep(finishing(turn.turn, `llm:${i}`))
        }
      }),
    )

    test(
      'does not wait for the leases of owners that must be dead',
      { skip: features.exclusive ? false : 'not exclusive: another owner may live' },
      use(async ({ store, crash, restart }) => {
        await accepted(store, 'p', 'x')
        await claimed(store, 'p', { leaseMs: 3_600_000 })
        const later = await crash()
        assert.equal((await later.inbox.readySessions({ now: T, after: 0, limit: 9 })).length, 1)
        assert.equal((await claimed(later, 'p', { owner: 'boot-2' })).resumed, true)
        assert.equal((await claimed(await restart(), 'p', { owner: 'boot-3' })).resumed, true)
      }),
    )

    test(
      'has everything that was acknowledged after a power cut',
      use(async ({ store, crash }) => {
        for (let i = 0; i < 10; i++) await answered(store, `p${i % 3}`, `in ${i}`, `out ${i}`)
        await accepted(store, 'p0', 'last')
        const later = await crash()
        const strip = async (from: Store): Promise<unknown> => [
          await from.inbox.list({ tenant: DEFAULT_TENANT }, null, 99),
          await from.sessions.list({ tenant: DEFAULT_TENANT }, null, 99),
          await from.sessions.messages(DEFAULT_TENANT, session('p0').key, null, 99),
          await from.inbox.repliesOfLane('web', 'lane-p1', 0, 99),
          await from.inbox.ledger(),
        ]
        assert.deepEqual(await strip(later), await strip(store))
      }),
    )
  })
}
