/** Sessions as the API shows them. */
import type { Acceptance, RunStore, TurnId } from '#contract'
import { DEFAULT_TENANT, asSessionKey, newDeadLetterId, newRunId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, balanced, claimed, done, message, refOf, session, statusOf } from './given.ts'

const X = { code: 'X', message: 'It failed.' }

/** What a call of that turn left on record. */
const runOf = (turn: TurnId, peer: string): Parameters<RunStore['record']>[0][number] => ({
  run: {
    id: newRunId(T),
    tenant: DEFAULT_TENANT,
    key: `${turn}:call`,
    skill: 'adder',
    asked: null,
    caller: { is: 'client', principal: 'ann' },
    effect: 'once',
    input: `${peer} asks`,
    timeoutMs: null,
    traceparent: null,
    createdAt: T,
  },
  startedAt: T,
  end: {
    status: 'failed',
    version: '1.0.0',
    attempts: 1,
    outcome: { status: 'error', code: 'crashed', message: 'It failed.' },
    logs: '',
    now: T,
    dead: X,
    freesKey: false,
  },
})

export function sessionSuite(use: UseStore): void {
  describe('sessions', () => {
    test(
      'are made with their first message and shown with what they do',
      use(async ({ store }) => {
        const key = session('p').key
        assert.equal(await store.sessions.get(DEFAULT_TENANT, key), null)
        await accepted(store, 'p', 'x', { acceptedAt: T + 1 })
        assert.deepEqual(await store.sessions.get(DEFAULT_TENANT, key), {
          ...session('p'),
          seq: 1,
          status: 'queued',
          turn: null,
          messages: 0,
          createdAt: T + 1,
          updatedAt: T + 1,
        })
        const status = async (): Promise<string | undefined> => (await store.sessions.get(DEFAULT_TENANT, key))?.status
        const turn = await claimed(store, 'p', { now: T + 2 })
        assert.deepEqual(
          [
            await status(),
            (await store.sessions.get(DEFAULT_TENANT, key))?.turn,
            (await store.sessions.get(DEFAULT_TENANT, key))?.messages,
          ],
          ['running', turn.id, 1],
        )
        await store.turns.fail(refOf(turn), X, { retryAt: T + 3 }, T + 3)
        assert.equal(await status(), 'retrying')
        const again = await claimed(store, 'p', { now: T + 4 })
        await store.turns.end(refOf(again), { status: 'waiting', until: T + 5, reason: X }, T + 5)
        assert.equal(await status(), 'waiting')
        await store.turns.end(refOf(await claimed(store, 'p', { now: T + 6 })), done(), T + 6)
        const view = await store.sessions.get(DEFAULT_TENANT, key)
        assert.deepEqual([view?.status, view?.turn, view?.updatedAt], ['idle', null, T + 6])
      }),
    )

    test(
      'are listed by their making, the newest first, filtered and page by page',
      use(async ({ store }) => {
        const thread = { ...session('c', 'other'), account: 'team', thread: 't-1' }
        await accepted(store, 'a', 'x')
        await accepted(store, 'b', 'x')
        await accepted(store, 'c', 'x', { session: thread })
        await accepted(store, 'a', 'x')
        const list = async (
          filter: Omit<Parameters<typeof store.sessions.list>[0], 'tenant'>,
          before: number | null = null,
          limit = 9,
        ): Promise<string[]> => (await store.sessions.list({ tenant: DEFAULT_TENANT, ...filter }, before, limit)).map((view) => view.peer)
        assert.deepEqual(await list({}), ['c', 'b', 'a'])
        assert.deepEqual(await list({}, 3, 1), ['b'])
        assert.deepEqual(await list({ agent: 'other' }), ['c'])
        assert.deepEqual(await list({ account: 'default', channel: 'web' }), ['b', 'a'])
        assert.deepEqual(await list({ channel: 'none' }), [])
        assert.equal((await store.sessions.get(DEFAULT_TENANT, thread.key))?.thread, 't-1')
      }),
    )

    test(
      'show their words, the newest first, also those that are no memory any more',
      use(async ({ store }) => {
        const first = await answered(store, 'p', 'a', 'A')
        await answered(store, 'p', 'b', 'B')
        const key = session('p').key
        const all = await store.sessions.messages(DEFAULT_TENANT, key, null, 9)
        assert.deepEqual(
          all.map((entry) => entry.message.text),
          ['B', 'b', 'A', 'a'],
        )
        assert.deepEqual(all[3], { seq: 1, turn: first.turn.id, at: T, message: { role: 'user', text: 'a', sender: 'p' } })
        assert.deepEqual(
          (await store.sessions.messages(DEFAULT_TENANT, key, 3, 1)).map((entry) => entry.message.text),
          ['A'],
        )
        assert.equal(await store.sessions.reset(DEFAULT_TENANT, key, T), true)
        assert.equal((await store.sessions.messages(DEFAULT_TENANT, key, null, 9)).length, 4)
        await accepted(store, 'p', 'c')
        assert.deepEqual((await claimed(store, 'p')).history, [])
        assert.equal(await store.sessions.reset(DEFAULT_TENANT, asSessionKey('none'), T), false)
        assert.deepEqual(await store.sessions.messages(DEFAULT_TENANT, asSessionKey('none'), null, 9), [])
      }),
    )

    test(
      'are erased with all that was said, and nothing of another goes with them',
      use(async ({ store }) => {
        const all = { tenant: DEFAULT_TENANT }
        const world = async (peer: string): Promise<{ readonly said: Acceptance; readonly turn: TurnId; readonly waits: Acceptance }> => {
          const { turn, ...said } = await answered(store, peer, `${peer} asks`, `${peer} is told`)
          const [item] = await store.outbox.lane('web', `lane-${peer}`, 1)
          assert.ok(item)
          await store.outbox.finish(item.id, { status: 'dead', failure: X, deadLetter: newDeadLetterId(T) }, T)
          await accepted(store, peer, `${peer} is too much`)
          const last = await claimed(store, peer)
          await store.turns.fail(refOf(last), X, { deadLetter: newDeadLetterId(T) }, T)
          await store.runs.record([runOf(turn.id, peer)])
          return { said, turn: turn.id, waits: await accepted(store, peer, `${peer} waits`) }
        }
        const gone = await world('p')
        const kept = await world('q')
        const key = session('p').key
        assert.equal(await store.sessions.erase('acme', key, T), 'missing')
        assert.equal(await store.sessions.erase(DEFAULT_TENANT, asSessionKey('none'), T), 'missing')
        assert.equal(await store.sessions.eraseOn(T), false)
        assert.equal(await store.sessions.erase(DEFAULT_TENANT, key, T), 'begun')
        assert.equal(await store.sessions.get(DEFAULT_TENANT, key), null)
        assert.equal(await store.sessions.erase(DEFAULT_TENANT, key, T), 'missing')
        assert.deepEqual(
          (await store.inbox.readySessions({ now: T, after: 0, limit: 9 })).map((ready) => ready.session),
          [session('q').key],
        )
        for (const letter of await store.deadLetters.list({ ...all, status: 'open' }, null, 99)) {
          if (letter.kind === 'run' || letter.session !== key) continue
          const route = { agent: 'main', session: session('p'), envelope: gone.said.envelope }
          assert.deepEqual(await store.deadLetters.replay({ ...all, id: letter.id, now: T, route }), { status: 'missing' }, letter.kind)
        }
        while (await store.sessions.eraseOn(T));
        const left = [
          await store.inbox.list(all, null, 99),
          await store.deadLetters.list(all, null, 99),
          await store.runs.list(all, null, 99),
          await store.inbox.steps(gone.turn),
          await store.inbox.repliesOfLane('web', 'lane-p', 0, 99),
          await store.sessions.messages(DEFAULT_TENANT, key, null, 99),
        ]
        assert.deepEqual(
          left.map((rows) => rows.length),
          [3, 3, 1, 0, 0, 0],
        )
        assert.doesNotMatch(JSON.stringify(left), /p asks|p is told|p is too much|p waits|"p"/)
        assert.equal(await store.inbox.get(DEFAULT_TENANT, gone.said.envelope.id), null)
        assert.equal(await statusOf(store, gone.waits), undefined)
        assert.equal(await statusOf(store, kept.waits), 'queued')
        assert.equal((await store.inbox.repliesOfTurn(kept.turn)).length, 1)
        assert.equal((await store.sessions.messages(DEFAULT_TENANT, session('q').key, null, 9)).length, 3)
        await balanced(store)
        await accepted(store, 'p', 'p is back')
        assert.deepEqual((await claimed(store, 'p')).history, [])
      }),
    )

    test(
      'are not erased while a turn is worked on, nor can one that was lost write any more',
      use(async ({ store }) => {
        await accepted(store, 'p', 'x')
        const key = session('p').key
        const turn = await claimed(store, 'p', { now: T })
        assert.equal(await store.sessions.erase(DEFAULT_TENANT, key, T + 29_999), 'busy')
        assert.equal((await store.sessions.get(DEFAULT_TENANT, key))?.status, 'running')
        assert.equal(await store.sessions.erase(DEFAULT_TENANT, key, T + 30_000), 'begun')
        await assert.rejects(store.turns.end(refOf(turn), done(), T + 30_000), { code: 'TURN_FENCED' })
        while (await store.sessions.eraseOn(T));
        assert.equal((await store.inbox.ledger()).accepted, 0)
      }),
    )

    test(
      'leave the keys by which messages are known that come again, and no word with them',
      use(async ({ store }) => {
        const { envelope } = await accepted(store, 'p', 'secret', { key: 'k', fingerprint: 'f' })
        await store.turns.end(refOf(await claimed(store, 'p')), done(), T)
        await accepted(store, 'p', 'secret too', { key: 'k2', fingerprint: 'f' })
        await store.sessions.erase(DEFAULT_TENANT, session('p').key, T)
        while (await store.sessions.eraseOn(T + 5));
        const again = await store.inbox.accept(message('p', 'secret', { key: 'k', fingerprint: 'other' }))
        assert.ok(again.status === 'duplicate')
        assert.equal(again.envelope.id, envelope.id)
        assert.deepEqual(
          (await store.inbox.list({ tenant: DEFAULT_TENANT }, null, 9)).map((view) => [
            view.status,
            view.reason?.code,
            view.session,
            view.doneAt,
          ]),
          [
            ['done', 'ERASED', null, T + 5],
            ['done', 'ERASED', null, T],
          ],
        )
        assert.doesNotMatch(JSON.stringify(await store.inbox.whole(DEFAULT_TENANT, envelope.id)), /secret|"p"|lane-p/)
        await balanced(store)
        assert.equal(await store.prune(T + 6, 9), 2)
        assert.deepEqual(await store.inbox.accept(message('p', 'anew', { key: 'k' })), { status: 'new' })
      }),
    )

    test(
      'are erased to the end after a crash in the midst, and who writes meanwhile begins anew',
      use(async ({ store, crash }) => {
        for (let i = 0; i < 250; i++) await accepted(store, 'p', `word ${i}`)
        await store.sessions.erase(DEFAULT_TENANT, session('p').key, T)
        assert.equal(await store.sessions.eraseOn(T), true)
        const half = (await store.inbox.ledger()).accepted
        assert.ok(half > 0 && half < 250, `${half} left after one slice`)
        const later = await accepted(store, 'p', 'new')
        const next = await crash()
        while (await next.sessions.eraseOn(T));
        assert.deepEqual(
          (await next.inbox.list({ tenant: DEFAULT_TENANT }, null, 9)).map((view) => view.id),
          [later.envelope.id],
        )
        assert.equal((await next.sessions.get(DEFAULT_TENANT, session('p').key))?.status, 'queued')
        await balanced(next)
      }),
    )

    test(
      'read JSON and bytes as words',
      use(async ({ store }) => {
        for (const payload of [{ json: { a: [1] } }, { binary: 'AAAA', media_type: 'image/png' }]) {
          const given = message('p', '')
          await accepted(store, 'p', '', { envelope: { ...given.envelope, payload } })
          await store.turns.end(refOf(await claimed(store, 'p')), done(), T)
        }
        const words = await store.sessions.messages(DEFAULT_TENANT, session('p').key, null, 9)
        assert.deepEqual(
          words.map((entry) => entry.message.text),
          ['[image/png, 3 bytes]', '{"a":[1]}'],
        )
      }),
    )
  })
}
