/** What was given up: replayed once, edited, discarded. */
import type { Acceptance, DeadLetterId, LetterMatch, Store } from '#contract'
import { DEFAULT_TENANT, asDeadLetterId, newDeadLetterId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, balanced, claimed, claiming, finishing, message, refOf, session, starting, statusOf } from './given.ts'

const X = { code: 'X', message: 'It failed.' }
const NONE = asDeadLetterId('dl-none')

/** A message whose turn was given up after a step. */
async function dead(store: Store, peer: string, text: string): Promise<Acceptance & { readonly letter: DeadLetterId }> {
  const given = await accepted(store, peer, text)
  const turn = await claimed(store, peer)
  await store.turns.startStep(starting(turn, 'llm:1'))
  await store.turns.finishStep(finishing(turn, 'llm:1', { messages: [{ role: 'assistant', text: 'half' }] }))
  const letter = newDeadLetterId(T)
  await store.turns.fail(refOf(turn), X, { deadLetter: letter }, T)
  return { ...given, letter }
}

async function deadDelivery(store: Store, peer: string): Promise<{ readonly letter: DeadLetterId }> {
  await answered(store, peer, 'x', 'reply')
  const [item] = await store.outbox.heads({ channels: ['web'], now: T, limit: 1 })
  assert.ok(item)
  await store.outbox.sending(item.id, T)
  const letter = newDeadLetterId(T)
  await store.outbox.finish(item.id, { status: 'unknown', failure: X, deadLetter: letter }, T)
  return { letter }
}

export function deadLetterSuite(use: UseStore): void {
  describe('dead letters', () => {
    test(
      'are listed with filters, and counted for health',
      use(async ({ store }) => {
        assert.deepEqual(await store.deadLetters.open(), { count: 0, oldestAt: null })
        assert.deepEqual(await store.deadLetters.census(), { open: { message: 0, delivery: 0, run: 0, webhook: 0 }, ever: 0 })
        const first = await dead(store, 'p', 'x')
        const second = await deadDelivery(store, 'q')
        const list = async (
          filter: Omit<Parameters<typeof store.deadLetters.list>[0], 'tenant'>,
          before: number | null = null,
        ): Promise<DeadLetterId[]> =>
          (await store.deadLetters.list({ tenant: DEFAULT_TENANT, ...filter }, before, 9)).map((letter) => letter.id)
        assert.deepEqual(await list({}), [second.letter, first.letter])
        assert.deepEqual(await list({}, 2), [first.letter])
        assert.deepEqual(await list({ kind: 'delivery' }), [second.letter])
        assert.deepEqual(await list({ reason: 'X', channel: 'web', status: 'open' }), [second.letter, first.letter])
        assert.deepEqual(await list({ status: 'discarded' }), [])
        assert.deepEqual(await store.deadLetters.open(), { count: 2, oldestAt: T })
        await store.deadLetters.discard(DEFAULT_TENANT, first.letter, T)
        assert.deepEqual(await store.deadLetters.census(), { open: { message: 0, delivery: 1, run: 0, webhook: 0 }, ever: 2 })
        assert.equal(await store.deadLetters.get(DEFAULT_TENANT, NONE), null)
      }),
    )

    test(
      "bring a message back once, with a fresh count and where today's routes send it",
      use(async ({ store }) => {
        // So that the letter's own number is that of another message.
        await answered(store, 'q', 'of somebody else', 'answer')
        const { letter, envelope } = await dead(store, 'p', 'x')
        const origin = await store.deadLetters.origin(DEFAULT_TENANT, letter)
        assert.deepEqual(origin, { envelope, session: session('p'), origin: null })
        const parts = session('p', 'other')
        const routed = { ...envelope, session: parts.key }
        const replay = { tenant: DEFAULT_TENANT, id: letter, now: T + 1, route: { agent: 'other', session: parts, envelope: routed } }
        assert.deepEqual(await store.deadLetters.replay({ ...replay, route: null }), { status: 'unroutable' })
        assert.deepEqual(await store.deadLetters.replay(replay), {
          status: 'replayed',
          kind: 'message',
          message: envelope.id,
          session: parts.key,
          agent: 'other',
        })
        const view = await store.inbox.get(DEFAULT_TENANT, envelope.id)
        assert.deepEqual(
          [view?.status, view?.attempts, view?.reason, view?.turn, view?.session, view?.agent, view?.doneAt],
          ['queued', 0, null, null, parts.key, 'other', null],
        )
        assert.deepEqual(await store.deadLetters.replay(replay), { status: 'settled', was: 'replayed' })
        const settled = await store.deadLetters.get(DEFAULT_TENANT, letter)
        assert.deepEqual([settled?.status, settled?.settledAt], ['replayed', T + 1])
        const result = await store.turns.claim(claiming(parts.key))
        assert.ok(result.status === 'claimed')
        assert.deepEqual([result.turn.messages[0]?.envelope, result.turn.attempt, result.turn.steps], [routed, 1, []])
        await balanced(store)
      }),
    )

    test(
      'can die again after a replay, with another letter',
      use(async ({ store }) => {
        const { letter, envelope } = await dead(store, 'p', 'x')
        await store.deadLetters.replay({
          tenant: DEFAULT_TENANT,
          id: letter,
          now: T,
          route: { agent: 'main', session: session('p'), envelope },
        })
        const turn = await claimed(store, 'p')
        assert.deepEqual([turn.history, turn.steps], [[], []])
        await store.turns.fail(refOf(turn), X, { deadLetter: newDeadLetterId(T) }, T)
        assert.deepEqual(
          (await store.deadLetters.list({ tenant: DEFAULT_TENANT }, null, 9)).map((each) => [each.ref, each.status]),
          [
            [envelope.id, 'open'],
            [envelope.id, 'replayed'],
          ],
        )
      }),
    )

    test(
      'bring a delivery back once',
      use(async ({ store }) => {
        const { letter } = await deadDelivery(store, 'p')
        assert.equal(await store.deadLetters.origin(DEFAULT_TENANT, letter), null)
        const replay = { tenant: DEFAULT_TENANT, id: letter, now: T + 1, route: null }
        assert.deepEqual(await store.deadLetters.replay(replay), { status: 'replayed', kind: 'delivery', channel: 'web' })
        const [item] = await store.outbox.heads({ channels: ['web'], now: T + 1, limit: 9 })
        assert.deepEqual([item?.attempt, item?.status, item?.dueAt], [0, 'pending', T + 1])
        assert.deepEqual(await store.deadLetters.replay(replay), { status: 'settled', was: 'replayed' })
        assert.deepEqual(await store.deadLetters.replay({ ...replay, id: NONE }), { status: 'missing' })
      }),
    )

    test(
      'are changed while open, in the letter and in what will be done',
      use(async ({ store }) => {
        const first = await dead(store, 'p', 'wrong')
        const second = await deadDelivery(store, 'q')
        assert.equal(await store.deadLetters.edit(DEFAULT_TENANT, first.letter, { text: 'right' }), true)
        assert.equal(await store.deadLetters.edit(DEFAULT_TENANT, second.letter, { text: 'better' }), true)
        assert.equal(await store.deadLetters.edit(DEFAULT_TENANT, NONE, { text: 'x' }), false)
        const changed = { ...first.envelope, payload: { text: 'right' } }
        assert.deepEqual((await store.deadLetters.get(DEFAULT_TENANT, first.letter))?.content, changed)
        assert.deepEqual((await store.deadLetters.origin(DEFAULT_TENANT, first.letter))?.envelope, changed)
        await store.deadLetters.replay({ tenant: DEFAULT_TENANT, id: second.letter, now: T, route: null })
        const [item] = await store.outbox.heads({ channels: ['web'], now: T, limit: 9 })
        assert.equal(item?.rendered.text, 'better')
        assert.equal(await store.deadLetters.edit(DEFAULT_TENANT, second.letter, { text: 'late' }), false)
      }),
    )

    test(
      'are found by kind, reason, time and id, those given up first first, and only while nobody has asked for them',
      use(async ({ store }) => {
        const first = await dead(store, 'p', 'x')
        const second = await deadDelivery(store, 'q')
        const third = await dead(store, 'r', 'x')
        const tenant = DEFAULT_TENANT
        const match = async (filter: Omit<Parameters<typeof store.deadLetters.match>[0], 'tenant'>, limit = 9): Promise<LetterMatch> =>
          store.deadLetters.match({ tenant, ...filter }, limit)
        const all = [first.letter, second.letter, third.letter]
        assert.deepEqual(await match({}), { matched: 3, ids: all })
        assert.deepEqual(await match({}, 2), { matched: 3, ids: all.slice(0, 2) })
        assert.deepEqual(await match({ kind: 'message', reason: 'X', channel: 'web' }), { matched: 2, ids: [first.letter, third.letter] })
        assert.deepEqual(await match({ since: T, until: T + 1 }), { matched: 3, ids: all })
        assert.deepEqual(await match({ since: T + 1 }), { matched: 0, ids: [] })
        assert.deepEqual(await match({ until: T }), { matched: 0, ids: [] })
        assert.deepEqual(await match({ ids: [third.letter, NONE] }), { matched: 1, ids: [third.letter] })
        assert.deepEqual(await match({ ids: [third.letter], kind: 'delivery' }), { matched: 0, ids: [] })
        assert.deepEqual(await store.deadLetters.match({ tenant: 'acme', ids: all }, 9), { matched: 0, ids: [] })
        await store.deadLetters.discard(tenant, first.letter, T)
        await store.deadLetters.plan(tenant, [second.letter], { now: T, everyMs: 0 })
        assert.deepEqual(await match({}), { matched: 1, ids: [third.letter] })
        const since = await store.deadLetters.list({ tenant, since: T, until: T + 1, status: 'open' }, null, 9)
        assert.deepEqual(
          since.map((letter) => [letter.id, letter.replayAt]),
          [
            [third.letter, null],
            [second.letter, T],
          ],
        )
        assert.deepEqual(await store.deadLetters.list({ tenant, since: T + 1 }, null, 9), [])
      }),
    )

    test(
      'are planned once, spread over time, and the plan outlasts a crash',
      use(async ({ store, crash }) => {
        const letters: DeadLetterId[] = []
        for (const peer of ['a', 'b', 'c', 'd']) letters.push((await dead(store, peer, 'x')).letter)
        const [a, b, c, d] = letters
        assert.ok(a && b && c && d)
        const tenant = DEFAULT_TENANT
        await store.deadLetters.discard(tenant, b, T)
        const planned = await store.deadLetters.plan(tenant, [a, b, NONE, c], { now: T, everyMs: 1_500 })
        assert.deepEqual(planned, [
          { tenant, id: a, at: T },
          { tenant, id: c, at: T + 1_500 },
        ])
        assert.deepEqual(await store.deadLetters.plan('acme', [d], { now: T, everyMs: 0 }), [])
        assert.deepEqual(await store.deadLetters.plan(tenant, [a, c, d], { now: T + 1, everyMs: 0 }), [{ tenant, id: d, at: T + 1 }])
        const next = await crash()
        const due = async (now: number, limit = 9): Promise<readonly [readonly DeadLetterId[], number | null]> => {
          const { letters: found, nextAt } = await next.deadLetters.planned(now, limit)
          return [found.map(({ id }) => id), nextAt]
        }
        assert.deepEqual(await due(T - 1), [[], T])
        assert.deepEqual(await due(T), [[a], T + 1])
        assert.deepEqual(await due(T + 2_000), [[a, d, c], null])
        assert.deepEqual(await due(T + 2_000, 1), [[a], null])
        await next.deadLetters.replay({
          tenant,
          id: a,
          now: T,
          route: { agent: 'main', session: session('a'), envelope: message('a', 'x').envelope },
        })
        await next.deadLetters.discard(tenant, d, T)
        assert.deepEqual(await due(T + 2_000), [[c], null])
        await next.deadLetters.unplan('acme', c)
        assert.deepEqual(await due(T + 2_000), [[c], null])
        await next.deadLetters.unplan(tenant, c)
        assert.deepEqual(await due(T + 2_000), [[], null])
        const view = await next.deadLetters.get(tenant, c)
        assert.deepEqual([view?.status, view?.replayAt], ['open', null])
        assert.equal((await next.deadLetters.get(tenant, a))?.replayAt, null)
        await balanced(next)
      }),
    )

    test(
      'are discarded for good',
      use(async ({ store }) => {
        const { letter, ...given } = await dead(store, 'p', 'x')
        assert.equal(await store.deadLetters.discard(DEFAULT_TENANT, letter, T + 1), 'discarded')
        assert.equal(await store.deadLetters.discard(DEFAULT_TENANT, letter, T + 2), 'settled')
        assert.equal(await store.deadLetters.discard(DEFAULT_TENANT, NONE, T), 'missing')
        assert.deepEqual(await store.deadLetters.replay({ tenant: DEFAULT_TENANT, id: letter, now: T, route: null }), {
          status: 'settled',
          was: 'discarded',
        })
        assert.equal(await statusOf(store, given), 'dead')
        assert.equal((await store.deadLetters.open()).count, 0)
      }),
    )
  })
}
