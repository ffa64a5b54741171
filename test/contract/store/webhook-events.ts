/** What webhooks are told of, each in the transaction that caused it. */
import { newAgentId, newDeadLetterId, newRunId } from '#contract'
import type { JsonObject, Store } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted, answered, claimed, refOf, session } from './given.ts'
import { webhook } from './webhook-given.ts'

const X = { code: 'X', message: 'It failed.' }

/** All that was told, oldest first. */
async function told(store: Store): Promise<readonly { readonly type: string; readonly data: JsonObject }[]> {
  const { deliveries } = await store.webhooks.due(T + 1_000_000, [], 1_000)
  return deliveries.map(({ event }) => ({ type: event.type, data: event.data }))
}
const types = async (store: Store): Promise<readonly string[]> => (await told(store)).map(({ type }) => type)

export function webhookEventSuite(use: UseStore): void {
  describe('events', () => {
    test(
      'tell the way of a message, by ids and never by its words',
      use(async ({ store, crash }) => {
        await webhook(store)
        const { envelope } = await answered(store, 'ann', 'a s3cret question', 'a s3cret answer')
        const after = await crash()
        const all = await told(after)
        assert.deepEqual(
          all.map(({ type }) => type),
          ['message.received', 'message.queued', 'message.processed'].toSpliced(0, 0, 'session.created'),
        )
        const { key } = session('ann')
        assert.deepEqual(all[0]?.data, { session: key, agent: 'main', channel: 'web' })
        assert.deepEqual(all[1]?.data, { message_id: envelope.id, channel: 'web', agent: 'main', session: key })
        assert.deepEqual(all[3]?.data, { message_id: envelope.id, channel: 'web', agent: 'main', session: key, replies: 1, reason: null })
        assert.doesNotMatch(JSON.stringify(all), /s3cret/)
      }),
    )

    test(
      'tell a message once, however often it was handed in',
      use(async ({ store }) => {
        await webhook(store, { events: ['message.received'] })
        const given = await accepted(store, 'ann', 'hello', { key: 'k', fingerprint: 'f' })
        assert.equal((await store.inbox.accept(given)).status, 'duplicate')
        await accepted(store, 'ann', 'an edit', { isNews: true })
        assert.deepEqual(await types(store), ['message.received'])
      }),
    )

    test(
      'tell what failed, became a dead letter and was replayed',
      use(async ({ store }) => {
        await webhook(store, { events: ['message.failed', 'message.dead_lettered', 'message.replayed'] })
        const { envelope } = await accepted(store, 'ann', 'hello')
        const deadLetter = newDeadLetterId(T)
        await store.turns.fail(refOf(await claimed(store, 'ann')), X, { retryAt: T + 1 }, T)
        assert.deepEqual(await types(store), [])
        await store.turns.fail(refOf(await claimed(store, 'ann', { now: T + 1 })), X, { deadLetter }, T)
        await store.deadLetters.replay({
          tenant: 'default',
          id: deadLetter,
          now: T,
          route: { envelope, agent: 'main', session: session('ann') },
        })
        const all = await told(store)
        assert.deepEqual(
          all.map(({ type, data }) => [type, data['message_id'] ?? data['ref'], data['reason'] ?? data['dead_letter_id']]),
          [
            ['message.dead_lettered', envelope.id, 'X'],
            ['message.failed', envelope.id, 'X'],
            ['message.replayed', envelope.id, deadLetter],
          ],
        )
      }),
    )

    test(
      'tell a message that could never be handled as received and failed',
      use(async ({ store }) => {
        await webhook(store, { events: ['message.*'] })
        const origin = { account: 'world', peer: { kind: 'direct', id: 'p', thread: null } } as const
        await accepted(store, 'ann', 'hello', { agent: null, session: null, dead: { id: newDeadLetterId(T), reason: X, origin } })
        assert.deepEqual(await types(store), ['message.received', 'message.failed', 'message.dead_lettered'])
      }),
    )

    test(
      'tell agents, and runs of skills by their tenant',
      use(async ({ store }) => {
        await webhook(store, { events: ['agent.registered', 'skill.*'] })
        await store.agents.put({ tenant: 'default', id: newAgentId(T), name: 'helper', declaration: { name: 'helper' }, createdAt: T })
        const run = (tenant: string, key: string) => ({
          id: newRunId(T),
          tenant,
          key,
          skill: 'adder',
          asked: null,
          caller: { is: 'client', principal: 'ann' } as const,
          effect: 'none' as const,
          input: 'a s3cret',
          timeoutMs: null,
          traceparent: null,
          createdAt: T,
        })
        const end = {
          status: 'done' as const,
          version: '1.0.0',
          attempts: 1,
          outcome: { status: 'ok', output: 's3cret', times: { queueMs: 1, startMs: 1, runMs: 1 } } as const,
          logs: 's3cret',
          now: T,
          dead: null,
          freesKey: false,
        }
        const failed = { ...end, status: 'failed' as const, outcome: { status: 'error', code: 'crashed', message: 'It failed.' } as const }
        await store.runs.record([
          { run: run('default', 'a'), end, startedAt: T },
          { run: run('default', 'b'), end: failed, startedAt: T },
          { run: run('acme', 'c'), end, startedAt: T },
        ])
        const all = await told(store)
        assert.deepEqual(
          all.map(({ type, data }) => [type, data['agent'] ?? data['status']]),
          [
            ['agent.registered', 'helper'],
            ['skill.invoked', 'done'],
            ['skill.failed', 'failed'],
          ],
        )
        assert.doesNotMatch(JSON.stringify(all), /s3cret/)
      }),
    )
  })
}
