/** Erasing sessions: to the end, also what a former life left; refused while a turn is worked on; gone from the feed and from the file too. */
import { DEFAULT_TENANT, asMessageId, newDeliveryId } from '#contract'
import type { FlowEvent, Store } from '#contract'
import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { Erasure } from '../../../gateway/pipeline/erasure.ts'
import { Feed } from '../../../gateway/pipeline/feed.ts'
import { accepted, answered, claimed, session } from '../../contract/store/given.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { withFolder } from '../store/given.ts'

const MARK = 'mark-of-what-was-said'
const { key } = session('p')

const erasureOf = (store: Store, clock = new FakeClock()): { readonly erasure: Erasure; readonly feed: Feed } => {
  const feed = new Feed()
  return { feed, erasure: new Erasure({ store, feed, clock, log: quietLog }) }
}

const accept = async (store: Store): Promise<number> => (await store.inbox.ledger()).accepted

test(
  'nothing of it is left when it resolves, in rows, in what is remembered of the feed, or in the file',
  withFolder(async ({ file, open }) => {
    const store = await open()
    const { erasure, feed } = erasureOf(store)
    await erasure.start()
    for (let i = 0; i < 3; i++) await answered(store, 'p', `${MARK} ${i} ${'x'.repeat(5_000)}`, `${MARK} said`, { status: 'sent' })
    await answered(store, 'q', 'kept', 'kept too', { status: 'sent' })
    const reply = (peer: string, text: string): FlowEvent => ({
      type: 'reply',
      tenant: DEFAULT_TENANT,
      id: newDeliveryId(1),
      messageId: asMessageId('msg-1'),
      channel: 'web',
      lane: peer,
      session: session(peer).key,
      agent: 'main',
      replySeq: 1,
      index: 0,
      of: 1,
      text,
    })
    for (const event of [reply('q', 'kept'), reply('p', MARK), reply('q', 'kept too')]) feed.emit(event)
    await erasure.erase(DEFAULT_TENANT, key)
    assert.equal(await accept(store), 1)
    const { gap, events } = feed.since(DEFAULT_TENANT, 0)
    assert.deepEqual([gap, events.map(({ seq }) => seq)], [false, [1, 3]])
    await erasure.stop()
    await store.stop()
    const names = (await readdir(dirname(file))).filter((name) => name.startsWith('sessions.db'))
    const bytes = Buffer.concat(await Promise.all(names.map((name) => readFile(join(dirname(file), name)))))
    assert.ok(bytes.includes('kept too'))
    assert.ok(!bytes.includes(MARK))
  }),
)

test(
  'what a former life left of one goes at the next start',
  withFolder(async ({ open }) => {
    const store = await open()
    await accepted(store, 'p', 'x')
    assert.equal(await store.sessions.erase(DEFAULT_TENANT, key, 1), 'begun')
    assert.equal(await accept(store), 1)
    const { erasure } = erasureOf(store)
    await erasure.start()
    assert.equal(await accept(store), 0)
    await erasure.stop()
  }),
)

test(
  'several at once are each gone when they resolve, and a session that is worked on is refused',
  withFolder(async ({ open }) => {
    const store = await open()
    const clock = new FakeClock()
    const { erasure } = erasureOf(store, clock)
    await erasure.start()
    const peers = Array.from({ length: 12 }, (_, index) => `p${index}`)
    for (const peer of peers) await accepted(store, peer, 'x')
    await Promise.all(
      peers.map(async (peer) => {
        await erasure.erase(DEFAULT_TENANT, session(peer).key)
        const left = await store.inbox.list({ tenant: DEFAULT_TENANT, channel: 'web' }, null, 99)
        assert.ok(left.every((view) => view.envelope.sender_id !== peer))
      }),
    )
    await accepted(store, 'p', 'x')
    await claimed(store, 'p', { now: clock.now() })
    await assert.rejects(erasure.erase(DEFAULT_TENANT, key), { code: 'SESSION_BUSY' })
    await assert.rejects(erasure.erase('acme', key), { code: 'SESSION_NOT_FOUND' })
    assert.equal(await accept(store), 1)
    await erasure.stop()
    clock.advance(60_000)
    await assert.rejects(erasure.erase(DEFAULT_TENANT, key), { code: 'DRAINING' })
  }),
)

test(
  'one that is asked for while the last look of another is under way has a look of its own',
  withFolder(async ({ open }) => {
    const store = await open()
    const looked = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const slow: Store['sessions'] = {
      ...store.sessions,
      async eraseOn(now) {
        const isMore = await store.sessions.eraseOn(now)
        if (isMore) return true
        looked.resolve()
        await goOn.promise
        return false
      },
    }
    const erasure = new Erasure({ store: { sessions: slow }, feed: new Feed(), clock: new FakeClock(), log: quietLog })
    const started = erasure.start()
    await looked.promise
    await accepted(store, 'p', 'x')
    const erased = erasure.erase(DEFAULT_TENANT, key)
    const deadline = AbortSignal.timeout(10_000)
    while ((await store.sessions.get(DEFAULT_TENANT, key)) !== null) deadline.throwIfAborted()
    goOn.resolve()
    await Promise.all([started, erased])
    assert.equal(await accept(store), 0)
    await erasure.stop()
  }),
)
