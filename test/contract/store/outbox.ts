/** T6 and T7. */
import type { Acceptance, ClaimedTurn, DeliveryEnd, OutboxItem, Store } from '#contract'
import { asDeliveryId, newDeadLetterId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, claimed, delivery, done, refOf } from './given.ts'

const X = { code: 'X', message: 'It failed.' }
const retry = (change: Partial<Extract<DeliveryEnd, { status: 'retry' }>> = {}): DeliveryEnd => ({
  status: 'retry',
  at: T + 100,
  failure: X,
  counted: true,
  to: null,
  plain: false,
  ...change,
})
const heads = (store: Store, now = T, limit = 9): Promise<readonly OutboxItem[]> => store.outbox.heads({ channels: ['web'], now, limit })
const texts = (items: readonly OutboxItem[]): string[] => items.map((item) => item.rendered.text)

async function head(store: Store, now = T): Promise<OutboxItem> {
  const [first] = await heads(store, now)
  assert.ok(first)
  return first
}

/** One turn with several parts. */
async function parts(store: Store, peer: string, all: readonly string[]): Promise<Acceptance & { readonly turn: ClaimedTurn }> {
  const given = await accepted(store, peer, 'x')
  const turn = await claimed(store, peer)
  await store.turns.end(refOf(turn), done({ deliveries: all.map((text, index) => delivery(turn, text, { index, of: all.length })) }), T)
  return { ...given, turn }
}

export function outboxSuite(use: UseStore): void {
  describe('outbox', () => {
    test(
      'offers of each lane the first unfinished part, oldest first, and only of the channels asked for',
      use(async ({ store }) => {
        const p = await parts(store, 'p', ['p1', 'p2'])
        await parts(store, 'q', ['q1'])
        await answered(store, 'p', 'x', 'p3')
        await answered(store, 'r', 'x', 'other', { channel: 'phone' })
        await answered(store, 's', 'x', 'collected', { status: 'sent' })
        assert.deepEqual(texts(await heads(store)), ['p1', 'q1'])
        assert.deepEqual(texts(await heads(store, T, 1)), ['p1'])
        assert.deepEqual(texts(await heads(store, T - 1)), [])
        assert.deepEqual(texts(await store.outbox.lane('web', 'lane-p', 9)), ['p1', 'p2', 'p3'])
        assert.deepEqual(texts(await store.outbox.lane('web', 'lane-p', 2)), ['p1', 'p2'])
        const first = await head(store)
        assert.deepEqual(
          { ...first, id: '', seq: 0 },
          {
            id: '',
            seq: 0,
            messageId: p.envelope.id,
            channel: 'web',
            lane: 'lane-p',
            to: { chat: 'p' },
            rendered: { text: 'p1' },
            index: 0,
            of: 2,
            attempt: 0,
            status: 'pending',
            dueAt: T,
            createdAt: T,
          },
        )
      }),
    )

    test(
      'shows over a crash that a part was being sent, and counts its attempts',
      use(async ({ store, crash }) => {
        await parts(store, 'p', ['p1'])
        const { id } = await head(store)
        assert.equal(await store.outbox.sending(id, T), 1)
        const later = await crash()
        assert.deepEqual([(await head(later)).status, (await head(later)).attempt], ['sending', 1])
        assert.equal(await later.outbox.sending(id, T), 2)
        await later.outbox.finish(id, { status: 'sent', platformId: 'm-1' }, T)
        assert.deepEqual(await heads(later), [])
      }),
    )

    test(
      'goes on with the lane once a part is sent, given up or of unknown fate',
      use(async ({ store }) => {
        await parts(store, 'p', ['1', '2', '3', '4'])
        const ends: DeliveryEnd[] = [
          { status: 'sent', platformId: null },
          { status: 'dead', failure: X, deadLetter: newDeadLetterId(T) },
          { status: 'unknown', failure: X, deadLetter: newDeadLetterId(T) },
        ]
        for (const end of ends) {
          const { id } = await head(store)
          await store.outbox.sending(id, T)
          await store.outbox.finish(id, end, T)
        }
        assert.deepEqual(texts(await heads(store)), ['4'])
        assert.deepEqual(await store.outbox.counts(), { pending: 1, sending: 0, sent: 1, unknown: 1, dead: 1 })
        const replies = await store.inbox.repliesOfLane('web', 'lane-p', 0, 9)
        assert.deepEqual(
          replies.map((reply) => [reply.status, reply.attempts, reply.error]),
          [
            ['sent', 1, null],
            ['dead', 1, X],
            ['unknown', 1, X],
            ['pending', 0, null],
          ],
        )
      }),
    )

    test(
      'keeps a letter of a delivery with its whole part',
      use(async ({ store }) => {
        const { envelope, turn } = await parts(store, 'p', ['1'])
        const { id } = await head(store)
        await store.outbox.sending(id, T)
        const deadLetter = newDeadLetterId(T)
        await store.outbox.finish(id, { status: 'dead', failure: X, deadLetter }, T + 5)
        const letter = await store.deadLetters.get(deadLetter)
        assert.deepEqual(
          { ...letter, seq: 0 },
          {
            id: deadLetter,
            seq: 0,
            kind: 'delivery',
            ref: id,
            status: 'open',
            channel: 'web',
            session: turn.session,
            reason: X,
            attempts: 1,
            createdAt: T + 5,
            settledAt: null,
            content: { id, message_id: envelope.id, lane: 'lane-p', to: { chat: 'p' }, rendered: { text: '1' }, index: 0, of: 1 },
          },
        )
      }),
    )

    test(
      'holds the whole lane until a failed part is due again, and counts only what was an attempt',
      use(async ({ store }) => {
        await parts(store, 'p', ['1', '2'])
        const { id } = await head(store)
        await store.outbox.sending(id, T)
        await store.outbox.finish(id, retry(), T)
        assert.deepEqual(texts(await heads(store, T + 99)), [])
        assert.equal(await store.outbox.nextDue(['web'], T), T + 100)
        assert.equal(await store.outbox.nextDue(['phone'], T), null)
        assert.equal(await store.outbox.nextDue(['web'], T + 100), null)
        assert.equal(await store.outbox.sending(id, T), 2)
        await store.outbox.finish(id, retry({ counted: false, at: T + 200 }), T)
        assert.equal((await head(store, T + 200)).attempt, 1)
        const [reply] = await store.inbox.repliesOfLane('web', 'lane-p', 0, 1)
        assert.deepEqual([reply?.status, reply?.error], ['pending', X])
      }),
    )

    test(
      'goes to the new address and in the plain form once that is asked for',
      use(async ({ store }) => {
        await accepted(store, 'p', 'x')
        const turn = await claimed(store, 'p')
        const rich = delivery(turn, '*bold*', { rendered: { text: '*bold*', plain: 'bold', extra: { mode: 'md' } } })
        await store.turns.end(refOf(turn), done({ deliveries: [rich] }), T)
        await store.outbox.sending(rich.id, T)
        await store.outbox.finish(rich.id, retry({ to: { chat: 'moved' }, plain: true }), T)
        const item = await head(store, T + 100)
        assert.deepEqual([item.to, item.rendered], [{ chat: 'moved' }, { text: 'bold', extra: { mode: 'md' } }])
      }),
    )

    test(
      'refuses to send or finish what is finished',
      use(async ({ store }) => {
        await parts(store, 'p', ['1'])
        const { id } = await head(store)
        await store.outbox.finish(id, { status: 'sent', platformId: null }, T)
        const over = { name: 'ConflictError', code: 'DELIVERY_OVER' }
        await assert.rejects(store.outbox.sending(id, T), over)
        await assert.rejects(store.outbox.finish(id, retry(), T), over)
        await assert.rejects(store.outbox.sending(asDeliveryId('dlv-none'), T), over)
      }),
    )
  })
}
