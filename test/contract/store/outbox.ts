/** T6 and T7, what platforms say afterwards, and parts that answer no message. */
import type { Acceptance, ClaimedTurn, DeadLetterId, DeliveryEnd, DeliveryNews, OutboxItem, PostedDelivery, Store } from '#contract'
import { DEFAULT_TENANT, asDeliveryId, newDeadLetterId, newDeliveryId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, claimed, delivery, done, refOf, session } from './given.ts'

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

const confirm = (change: Partial<Extract<DeliveryEnd, { status: 'confirm' }>> = {}): DeliveryEnd => ({
  status: 'confirm',
  at: T + 100,
  failure: X,
  counted: false,
  to: null,
  ...change,
})
const notice = (change: Partial<PostedDelivery> = {}): PostedDelivery => ({
  tenant: DEFAULT_TENANT,
  id: newDeliveryId(T),
  channel: 'web',
  lane: 'lane-p',
  to: { chat: 'p' },
  rendered: { text: 'notice' },
  index: 0,
  of: 1,
  ...change,
})
type Told = Awaited<ReturnType<Store['outbox']['news']>>
const tell = (store: Store, platformId: string, news: DeliveryNews, deadLetter: DeadLetterId = newDeadLetterId(T)): Promise<Told> =>
  store.outbox.news({ channel: 'web', platformId, news, deadLetter, now: T + 7 })

/** One part that was sent under this id of the platform. */
async function sent(store: Store, peer: string, platformId: string | null): Promise<OutboxItem> {
  await answered(store, peer, 'x', 'said')
  const [item] = await store.outbox.lane('web', `lane-${peer}`, 1)
  assert.ok(item)
  await store.outbox.sending(item.id, T)
  await store.outbox.finish(item.id, { status: 'sent', platformId }, T + 3)
  return item
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
            asked: 0,
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
        const letter = await store.deadLetters.get(DEFAULT_TENANT, deadLetter)
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
            replayAt: null,
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

    test(
      'keeps a part of unknown fate over a crash until its platform is asked, and counts what was asked in vain',
      use(async ({ store, crash }) => {
        await parts(store, 'p', ['1', '2'])
        const { id } = await head(store)
        await store.outbox.sending(id, T)
        await store.outbox.finish(id, confirm(), T)
        const later = await crash()
        assert.deepEqual(texts(await heads(later, T + 99)), [])
        assert.equal(await later.outbox.nextDue(['web'], T), T + 100)
        const known = await head(later, T + 100)
        assert.deepEqual([known.rendered.text, known.status, known.attempt, known.asked], ['1', 'sending', 1, 0])
        await later.outbox.finish(id, confirm({ counted: true, at: T + 200, to: { chat: 'moved' } }), T + 100)
        const asked = await head(later, T + 200)
        assert.deepEqual([asked.asked, asked.to, asked.attempt], [1, { chat: 'moved' }, 1])
        assert.equal((await later.outbox.counts()).sending, 1)
        assert.equal(await later.outbox.sending(id, T), 2)
        assert.equal((await head(later, T + 200)).asked, 0)
      }),
    )

    test(
      'shows one delivery with all that became of it',
      use(async ({ store }) => {
        const { turn, envelope } = await parts(store, 'p', ['1', '2'])
        const { id } = await head(store)
        const shared = { id, seq: 1, messageId: envelope.id, channel: 'web', lane: 'lane-p', to: { chat: 'p' }, text: '1', index: 0, of: 2 }
        const pending = { status: 'pending', attempts: 0, error: null, platformId: null, news: null, createdAt: T, dueAt: T, doneAt: null }
        assert.deepEqual(await store.outbox.get(DEFAULT_TENANT, id), { ...shared, ...pending })
        await store.outbox.sending(id, T)
        await store.outbox.finish(id, retry(), T)
        const tried = await store.outbox.get(DEFAULT_TENANT, id)
        assert.deepEqual([tried?.status, tried?.attempts, tried?.error, tried?.dueAt], ['pending', 1, X, T + 100])
        await store.outbox.sending(id, T)
        await store.outbox.finish(id, { status: 'sent', platformId: 'm-1' }, T + 9)
        const ended = { status: 'sent', attempts: 2, platformId: 'm-1', dueAt: null, doneAt: T + 9 }
        assert.deepEqual(await store.outbox.get(DEFAULT_TENANT, id), { ...shared, ...pending, ...ended })
        assert.equal(await store.outbox.get(DEFAULT_TENANT, asDeliveryId('dlv-none')), null)
        assert.equal((await store.inbox.repliesOfTurn(turn.id)).length, 2)
      }),
    )

    test(
      'takes parts that answer no message, once by the id of the first, after what the lane holds',
      use(async ({ store, crash }) => {
        const p = await parts(store, 'p', ['reply'])
        const first = notice({ of: 2 })
        const second = notice({ index: 1, of: 2, rendered: { text: 'more' } })
        assert.equal(await store.outbox.post([first, second], T + 1), true)
        assert.equal(await store.outbox.post([{ ...first, rendered: { text: 'other' } }, notice()], T + 2), false)
        assert.equal(await store.outbox.post([], T + 2), false)
        const later = await crash()
        const items = await later.outbox.lane('web', 'lane-p', 9)
        assert.deepEqual(texts(items), ['reply', 'notice', 'more'])
        assert.deepEqual(
          items.map((item) => item.messageId),
          [p.envelope.id, null, null],
        )
        const view = await later.outbox.get(DEFAULT_TENANT, first.id)
        assert.deepEqual([view?.messageId, view?.status, view?.createdAt], [null, 'pending', T + 1])
        assert.deepEqual(
          (await later.inbox.repliesOfLane('web', 'lane-p', 0, 9)).map((reply) => reply.text),
          ['reply'],
        )
      }),
    )

    test(
      'gives up and brings back a part that answers no message like any other',
      use(async ({ store }) => {
        const part = notice({ to: { chat: 'p', expiresAt: T } })
        await store.outbox.post([part], T)
        const deadLetter = newDeadLetterId(T)
        await store.outbox.finish(part.id, { status: 'dead', failure: X, deadLetter }, T)
        const letter = await store.deadLetters.get(DEFAULT_TENANT, deadLetter)
        assert.equal(letter?.session, null)
        assert.deepEqual(letter?.content, {
          id: part.id,
          message_id: null,
          lane: 'lane-p',
          to: part.to,
          rendered: { text: 'notice' },
          index: 0,
          of: 1,
        })
        assert.equal(await store.deadLetters.origin(DEFAULT_TENANT, deadLetter), null)
        assert.deepEqual(await store.deadLetters.replay({ tenant: DEFAULT_TENANT, id: deadLetter, now: T + 1, route: null }), {
          status: 'replayed',
          kind: 'delivery',
          channel: 'web',
        })
        const again = await head(store, T + 1)
        assert.deepEqual([again.id, again.attempt, again.to], [part.id, 0, { chat: 'p' }])
        assert.equal((await store.outbox.get(DEFAULT_TENANT, part.id))?.doneAt, null)
      }),
    )

    test(
      'notes news of a part that was sent, each once and none that is older',
      use(async ({ store }) => {
        const { id } = await sent(store, 'p', 'm-1')
        await sent(store, 'q', null)
        assert.equal(await tell(store, 'm-1', { state: 'delivered' }), 'noted')
        assert.equal(await tell(store, 'm-1', { state: 'delivered' }), 'repeated')
        assert.equal(await tell(store, 'm-1', { state: 'read' }), 'noted')
        assert.equal(await tell(store, 'm-1', { state: 'delivered' }), 'repeated')
        const view = await store.outbox.get(DEFAULT_TENANT, id)
        assert.deepEqual([view?.news, view?.status, view?.doneAt], ['read', 'sent', T + 3])
        assert.equal(await tell(store, 'm-2', { state: 'read' }), 'unknown')
        const elsewhere = { channel: 'phone', platformId: 'm-1', news: { state: 'read' }, deadLetter: newDeadLetterId(T), now: T } as const
        assert.equal(await store.outbox.news(elsewhere), 'unknown')
      }),
    )

    test(
      'makes a letter, once, of a part that was sent and failed after all',
      use(async ({ store }) => {
        const { id } = await sent(store, 'p', 'm-1')
        const deadLetter = newDeadLetterId(T)
        assert.equal(await tell(store, 'm-1', { state: 'failed', failure: X }, deadLetter), 'noted')
        assert.equal(await tell(store, 'm-1', { state: 'failed', failure: X }), 'repeated')
        assert.equal(await tell(store, 'm-1', { state: 'read' }), 'repeated')
        const view = await store.outbox.get(DEFAULT_TENANT, id)
        assert.deepEqual([view?.status, view?.error, view?.news, view?.doneAt], ['dead', X, 'failed', T + 7])
        const letters = await store.deadLetters.list({ tenant: DEFAULT_TENANT }, null, 9)
        assert.deepEqual(
          letters.map((letter) => [letter.id, letter.ref, letter.reason, letter.attempts]),
          [[deadLetter, id, X, 1]],
        )
        assert.equal((await store.deadLetters.get(DEFAULT_TENANT, deadLetter))?.session, session('p').key)
      }),
    )

    test(
      'takes news of a former life of a part for old until it is sent again, and then anew',
      use(async ({ store }) => {
        const { id } = await sent(store, 'p', 'm-1')
        const deadLetter = newDeadLetterId(T)
        await tell(store, 'm-1', { state: 'failed', failure: X }, deadLetter)
        await store.deadLetters.replay({ tenant: DEFAULT_TENANT, id: deadLetter, now: T, route: null })
        assert.equal(await tell(store, 'm-1', { state: 'failed', failure: X }), 'repeated')
        await store.outbox.sending(id, T)
        assert.equal(await tell(store, 'm-1', { state: 'failed', failure: X }), 'unknown')
        await store.outbox.finish(id, { status: 'sent', platformId: 'm-1' }, T)
        assert.equal((await store.outbox.get(DEFAULT_TENANT, id))?.news, null)
        assert.equal(await tell(store, 'm-1', { state: 'failed', failure: X }), 'noted')
      }),
    )
  })
}
