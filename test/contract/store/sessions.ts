/** Sessions as the API shows them. */
import { DEFAULT_TENANT, asSessionKey } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, claimed, done, message, refOf, session } from './given.ts'

const X = { code: 'X', message: 'It failed.' }

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
