/** T0 and the questions about messages. */
import type { MessageView } from '#contract'
import { DEFAULT_TENANT, asMessageId, newDeadLetterId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, balanced, claimed, claiming, done, message, refOf, session, starting } from './given.ts'

const LONE = 'half \ud83d and \udc00'
const TEXTS = ['NUL \0 inside', 'right to left: שלום مرحبا \u202e', '4 bytes: 🦞🏴‍☠️', LONE, '', '\u2028 "quoted" \\ \u0007']

export function inboxSuite(use: UseStore): void {
  describe('inbox', () => {
    test(
      'keeps every text exactly, even half a surrogate pair',
      use(async ({ store, crash }) => {
        const all = []
        for (const text of TEXTS) {
          const given = message('p', text)
          const envelope = {
            ...given.envelope,
            metadata: { note: text, [text]: [text, { ['__proto__']: text }], headers: { 'x-a': text } },
          }
          all.push(await accepted(store, 'p', text, { envelope, reply: { chat: text } }))
        }
        const later = await crash()
        for (const { envelope } of all) {
          assert.deepEqual((await store.inbox.get(DEFAULT_TENANT, envelope.id))?.envelope, envelope)
          assert.deepEqual((await later.inbox.get(DEFAULT_TENANT, envelope.id))?.envelope, envelope)
        }
      }),
    )

    test(
      'refuses half a surrogate pair where it could only be kept altered, and hurts no neighbour',
      use(async ({ store }) => {
        const refused = { code: 'MESSAGE_NOT_UNICODE', retryable: false }
        const before = store.inbox.accept(message('p', 'before'))
        const bad = [
          message('p', 'x', { key: LONE }),
          message('p', 'x', { lane: LONE }),
          message('p', 'x', { session: session(LONE) }),
          message('p', 'x', { state: { [LONE]: new Uint8Array(1) } }),
        ].map((given) => assert.rejects(store.inbox.accept(given), refused))
        const after = store.inbox.accept(message('p', 'after'))
        await Promise.all(bad)
        assert.deepEqual(await Promise.all([before, after]), [{ status: 'new' }, { status: 'new' }])
        assert.deepEqual(
          (await store.inbox.list({ tenant: DEFAULT_TENANT }, null, 9)).map((view) => view.envelope.payload),
          [{ text: 'after' }, { text: 'before' }],
        )
      }),
    )

    test(
      'shows a new message as queued',
      use(async ({ store }) => {
        const given = await accepted(store, 'p', 'hello', { acceptedAt: T + 5 })
        assert.deepEqual(await store.inbox.get(DEFAULT_TENANT, given.envelope.id), {
          id: given.envelope.id,
          seq: 1,
          channel: 'web',
          agent: 'main',
          session: session('p').key,
          turn: null,
          status: 'queued',
          attempts: 0,
          reason: null,
          dueAt: null,
          acceptedAt: T + 5,
          doneAt: null,
          envelope: given.envelope,
        } satisfies MessageView)
        assert.equal(await store.inbox.get(DEFAULT_TENANT, asMessageId('msg-none')), null)
      }),
    )

    test(
      'takes a key once, with the same words a duplicate, with others a conflict, also after a crash and after the end',
      use(async ({ store, crash }) => {
        const first = await accepted(store, 'p', 'one', { key: 'k', fingerprint: 'f' })
        const again = { key: 'k', fingerprint: 'f' }
        const stored = { status: 'duplicate', envelope: first.envelope }
        assert.deepEqual(await store.inbox.accept(message('p', 'one', again)), stored)
        assert.deepEqual(await store.inbox.accept(message('p', 'one', { ...again, fingerprint: null })), stored)
        assert.deepEqual(await store.inbox.accept(message('p', 'two', { ...again, fingerprint: 'g' })), {
          status: 'conflict',
          id: first.envelope.id,
        })
        const turn = await claimed(store, 'p')
        await store.turns.end(refOf(turn), done(), T)
        assert.deepEqual(await store.inbox.accept(message('p', 'one', again)), stored)
        assert.deepEqual(await (await crash()).inbox.accept(message('p', 'one', again)), stored)
        assert.equal((await store.inbox.list({ tenant: DEFAULT_TENANT }, null, 9)).length, 1)
      }),
    )

    test(
      'keeps keys apart by channel, and takes messages without a key as they come',
      use(async ({ store }) => {
        await accepted(store, 'p', 'one', { key: 'k' })
        const other = message('p', 'one', { key: 'k' })
        await accepted(store, 'p', 'one', { key: 'k', envelope: { ...other.envelope, channel: 'phone' } })
        await accepted(store, 'p', 'same')
        await accepted(store, 'p', 'same')
        assert.equal((await store.inbox.ledger()).accepted, 4)
      }),
    )

    test(
      "commits the channel's own values with the message, also with a duplicate",
      use(async ({ store, crash }) => {
        const bytes = Uint8Array.from([0, 1, 2, 254, 255])
        await accepted(store, 'p', 'one', { key: 'k', state: { offset: bytes, ratchet: Uint8Array.of(7) } })
        assert.deepEqual(await store.channelState.read('web', 'offset'), bytes)
        await store.inbox.accept(message('p', 'one', { key: 'k', state: { offset: Uint8Array.of(9), ratchet: null } }))
        const later = await crash()
        assert.deepEqual(await later.channelState.read('web', 'offset'), Uint8Array.of(9))
        assert.equal(await later.channelState.read('web', 'ratchet'), null)
      }),
    )

    test(
      'stores what nobody can handle as dead, with its letter',
      use(async ({ store }) => {
        const reason = { code: 'NO_ROUTE', message: 'No route matches.' }
        const id = newDeadLetterId(T)
        const given = await accepted(store, 'p', 'lost', {
          session: null,
          agent: null,
          dead: { id, reason, origin: { account: 'world', peer: { kind: 'direct', id: 'p', thread: null } } },
        })
        const view = await store.inbox.get(DEFAULT_TENANT, given.envelope.id)
        assert.deepEqual([view?.status, view?.reason, view?.doneAt, view?.session], ['dead', reason, T, null])
        const letter = await store.deadLetters.get(DEFAULT_TENANT, id)
        assert.deepEqual(await store.deadLetters.origin(DEFAULT_TENANT, id), {
          envelope: given.envelope,
          session: null,
          origin: { account: 'world', peer: { kind: 'direct', id: 'p', thread: null } },
        })
        assert.deepEqual([letter?.kind, letter?.ref, letter?.reason, letter?.attempts], ['message', given.envelope.id, reason, 0])
        assert.deepEqual(letter?.content, given.envelope)
        await balanced(store)
      }),
    )

    test(
      'keeps 200 messages that come at once, in their order',
      use(async ({ store, crash }) => {
        const all = Array.from({ length: 200 }, (_, i) => message(`p${i % 7}`, `message ${i}`))
        await Promise.all(all.map((given) => store.inbox.accept(given)))
        const kept = (await (await crash()).inbox.list({ tenant: DEFAULT_TENANT }, null, 300)).toReversed()
        assert.deepEqual(
          kept.map((view) => view.id),
          all.map((given) => given.envelope.id),
        )
      }),
    )

    test(
      'lists the newest first, filtered and page by page',
      use(async ({ store }) => {
        await accepted(store, 'p', '1')
        await accepted(store, 'q', '2')
        await accepted(store, 'p', '3')
        await accepted(store, 'p', '4', { agent: 'other' })
        const turn = await claimed(store, 'q')
        const texts = async (
          filter: Omit<Parameters<typeof store.inbox.list>[0], 'tenant'>,
          before: number | null = null,
          limit = 9,
        ): Promise<unknown[]> =>
          (await store.inbox.list({ tenant: DEFAULT_TENANT, ...filter }, before, limit))
            .map((view) => view.envelope.payload)
            .map((payload) => Object.values(payload)[0])
        assert.deepEqual(await texts({}), ['4', '3', '2', '1'])
        assert.deepEqual(await texts({}, null, 2), ['4', '3'])
        assert.deepEqual(await texts({}, 3, 2), ['2', '1'])
        assert.deepEqual(await texts({ session: session('p').key }), ['4', '3', '1'])
        assert.deepEqual(await texts({ status: 'running' }), ['2'])
        assert.deepEqual(await texts({ agent: 'other', channel: 'web' }), ['4'])
        assert.deepEqual(await texts({ account: 'default', channel: 'none' }), [])
        assert.deepEqual(await texts({ account: 'default' }, null, 1), ['4'])
        assert.equal((await store.inbox.get(DEFAULT_TENANT, turn.messages[0]?.envelope.id ?? asMessageId('')))?.turn, turn.id)
      }),
    )

    test(
      'shows the replies of a turn and, in order, those of a lane',
      use(async ({ store }) => {
        const first = await answered(store, 'p', 'a', 'A')
        const second = await answered(store, 'p', 'b', 'B', { status: 'sent' })
        const other = await answered(store, 'q', 'c', 'C')
        const [reply] = await store.inbox.repliesOfTurn(second.turn.id)
        assert.deepEqual(
          { ...reply, id: '' },
          {
            id: '',
            seq: second.ended.seqs[0],
            messageId: second.envelope.id,
            text: 'B',
            index: 0,
            of: 1,
            status: 'sent',
            attempts: 0,
            error: null,
            createdAt: T,
          },
        )
        const lane = await store.inbox.repliesOfLane('web', 'lane-p', 0, 9)
        assert.deepEqual(
          lane.map((view) => view.text),
          ['A', 'B'],
        )
        const [seq = 0] = first.ended.seqs
        assert.deepEqual(
          (await store.inbox.repliesOfLane('web', 'lane-p', seq, 9)).map((view) => view.text),
          ['B'],
        )
        assert.deepEqual(
          (await store.inbox.repliesOfLane('web', 'lane-p', 0, 1)).map((view) => view.text),
          ['A'],
        )
        assert.equal((await store.inbox.repliesOfTurn(other.turn.id)).length, 1)
      }),
    )

    test(
      'names the sessions that have something to do, longest waiting first, page by page',
      use(async ({ store }) => {
        const ready = async (now = T, after = 0, limit = 9): Promise<string[]> =>
          (await store.inbox.readySessions({ now, after, limit })).map((row) => row.session.slice(-1))
        await answered(store, 'x', 'done before', 'ok')
        for (const peer of ['a', 'b', 'a', 'c', 'd']) await accepted(store, peer, 'hi')
        assert.deepEqual(await ready(), ['a', 'b', 'c', 'd'])
        const [, second] = await store.inbox.readySessions({ now: T, after: 0, limit: 2 })
        assert.equal(second?.agent, 'main')
        assert.deepEqual(await ready(T, second?.seq), ['c', 'd'])
        const a = await claimed(store, 'a', { leaseMs: 1_000 })
        assert.deepEqual(await ready(), ['b', 'c', 'd'])
        assert.deepEqual(await ready(T + 1_000), ['a', 'b', 'c', 'd'])
        const b = await claimed(store, 'b')
        await store.turns.fail(refOf(b), { code: 'X', message: 'x' }, { retryAt: T + 500 }, T)
        const c = await claimed(store, 'c')
        await store.turns.end(refOf(c), { status: 'waiting', until: T + 600, reason: { code: 'X', message: 'x' } }, T)
        assert.deepEqual(await ready(), ['d'])
        const due = [T, T + 500, T + 600].map((now) => store.inbox.nextDue(now))
        assert.deepEqual(await Promise.all(due), [T + 500, T + 600, null])
        assert.deepEqual(await ready(T + 500), ['b', 'd'])
        assert.deepEqual(await ready(T + 600), ['b', 'c', 'd'])
        await store.turns.end(refOf(a), done(), T)
        assert.deepEqual(await ready(), ['a', 'd'])
      }),
    )

    test(
      'counts accepted = done + dead + pending',
      use(async ({ store }) => {
        await answered(store, 'a', 'x', 'y')
        await accepted(store, 'b', 'x')
        await accepted(store, 'c', 'x')
        await claimed(store, 'c')
        await accepted(store, 'd', 'x', {
          dead: {
            id: newDeadLetterId(T),
            reason: { code: 'X', message: 'x' },
            origin: { account: 'world', peer: { kind: 'direct', id: 'p', thread: null } },
          },
        })
        await balanced(store)
        const { byStatus, ...ledger } = await store.inbox.ledger()
        assert.deepEqual(ledger, { accepted: 4, done: 1, dead: 1, pending: 2 })
        assert.deepEqual(byStatus, { queued: 1, running: 1, waiting: 0, retrying: 0, done: 1, dead: 1 })
      }),
    )

    test(
      'shows the steps of a turn in the order in which they were known',
      use(async ({ store }) => {
        const given = await accepted(store, 'p', 'x')
        const turn = await claimed(store, 'p')
        await store.turns.startStep(starting(turn, 'llm:1'))
        const usage = {
          provider: 'builtin',
          model: 'echo',
          inputTokens: 1,
          outputTokens: 2,
          cacheReadTokens: 0,
          costNano: null,
          latencyMs: 3,
        }
        await store.turns.finishStep({
          ...refOf(turn),
          key: 'llm:1',
          name: 'builtin/echo',
          status: 'done',
          requestHash: null,
          result: { secret: 1 },
          messages: [],
          usage,
          planned: [{ id: 'z', skill: 'clock', input: { zone: 'UTC' }, effect: 'none' }],
          summary: null,
          end: null,
          now: T + 1,
        })
        assert.deepEqual(await store.inbox.steps(turn.id), [
          {
            key: 'llm:1',
            kind: 'llm',
            name: 'builtin/echo',
            status: 'done',
            attempts: 1,
            startedAt: T,
            doneAt: T + 1,
            usage,
            input: null,
            output: null,
          },
          {
            key: 'skill:z',
            kind: 'skill',
            name: 'clock',
            status: 'planned',
            attempts: 0,
            startedAt: null,
            doneAt: null,
            usage: null,
            input: { zone: 'UTC' },
            output: null,
          },
        ])
        assert.equal((await store.turns.claim(claiming(given.session?.key ?? session('p').key))).status, 'idle')
      }),
    )
  })
}
