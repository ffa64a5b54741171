/** What retention takes away, and what it must leave. */
import { DEFAULT_TENANT, newDeadLetterId, newDeliveryId } from '#contract'
import type { DeliveryId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, balanced, claimed, done, refOf, session, statusOf } from './given.ts'

const X = { code: 'X', message: 'It failed.' }
const LATER = T + 1_000

export function retentionSuite(use: UseStore): void {
  describe('retention', () => {
    test(
      'takes what ended long ago with all that belongs to it, a few at a time',
      use(async ({ store }) => {
        const old = []
        for (let i = 0; i < 5; i++) old.push(await answered(store, 'p', `old ${i}`, 'reply', { status: 'sent' }))
        const young = await accepted(store, 'p', 'young', { acceptedAt: LATER, key: 'k' })
        await store.turns.end(refOf(await claimed(store, 'p', { now: LATER })), done(), LATER)
        assert.equal(await store.prune(LATER, 3), 3)
        assert.equal(await store.prune(LATER, 3), 2)
        assert.equal(await store.prune(LATER, 3), 0)
        for (const each of old) {
          assert.equal(await store.inbox.get(DEFAULT_TENANT, each.envelope.id), null)
          assert.deepEqual(await store.inbox.steps(each.turn.id), [])
          assert.deepEqual(await store.inbox.repliesOfTurn(each.turn.id), [])
        }
        assert.deepEqual(await store.inbox.repliesOfLane('web', 'lane-p', 0, 9), [])
        assert.equal(await statusOf(store, young), 'done')
        await balanced(store)
      }),
    )

    test(
      'leaves what is unfinished: open messages, replies still to be sent, open letters',
      use(async ({ store }) => {
        await accepted(store, 'open', 'x')
        await answered(store, 'unsent', 'x', 'reply')
        await accepted(store, 'dead', 'x', {
          dead: { id: newDeadLetterId(T), reason: X, origin: { account: 'world', peer: { kind: 'direct', id: 'p', thread: null } } },
        })
        await answered(store, 'lost', 'x', 'reply')
        const letter = newDeadLetterId(T)
        const items = await store.outbox.heads({ channels: ['web'], now: T, limit: 9 })
        const lost = items.find((item) => item.lane === 'lane-lost')
        assert.ok(lost)
        await store.outbox.finish(lost.id, { status: 'dead', failure: X, deadLetter: letter }, T)
        await answered(store, 'gone', 'x', 'reply', { status: 'sent' })
        assert.equal(await store.prune(LATER, 1), 1)
        assert.equal(await store.prune(LATER, 9), 0)
        await store.deadLetters.discard(DEFAULT_TENANT, letter, T)
        assert.equal(await store.prune(LATER, 9), 1)
        assert.equal(await store.deadLetters.get(DEFAULT_TENANT, letter), null)
        assert.equal((await store.inbox.ledger()).accepted, 3)
        assert.equal((await store.outbox.counts()).pending, 1)
      }),
    )

    test(
      'takes parts that answered no message by themselves, once they are over',
      use(async ({ store }) => {
        const post = async (): Promise<DeliveryId> => {
          const id = newDeliveryId(T)
          await store.outbox.post(
            [{ id, tenant: DEFAULT_TENANT, channel: 'web', lane: 'p', to: { chat: 'p' }, rendered: { text: 'x' }, index: 0, of: 1 }],
            T,
          )
          return id
        }
        const [sent, lost, young, waiting] = [await post(), await post(), await post(), await post()]
        const letter = newDeadLetterId(T)
        await store.outbox.finish(sent, { status: 'sent', platformId: null }, T)
        await store.outbox.finish(lost, { status: 'dead', failure: X, deadLetter: letter }, T)
        await store.outbox.finish(young, { status: 'sent', platformId: null }, LATER)
        await answered(store, 'p', 'x', 'reply', { status: 'sent' })
        assert.deepEqual([await store.prune(LATER, 1), await store.prune(LATER, 9), await store.prune(LATER, 9)], [1, 1, 0])
        await store.deadLetters.discard(DEFAULT_TENANT, letter, T)
        assert.equal(await store.prune(LATER, 9), 1)
        const left = await Promise.all(
          [sent, lost, young, waiting].map(async (id) => (await store.outbox.get(DEFAULT_TENANT, id))?.status ?? null),
        )
        assert.deepEqual(left, [null, null, 'sent', 'pending'])
        assert.equal(await store.deadLetters.get(DEFAULT_TENANT, letter), null)
      }),
    )

    test(
      'leaves the memory, and takes words that are none any more',
      use(async ({ store }) => {
        await answered(store, 'p', 'forgotten', 'FORGOTTEN', { status: 'sent' })
        await store.sessions.reset(DEFAULT_TENANT, session('p').key, T)
        await answered(store, 'p', 'remembered', 'REMEMBERED', { status: 'sent' })
        assert.equal(await store.prune(LATER, 9), 2)
        const words = await store.sessions.messages(DEFAULT_TENANT, session('p').key, null, 9)
        assert.deepEqual(
          words.map((entry) => entry.message.text),
          ['REMEMBERED', 'remembered'],
        )
        await accepted(store, 'p', 'next')
        assert.equal((await claimed(store, 'p')).history.length, 2)
      }),
    )

    test(
      'never gives a number twice, even when all is gone',
      use(async ({ store, restart }) => {
        await answered(store, 'p', 'x', 'reply', { status: 'sent' })
        assert.equal(await store.prune(LATER, 9), 1)
        const next = await answered(await restart(), 'p', 'y', 'reply')
        assert.equal(next.ended.seqs[0], 2)
      }),
    )
  })
}
