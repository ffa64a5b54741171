/** Two tenants in one store: each sees and changes its own, and what is the other's is answered as what is not there. */
import { asSessionKey, newAgentId, newDeadLetterId, newDeliveryId, newKeyId, newRunId } from '#contract'
import type { Acceptance, DeadLetterId, DeliveryId, KeyRecord, RunId, SessionKey, Store } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, claiming, delivery, done, finishing, message, refOf, session, starting } from './given.ts'

const X = { code: 'X', message: 'It failed.' }

/** What one tenant has: all of it under names that the other has too. */
interface Things {
  readonly tenant: string
  readonly message: Acceptance
  readonly session: SessionKey
  readonly delivery: DeliveryId
  readonly posted: DeliveryId
  /** Of a message, of a delivery, of a run. */
  readonly letters: readonly [DeadLetterId, DeadLetterId, DeadLetterId]
  readonly key: KeyRecord
  readonly run: RunId
}

function of(tenant: string, text: string): Acceptance {
  const parts = { ...session('p'), tenant, key: asSessionKey(`tenant:${tenant}:${session('p').key}`) }
  const given = message('p', text)
  // A channel that tenants share names lanes so that none is that of two.
  return { ...given, tenant, session: parts, lane: `${tenant}/p`, envelope: { ...given.envelope, session: parts.key } }
}

async function accept(store: Store, given: Acceptance): Promise<SessionKey> {
  assert.deepEqual(await store.inbox.accept(given), { status: 'new' })
  return given.session?.key ?? assert.fail()
}

async function everythingOf(store: Store, tenant: string): Promise<Things> {
  const lost = of(tenant, `${tenant} lost`)
  const key = await accept(store, lost)
  const failed = await store.turns.claim(claiming(key))
  assert.ok(failed.status === 'claimed')
  const ofMessage = newDeadLetterId(T)
  await store.turns.fail(refOf(failed.turn), X, { deadLetter: ofMessage }, T)

  const given = of(tenant, `${tenant} asks`)
  await accept(store, given)
  const claim = await store.turns.claim(claiming(key))
  assert.ok(claim.status === 'claimed')
  await store.turns.startStep(starting(claim.turn, 'llm:1'))
  const part = delivery(claim.turn, `${tenant} is told`)
  const messages = [{ role: 'assistant', text: part.rendered.text }] as const
  await store.turns.finishStep(finishing(claim.turn, 'llm:1', { messages, end: done({ deliveries: [part] }) }))
  await store.outbox.sending(part.id, T)
  const ofDelivery = newDeadLetterId(T)
  await store.outbox.finish(part.id, { status: 'dead', failure: X, deadLetter: ofDelivery }, T)
  const posted = newDeliveryId(T)
  const words = { to: { chat: 'p' }, rendered: { text: `${tenant} posts` }, index: 0, of: 1 }
  await store.outbox.post([{ id: posted, tenant, channel: 'web', lane: `${tenant}/p`, ...words }], T)

  const record: KeyRecord = {
    id: newKeyId(T),
    tenant,
    name: 'ops',
    hash: tenant.padEnd(64, '0'),
    scopes: ['*'],
    roles: [],
    createdAt: T,
    createdBy: null,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
    previous: null,
  }
  await store.keys.add(record)
  await store.agents.put({ id: newAgentId(T), tenant, name: 'helper', declaration: { version: tenant }, createdAt: T })
  const run = newRunId(T)
  const asked = { asked: null, timeoutMs: null, traceparent: null, createdAt: T }
  const caller = { is: 'client', principal: 'ops' } as const
  await store.runs.add({ id: run, tenant, key: 'k', skill: 's', caller, effect: 'once', input: { of: tenant }, ...asked }, null)
  const outcome = { status: 'error', code: 'crashed', message: 'It died.' } as const
  const ended = { version: '1.0.0', attempts: 1, outcome, logs: '', now: T, dead: X, freesKey: false } as const
  await store.runs.finish(run, { status: 'failed', ...ended })
  const [ofRun] = await store.deadLetters.list({ tenant, kind: 'run' }, null, 9)
  assert.ok(ofRun)
  return { tenant, message: given, session: key, delivery: part.id, posted, letters: [ofMessage, ofDelivery, ofRun.id], key: record, run }
}

/** Everything that a tenant can read of its own, by the words of that tenant. */
async function seenBy(store: Store, { tenant, message: given, session: key, ...things }: Things): Promise<unknown> {
  return {
    messages: await store.inbox.list({ tenant }, null, 99),
    message: await store.inbox.get(tenant, given.envelope.id),
    whole: await store.inbox.whole(tenant, given.envelope.id),
    sessions: await store.sessions.list({ tenant }, null, 99),
    session: await store.sessions.get(tenant, key),
    words: await store.sessions.messages(tenant, key, null, 99),
    letters: await store.deadLetters.list({ tenant }, null, 99),
    letter: await Promise.all(things.letters.map((id) => store.deadLetters.get(tenant, id))),
    origin: await store.deadLetters.origin(tenant, things.letters[0]),
    deliveries: [await store.outbox.get(tenant, things.delivery), await store.outbox.get(tenant, things.posted)],
    lane: await store.inbox.repliesOfLane('web', `${tenant}/p`, 0, 99),
    runs: await store.runs.list({ tenant }, null, 99),
    run: await store.runs.get(tenant, things.run),
    keys: (await store.keys.list()).filter((each) => each.tenant === tenant),
    agents: (await store.agents.list()).filter((each) => each.tenant === tenant),
  }
}

const withTwo = (use: UseStore, run: (store: Store, mine: Things, theirs: Things) => Promise<void>): (() => Promise<void>) =>
  use(async ({ store }) => run(store, await everythingOf(store, 'default'), await everythingOf(store, 'acme')))

export function tenantSuite(use: UseStore): void {
  describe('tenants', () => {
    test(
      'are kept apart in every list, and find their own by its id',
      withTwo(use, async (store, mine, theirs) => {
        for (const [one, other] of [
          [mine, theirs],
          [theirs, mine],
        ] as const) {
          const seen = JSON.stringify(await seenBy(store, one))
          for (const id of [other.message.envelope.id, other.session, other.delivery, other.posted, ...other.letters, other.run])
            assert.ok(!seen.includes(`"${id}"`), `${one.tenant} sees ${id} of ${other.tenant}`)
          for (const word of ['asks', 'is told', 'lost', 'posts']) {
            assert.ok(seen.includes(`${one.tenant} ${word}`), `${one.tenant} does not find its own: ${word}`)
            assert.ok(!seen.includes(`${other.tenant} ${word}`), `${one.tenant} reads of ${other.tenant}: ${word}`)
          }
          assert.equal((await store.deadLetters.list({ tenant: one.tenant }, null, 99)).length, 3)
        }
        const ready = await store.inbox.readySessions({ now: T, after: 0, limit: 9 })
        assert.deepEqual(ready, [])
        await accept(store, of('acme', 'again'))
        const [waiting] = await store.inbox.readySessions({ now: T, after: 0, limit: 9 })
        assert.deepEqual([waiting?.tenant, waiting?.agent, waiting?.session], ['acme', 'main', theirs.session])
      }),
    )

    test(
      "read what is another's as what is not there",
      withTwo(use, async (store, mine, { tenant }) => {
        const { message: given, session: key, delivery: part, posted, letters, run } = mine
        assert.equal(await store.inbox.get(tenant, given.envelope.id), null)
        assert.equal(await store.inbox.whole(tenant, given.envelope.id), null)
        assert.deepEqual(await store.inbox.list({ tenant, session: key }, null, 9), [])
        assert.equal(await store.sessions.get(tenant, key), null)
        assert.deepEqual(await store.sessions.messages(tenant, key, null, 9), [])
        assert.equal(await store.outbox.get(tenant, part), null)
        assert.equal(await store.outbox.get(tenant, posted), null)
        assert.equal(await store.runs.get(tenant, run), null)
        for (const letter of letters) {
          assert.equal(await store.deadLetters.get(tenant, letter), null)
          assert.equal(await store.deadLetters.origin(tenant, letter), null)
        }
      }),
    )

    test(
      "change nothing of another's, and are answered as if it were not there",
      withTwo(use, async (store, mine, theirs) => {
        const { tenant } = theirs
        const before = await seenBy(store, mine)
        for (const letter of mine.letters) {
          assert.equal(await store.deadLetters.edit(tenant, letter, { text: 'changed' }), false)
          const route = { agent: 'main', session: theirs.message.session ?? assert.fail(), envelope: mine.message.envelope }
          assert.deepEqual(await store.deadLetters.replay({ tenant, id: letter, now: T, route }), { status: 'missing' })
          assert.equal(await store.deadLetters.discard(tenant, letter, T), 'missing')
        }
        assert.equal(await store.sessions.reset(tenant, mine.session, T), false)
        assert.equal(await store.keys.revoke(tenant, mine.key.id, T), false)
        const agent = { id: newAgentId(T), tenant, name: 'helper', declaration: { version: 'changed' }, createdAt: T }
        await store.agents.put(agent)
        assert.deepEqual(await seenBy(store, mine), before)
        // All of that does something where it may.
        assert.equal(await store.deadLetters.edit(mine.tenant, mine.letters[0], { text: 'changed' }), true)
        assert.equal(await store.deadLetters.discard(mine.tenant, mine.letters[0], T), 'discarded')
        assert.equal(await store.sessions.reset(mine.tenant, mine.session, T), true)
        assert.equal(await store.keys.revoke(mine.tenant, mine.key.id, T), true)
      }),
    )

    test(
      'have what is brought back brought back to themselves',
      withTwo(use, async (store, _, { tenant, message: given, letters }) => {
        const origin = await store.deadLetters.origin(tenant, letters[0])
        assert.equal(origin?.session?.tenant, tenant)
        const route = { agent: 'main', session: given.session ?? assert.fail(), envelope: origin?.envelope ?? assert.fail() }
        const replayed = await store.deadLetters.replay({ tenant, id: letters[0], now: T, route })
        assert.equal(replayed.status, 'replayed')
        assert.equal((await store.deadLetters.replay({ tenant, id: letters[1], now: T, route: null })).status, 'replayed')
        assert.equal((await store.deadLetters.replay({ tenant, id: letters[2], now: T, route: null })).status, 'replayed')
        assert.deepEqual(
          (await store.deadLetters.list({ tenant: 'default' }, null, 9)).map(({ status }) => status),
          ['open', 'open', 'open'],
        )
        assert.equal((await store.deadLetters.open()).count, 3, 'health counts those of all')
      }),
    )
  })
}
