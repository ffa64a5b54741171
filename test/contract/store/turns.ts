/** T1 and the ways a turn ends: claims, leases, fences, queue modes, retries. */
import type { ClaimResult } from '#contract'
import { DEFAULT_TENANT, newDeadLetterId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import {
  T,
  accepted,
  answered,
  balanced,
  claimed,
  claiming,
  delivery,
  done,
  finishing,
  idleUntil,
  refOf,
  session,
  starting,
  statusOf,
} from './given.ts'

const X = { code: 'X', message: 'It failed.' }
const FENCED = { name: 'FencedError', code: 'TURN_FENCED' }

export function turnSuite(use: UseStore): void {
  describe('turns', () => {
    test(
      'gives the oldest message to one owner, with what came before',
      use(async ({ store }) => {
        await answered(store, 'p', 'first', 'FIRST')
        const second = await accepted(store, 'p', 'second')
        await accepted(store, 'p', 'third')
        const turn = await claimed(store, 'p', { now: T + 7 })
        assert.deepEqual(
          { ...turn, id: '', fence: 0 },
          {
            id: '',
            session: session('p').key,
            fence: 0,
            attempt: 1,
            startedAt: T + 7,
            resumed: false,
            messages: [{ envelope: second.envelope, lane: 'lane-p', reply: { chat: 'p' } }],
            history: [
              { role: 'user', text: 'first', sender: 'p' },
              { role: 'assistant', text: 'FIRST' },
            ],
            steps: [],
            begun: null,
            more: true,
          },
        )
        const view = await store.inbox.get(DEFAULT_TENANT, second.envelope.id)
        assert.deepEqual([view?.status, view?.attempts, view?.turn], ['running', 1, turn.id])
        assert.equal(await idleUntil(store, 'p', { now: T + 8 }), T + 7 + 30_000)
        assert.equal(await idleUntil(store, 'p', { now: T + 8, owner: 'boot-2' }), T + 7 + 30_000)
      }),
    )

    test(
      'writes the intent of the first step with the claim, which is finished without being started, and begun again after a crash',
      use(async ({ store }) => {
        await accepted(store, 'p', 'first')
        const turn = await claimed(store, 'p', { firstStep: 'llm:1', now: T + 3, leaseMs: 10 })
        assert.equal(turn.begun, 'llm:1')
        const [intent] = await store.inbox.steps(turn.id)
        assert.deepEqual(
          [intent?.key, intent?.kind, intent?.status, intent?.attempts, intent?.startedAt],
          ['llm:1', 'llm', 'started', 1, T + 3],
        )
        const again = await claimed(store, 'p', { firstStep: 'llm:1', now: T + 20, owner: 'boot-2' })
        assert.deepEqual([again.begun, again.steps.map((step) => step.status)], [null, ['started']])
        assert.deepEqual(await store.turns.startStep(starting(again, 'llm:1')), { status: 'started', attempt: 2, joined: [] })
        await store.turns.finishStep(finishing(again, 'llm:1', { requestHash: 'abc', end: done() }))
        assert.equal((await store.inbox.steps(turn.id))[0]?.status, 'done')
      }),
    )

    test(
      'drops the intent of a first step that was not needed, and keeps it where the turn was cut short',
      use(async ({ store }) => {
        for (const [peer, reason, left] of [
          ['p', null, 0],
          ['q', X, 1],
        ] as const) {
          await accepted(store, peer, '/help')
          const turn = await claimed(store, peer, { firstStep: 'llm:1' })
          await store.turns.end(refOf(turn), done({ reason }), T)
          assert.equal((await store.inbox.steps(turn.id)).length, left)
        }
      }),
    )

    test(
      'lets only one of many claims at once have the session',
      use(async ({ store }) => {
        await accepted(store, 'p', 'x')
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, i) => store.turns.claim(claiming(session('p').key, { owner: `o${i}` }))),
        )
        assert.equal(results.filter((result: ClaimResult) => result.status === 'claimed').length, 1)
      }),
    )

    test(
      'has nothing to do in a session without messages or unknown',
      use(async ({ store }) => {
        assert.equal(await idleUntil(store, 'nobody'), null)
        await answered(store, 'p', 'x', 'y')
        assert.equal(await idleUntil(store, 'p'), null)
      }),
    )

    test(
      'collects up to the cap, and takes one at a time in every other mode',
      use(async ({ store }) => {
        for (const text of ['1', '2', '3', '4']) await accepted(store, 'p', text)
        const collect = await claimed(store, 'p', { queue: { mode: 'collect', cap: 3, debounceMs: 0 } })
        assert.deepEqual([collect.messages.length, collect.more], [3, true])
        await store.turns.end(refOf(collect), done(), T)
        for (const mode of ['followup', 'steer', 'interrupt'] as const) {
          await accepted(store, mode, '1')
          await accepted(store, mode, '2')
          const turn = await claimed(store, mode, { queue: { mode, cap: 3, debounceMs: 0 } })
          assert.deepEqual([turn.messages.length, turn.more], [1, true])
        }
        assert.deepEqual((await store.inbox.ledger()).byStatus.done, 3)
      }),
    )

    test(
      'waits until the session has been quiet for the debounce',
      use(async ({ store }) => {
        const queue = { mode: 'collect', cap: 9, debounceMs: 100 } as const
        await accepted(store, 'p', '1', { acceptedAt: T })
        await accepted(store, 'p', '2', { acceptedAt: T + 60 })
        assert.equal(await idleUntil(store, 'p', { queue, now: T + 120 }), T + 160)
        assert.equal((await claimed(store, 'p', { queue, now: T + 160 })).messages.length, 2)
      }),
    )

    test(
      'brings no more history than fits, never an answer without its call',
      use(async ({ store }) => {
        await accepted(store, 'p', 'use it')
        const turn = await claimed(store, 'p')
        await store.turns.startStep(starting(turn, 'llm:1'))
        const calls = [{ id: 'c', skill: 'clock', input: {} }]
        await store.turns.finishStep(
          finishing(turn, 'llm:1', {
            messages: [{ role: 'assistant', text: '', calls }],
            planned: [{ id: 'c', skill: 'clock', input: {}, effect: 'none' }],
          }),
        )
        await store.turns.finishStep(finishing(turn, 'skill:c', { messages: [{ role: 'tool', call: 'c', skill: 'clock', text: 'noon' }] }))
        await store.turns.end(refOf(turn), done({ messages: [{ role: 'assistant', text: 'It is noon.' }] }), T)
        const roles = async (change: { historyMessages?: number; historyBytes?: number }): Promise<string[]> => {
          await accepted(store, 'p', 'next')
          const next = await claimed(store, 'p', change)
          await store.turns.fail(refOf(next), X, { deadLetter: newDeadLetterId(T) }, T)
          return next.history.map((entry) => entry.role)
        }
        assert.deepEqual(await roles({}), ['user', 'assistant', 'tool', 'assistant'])
        assert.deepEqual(await roles({ historyMessages: 3 }), ['assistant', 'tool', 'assistant'])
        assert.deepEqual(await roles({ historyMessages: 2 }), ['assistant'])
        assert.deepEqual(await roles({ historyBytes: 110 }), ['assistant'])
        assert.deepEqual(await roles({ historyBytes: 10 }), [])
      }),
    )

    test(
      'ends with replies, message and session in one transaction',
      use(async ({ store, crash }) => {
        const given = await accepted(store, 'p', 'x')
        await accepted(store, 'p', 'y')
        const turn = await claimed(store, 'p')
        const parts = ['1', '2'].map((text, index) => delivery(turn, text, { index, of: 2 }))
        const ended = await store.turns.end(
          refOf(turn),
          done({
            deliveries: parts,
            messages: [{ role: 'assistant', text: '12' }],
            reason: { code: 'interrupted', message: 'A newer message.' },
          }),
          T + 9,
        )
        assert.equal(ended.more, true)
        const later = await crash()
        const view = await later.inbox.get(DEFAULT_TENANT, given.envelope.id)
        assert.deepEqual([view?.status, view?.doneAt, view?.reason?.code], ['done', T + 9, 'interrupted'])
        const replies = await later.inbox.repliesOfTurn(turn.id)
        assert.deepEqual(
          replies.map((reply) => [reply.seq, reply.text, reply.of]),
          [
            [ended.seqs[0], '1', 2],
            [ended.seqs[1], '2', 2],
          ],
        )
        assert.equal((await later.sessions.get(DEFAULT_TENANT, session('p').key))?.status, 'queued')
      }),
    )

    test(
      'comes back after a failure when it is due, as another attempt with its finished steps',
      use(async ({ store }) => {
        const given = await accepted(store, 'p', 'x')
        const first = await claimed(store, 'p')
        await store.turns.startStep(starting(first, 'llm:1'))
        await store.turns.finishStep(finishing(first, 'llm:1'))
        await store.turns.startStep(starting(first, 'llm:2'))
        await store.turns.fail(refOf(first), X, { retryAt: T + 100 }, T)
        const view = await store.inbox.get(DEFAULT_TENANT, given.envelope.id)
        assert.deepEqual([view?.status, view?.dueAt, view?.reason, view?.attempts], ['retrying', T + 100, X, 1])
        assert.equal(await idleUntil(store, 'p', { now: T + 99 }), T + 100)
        const second = await claimed(store, 'p', { now: T + 100 })
        assert.deepEqual([second.id, second.attempt, second.resumed, second.startedAt], [first.id, 2, true, T])
        assert.ok(second.fence > first.fence)
        assert.deepEqual(second.steps, [
          { key: 'llm:1', kind: 'llm', status: 'done', attempts: 1, result: { text: 'result of llm:1' }, joined: [] },
          { key: 'llm:2', kind: 'llm', status: 'started', attempts: 1, result: null, joined: [] },
        ])
        assert.deepEqual((await store.inbox.get(DEFAULT_TENANT, given.envelope.id))?.attempts, 2)
        assert.deepEqual(await store.turns.startStep(starting(second, 'llm:2')), { status: 'started', attempt: 2, joined: [] })
      }),
    )

    test(
      'waits as long as the agent says, and that is no attempt',
      use(async ({ store }) => {
        const given = await accepted(store, 'p', 'x')
        const turn = await claimed(store, 'p')
        await store.turns.end(refOf(turn), { status: 'waiting', until: T + 50, reason: X }, T)
        const view = await store.inbox.get(DEFAULT_TENANT, given.envelope.id)
        assert.deepEqual([view?.status, view?.dueAt, view?.reason], ['waiting', T + 50, X])
        assert.equal(await idleUntil(store, 'p', { now: T + 49 }), T + 50)
        assert.deepEqual((await claimed(store, 'p', { now: T + 50 })).attempt, 1)
        assert.deepEqual(
          [await statusOf(store, given), (await store.inbox.get(DEFAULT_TENANT, given.envelope.id))?.attempts],
          ['running', 1],
        )
      }),
    )

    test(
      'goes on at once after it was given back, which is neither attempt nor crash',
      use(async ({ store }) => {
        await accepted(store, 'p', 'x')
        for (let i = 0; i < 5; i++) {
          const turn = await claimed(store, 'p', { owner: `boot-${i}`, maxCrashes: 1 })
          assert.equal(turn.attempt, 1)
          await store.turns.release(refOf(turn), T)
        }
      }),
    )

    test(
      'gives a turn up with one letter a message, and forgets what was said in it',
      use(async ({ store }) => {
        await answered(store, 'p', 'before', 'BEFORE')
        const poison = [await accepted(store, 'p', 'poison 1'), await accepted(store, 'p', 'poison 2')]
        const queue = { mode: 'collect', cap: 9, debounceMs: 0 } as const
        const turn = await claimed(store, 'p', { queue })
        const deadLetter = newDeadLetterId(T)
        assert.deepEqual(await store.turns.fail(refOf(turn), X, { deadLetter }, T + 3), { seqs: [], more: false })
        const letters = (await store.deadLetters.list({ tenant: DEFAULT_TENANT }, null, 9)).toReversed()
        assert.equal(letters[0]?.id, deadLetter)
        assert.deepEqual(
          letters.map((letter) => [letter.ref, letter.content, letter.attempts, letter.status, letter.session]),
          poison.map((given) => [given.envelope.id, given.envelope, 1, 'open', session('p').key]),
        )
        for (const given of poison) assert.equal(await statusOf(store, given), 'dead')
        await accepted(store, 'p', 'next')
        assert.deepEqual((await claimed(store, 'p')).history, [
          { role: 'user', text: 'before', sender: 'p' },
          { role: 'assistant', text: 'BEFORE' },
        ])
        await balanced(store)
      }),
    )

    test(
      'fences off every write of an owner that lost its turn',
      use(async ({ store }) => {
        await accepted(store, 'p', 'x')
        const old = await claimed(store, 'p', { leaseMs: 10 })
        await store.turns.startStep(starting(old, 'llm:1'))
        const now = await claimed(store, 'p', { owner: 'boot-2', now: T + 10 })
        await assert.rejects(store.turns.startStep(starting(old, 'llm:2')), FENCED)
        await assert.rejects(store.turns.finishStep(finishing(old, 'llm:1')), FENCED)
        await assert.rejects(store.turns.end(refOf(old), done(), T), FENCED)
        await assert.rejects(store.turns.fail(refOf(old), X, { retryAt: T }, T), FENCED)
        await assert.rejects(store.turns.release(refOf(old), T), FENCED)
        await store.turns.end(refOf(now), done(), T)
        await assert.rejects(store.turns.end(refOf(now), done(), T), FENCED)
      }),
    )

    test(
      'prolongs leases and tells which turns are lost',
      use(async ({ store }) => {
        await accepted(store, 'p', 'x')
        await accepted(store, 'q', 'x')
        const kept = await claimed(store, 'p', { leaseMs: 10 })
        const lost = await claimed(store, 'q', { leaseMs: 10 })
        await claimed(store, 'q', { owner: 'boot-2', now: T + 20 })
        assert.deepEqual(await store.turns.renew([refOf(kept), refOf(lost)], T + 500), [lost.id])
        assert.equal(await idleUntil(store, 'p', { now: T + 20 }), T + 500)
      }),
    )

    test(
      'starts the memory anew after a reset',
      use(async ({ store }) => {
        await answered(store, 'p', 'a', 'A')
        await accepted(store, 'p', '/reset')
        const turn = await claimed(store, 'p')
        await store.turns.end(refOf(turn), done({ messages: [{ role: 'assistant', text: 'Forgotten.' }], reset: true }), T)
        await accepted(store, 'p', 'b')
        assert.deepEqual((await claimed(store, 'p')).history, [])
      }),
    )

    test(
      'works on many sessions at once without mixing them up',
      use(async ({ store }) => {
        const peers = Array.from({ length: 30 }, (_, i) => `peer-${i}`)
        await Promise.all(peers.map((peer) => answered(store, peer, `hello from ${peer}`, `hello ${peer}`)))
        for (const peer of peers) {
          const [newest, oldest] = await store.sessions.messages(DEFAULT_TENANT, session(peer).key, null, 9)
          assert.deepEqual([newest?.message.text, oldest?.message.text], [`hello ${peer}`, `hello from ${peer}`])
        }
        assert.equal((await store.inbox.ledger()).done, 30)
      }),
    )
  })
}
