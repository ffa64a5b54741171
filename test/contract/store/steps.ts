/** T2 to T5: intents and results, messages that join or make a call pointless, compaction. */
import { DEFAULT_TENANT } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, claimed, done, finishing, refOf, starting, statusOf } from './given.ts'

const JOIN = { policy: 'join', cap: 2 } as const
const YIELD = { policy: 'yield', cap: 0 } as const
const PLAN = { id: 'c1', skill: 'mail', input: { to: 'x' }, effect: 'once' } as const

export function stepSuite(use: UseStore): void {
  describe('steps', () => {
    test(
      'keeps intent, result and planned calls over a crash',
      use(async ({ store, crash }) => {
        await accepted(store, 'p', 'x')
        const turn = await claimed(store, 'p')
        assert.deepEqual(await store.turns.startStep(starting(turn, 'llm:1')), { status: 'started', attempt: 1, joined: [] })
        assert.deepEqual(
          await store.turns.finishStep(
            finishing(turn, 'llm:1', { planned: [PLAN], messages: [{ role: 'assistant', text: '', calls: [PLAN] }] }),
          ),
          { seqs: [], more: false },
        )
        const planned = await claimed(await crash(), 'p', { owner: 'boot-2', now: T + 60_000 })
        assert.deepEqual(
          planned.steps.map((step) => [step.key, step.status, step.attempts]),
          [
            ['llm:1', 'done', 1],
            ['skill:c1', 'planned', 0],
          ],
        )
        assert.deepEqual(await store.turns.startStep(starting(turn, 'skill:c1', { name: 'mail', effect: 'once' })), {
          status: 'started',
          attempt: 1,
          joined: [],
        })
        const later = await claimed(await crash(), 'p', { owner: 'boot-2', now: T + 60_000 })
        assert.deepEqual(later.steps[1], { key: 'skill:c1', kind: 'skill', status: 'started', attempts: 1, result: null, joined: [] })
      }),
    )

    test(
      'records an unknown outcome, and starts nothing again that is over',
      use(async ({ store }) => {
        await accepted(store, 'p', 'x')
        const turn = await claimed(store, 'p', { leaseMs: 10 })
        await store.turns.startStep(starting(turn, 'llm:1'))
        await store.turns.finishStep(finishing(turn, 'llm:1', { planned: [PLAN] }))
        await store.turns.startStep(starting(turn, 'skill:c1', { name: 'mail' }))
        await store.turns.finishStep(finishing(turn, 'skill:c1', { name: 'mail', status: 'unknown', result: { status: 'error' } }))
        const over = { name: 'ConflictError', code: 'STEP_OVER' }
        await assert.rejects(store.turns.startStep(starting(turn, 'skill:c1')), over)
        await assert.rejects(store.turns.finishStep(finishing(turn, 'llm:1')), over)
        await assert.rejects(store.turns.finishStep(finishing(turn, 'llm:9')), over)
        const later = await claimed(store, 'p', { now: T + 10 })
        assert.deepEqual(
          later.steps.map((step) => [step.status, step.result]),
          [
            ['done', { text: 'result of llm:1' }],
            ['unknown', { status: 'error' }],
          ],
        )
      }),
    )

    test(
      'lets messages that wait join a step once, and remembers with which one',
      use(async ({ store }) => {
        await accepted(store, 'p', 'first')
        const turn = await claimed(store, 'p', { leaseMs: 10 })
        const joining = [await accepted(store, 'p', 'second'), await accepted(store, 'p', 'third')]
        const left = await accepted(store, 'p', 'fourth')
        const started = await store.turns.startStep(starting(turn, 'llm:1', { waiting: JOIN }))
        const joined = joining.map((given) => ({ envelope: given.envelope, lane: given.lane, reply: given.reply }))
        assert.deepEqual(started, { status: 'started', attempt: 1, joined })
        assert.equal(await statusOf(store, left), 'queued')

        const again = await claimed(store, 'p', { now: T + 10 })
        assert.deepEqual([again.messages.length, again.more, again.steps[0]?.joined], [1, true, joined])
        assert.deepEqual(await store.turns.startStep(starting(again, 'llm:1', { waiting: JOIN })), {
          status: 'started',
          attempt: 2,
          joined,
        })
        await store.turns.finishStep(finishing(again, 'llm:1', { end: done() }))
        for (const given of joining) {
          const view = await store.inbox.get(DEFAULT_TENANT, given.envelope.id)
          assert.deepEqual([view?.status, view?.turn], ['done', turn.id])
        }
        const next = await claimed(store, 'p')
        assert.deepEqual(
          next.messages.map((message) => message.envelope.id),
          [left.envelope.id],
        )
        assert.deepEqual(
          next.history.map((entry) => entry.text),
          ['first', 'second', 'third'],
        )
      }),
    )

    test(
      'skips a planned call when a newer message waits, with the answer that the model needs',
      use(async ({ store }) => {
        await accepted(store, 'p', 'first')
        const turn = await claimed(store, 'p', { leaseMs: 10 })
        await store.turns.startStep(starting(turn, 'llm:1'))
        await store.turns.finishStep(
          finishing(turn, 'llm:1', { planned: [PLAN, { ...PLAN, id: 'c2' }], messages: [{ role: 'assistant', text: '', calls: [PLAN] }] }),
        )
        const call = starting(turn, 'skill:c1', { name: 'mail', waiting: YIELD })
        assert.equal((await store.turns.startStep(call)).status, 'started')
        await accepted(store, 'p', 'stop!')
        assert.deepEqual(
          await store.turns.startStep(call),
          { status: 'started', attempt: 2, joined: [] },
          'what was begun is brought to its end',
        )
        const skipped = await store.turns.startStep({ ...call, key: 'skill:c2' })
        assert.equal(skipped.status, 'skipped')
        assert.deepEqual(skipped.outcome.status === 'error' && skipped.outcome.code, 'skipped')
        const [newest] = await store.sessions.messages(DEFAULT_TENANT, turn.session, null, 1)
        assert.ok(newest?.message.role === 'tool')
        assert.deepEqual([newest.message.call, newest.message.skill], ['c2', 'mail'])
        const later = await claimed(store, 'p', { now: T + 10 })
        assert.deepEqual([later.steps[2]?.status, later.steps[2]?.result], ['done', skipped.outcome])
      }),
    )

    test(
      'puts a summary in the place of all that was said before the turn',
      use(async ({ store }) => {
        await answered(store, 'p', 'a', 'A')
        await accepted(store, 'p', 'b')
        const turn = await claimed(store, 'p', { leaseMs: 10 })
        await store.turns.startStep(starting(turn, 'compact:1', { kind: 'compact' }))
        await store.turns.finishStep(finishing(turn, 'compact:1', { summary: 'They said a.' }))
        const again = await claimed(store, 'p', { now: T + 10 })
        assert.deepEqual(again.history, [{ role: 'summary', text: 'They said a.' }])
        await store.turns.end(refOf(again), done({ messages: [{ role: 'assistant', text: 'B' }] }), T)
        await accepted(store, 'p', 'c')
        const next = await claimed(store, 'p')
        assert.deepEqual(next.history, [
          { role: 'summary', text: 'They said a.' },
          { role: 'user', text: 'b', sender: 'p' },
          { role: 'assistant', text: 'B' },
        ])
        await store.turns.end(refOf(next), done({ reset: true }), T)
        await accepted(store, 'p', 'd')
        assert.deepEqual((await claimed(store, 'p')).history, [])
      }),
    )
  })
}
