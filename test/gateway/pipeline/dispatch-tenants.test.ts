/** Sessions of several tenants and several lives of the gateway: who takes up what, and what a line of the log says of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT, ModelError } from '#contract'
import type { Ending, Log, LogFields, Turn } from '#contract'
import { eventually } from '../../support/eventually.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { agent, reply, startHub } from '../../support/hub.ts'

test('agents of one name in two tenants have lanes, limits and counts of their own', async () => {
  const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const gate = Promise.withResolvers<void>()
  const turns: Turn[] = []
  const plain = agent()
  const one = { ...plain, limits: { ...plain.limits, maxConcurrentTurns: 1 } }
  const other = { ...one, tenant: 'acme' }
  const hub = await startHub({
    isShared: true,
    agents: [one, other],
    think: async (turn) => {
      begun[turns.push(turn) - 1]?.resolve()
      await gate.promise
      return reply('done')
    },
  })
  try {
    await hub.say('a', { tenant: DEFAULT_TENANT, agent: 'main' })
    await hub.say('b', { tenant: 'acme', agent: 'main' })
    await Promise.all(begun.map(({ promise }) => promise))
    assert.deepEqual(turns.map((turn) => turn.agent.tenant).sort(), ['acme', DEFAULT_TENANT])
    assert.deepEqual([hub.dispatch.runningOf(one), hub.dispatch.runningOf(other)], [1, 1])
    assert.equal(hub.dispatch.runningOf({ tenant: 'third', name: 'main' }), 0)
  } finally {
    gate.resolve()
    await hub.stop()
  }
})

test('a message is cancelled though somebody waits for it, and by its own tenant alone', async () => {
  const begun = Promise.withResolvers<void>()
  const hub = await startHub({
    think: (turn) =>
      new Promise((_, reject) => {
        begun.resolve()
        turn.signal.addEventListener('abort', () => reject(turn.signal.reason instanceof Error ? turn.signal.reason : new Error('aborted')))
      }),
  })
  try {
    const id = await hub.say('hello')
    await begun.promise
    const next = await hub.say('and more')
    hub.feed.onMessage(id, () => undefined)
    await hub.dispatch.cancel(DEFAULT_TENANT, id)
    assert.deepEqual(await Promise.all([hub.dispatch.stop('acme', id), hub.dispatch.stop('acme', next)]), ['missing', 'missing'])
    assert.equal((await hub.message(id)).status, 'running')
    assert.equal(await hub.dispatch.stop(DEFAULT_TENANT, next), 'told')
    assert.equal(await hub.dispatch.stop(DEFAULT_TENANT, id), 'told')
    for (const ended of [id, next]) {
      await hub.became(ended, 'done')
      assert.equal((await hub.message(ended)).reason?.code, 'CANCELLED')
      assert.equal(await hub.dispatch.stop(DEFAULT_TENANT, ended), 'over')
    }
    assert.deepEqual((await hub.store.outbox.counts()).pending, 0)
  } finally {
    await hub.stop()
  }
})

test("what waits when a gateway ends is taken up by its tenant's agent in the next", async () => {
  const other = agent({ tenant: 'acme' })
  const begun = Promise.withResolvers<void>()
  const hub = await startHub({
    isShared: true,
    agents: [agent(), other],
    think: (turn) =>
      new Promise((_, reject) => {
        begun.resolve()
        turn.signal.addEventListener('abort', () => reject(turn.signal.reason instanceof Error ? turn.signal.reason : new Error('aborted')))
      }),
  })
  await hub.say('b', { tenant: 'acme', agent: 'main' })
  await begun.promise
  await hub.stop(true)
  const taken = Promise.withResolvers<string>()
  const think = async (turn: Turn): Promise<Ending> => {
    taken.resolve(turn.agent.tenant)
    return reply('done')
  }
  const next = await startHub({ dir: hub.dir, clock: hub.clock, isShared: true, agents: [agent(), other], think })
  try {
    assert.equal(await taken.promise, 'acme')
  } finally {
    await next.stop()
  }
})

test('a line about a session says its hash, the same in every life, and never whose it is', async () => {
  const lines: LogFields[] = []
  const keep = (fields: LogFields): void => void lines.push(fields)
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log }
  const clock = new FakeClock()
  const failing = (): Promise<Ending> => Promise.reject(new ModelError('busy', { code: 'MODEL_OVERLOADED', retryable: true }))
  const first = await startHub({ clock, think: failing })
  const id = await first.say('hello', { lane: 'ann@example.com', sender: 'ann@example.com' })
  await first.became(id, 'retrying')
  const { session } = await first.message(id)
  await first.stop(true)
  assert.ok(session?.includes('ann'), `${session}`)
  clock.advance(60_000)
  // Nobody is called as the message's agent any more.
  for (const keeps of [true, false]) {
    const later = await startHub({ dir: first.dir, clock, log, agents: [agent({ name: 'other' })], fallback: null })
    const before = lines.length
    try {
      await eventually(() => lines.length > before, 'a line')
    } finally {
      await later.stop(keeps)
    }
  }
  const hashes = lines.map((fields) => fields['session_hash'])
  assert.match(JSON.stringify([...new Set(hashes)]), /^\["[0-9a-f]{16}"\]$/)
  assert.doesNotMatch(JSON.stringify(lines), /ann|example/)
})
