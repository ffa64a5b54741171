/** Agents registered over the API: how many there may be. What registering does is shown over HTTP (`test/gateway/http/admin.test.ts`). */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { RegisteredAgent } from '#contract'
import { RegisteredAgents } from '../../../gateway/pipeline/registered-agents.ts'
import type { RegisteredAgentsParts } from '../../../gateway/pipeline/registered-agents.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeLog } from '../http/double.ts'

test('a tenant registers a thousand agents and no more, replaces those it has, and takes nobody else’s place', async () => {
  const rows: RegisteredAgent[] = Array.from({ length: 1_000 }, (_, i) => ({
    id: `agent-${i}` as RegisteredAgent['id'],
    tenant: 'crowded',
    name: `a-${i}`,
    declaration: {},
    createdAt: 0,
  }))
  const parts = {
    store: {
      agents: {
        list: async () => rows,
        put: async (agent: RegisteredAgent) => {
          rows.push(agent)
          return agent
        },
        remove: async () => true,
      },
    },
    roster: { register: () => undefined },
    feed: { emit: () => undefined },
    clock: new FakeClock(),
    log: new FakeLog(),
    declared: (_: string, { name }: { readonly name?: unknown }) => ({ name: String(name) }),
  }
  const agents = new RegisteredAgents(parts as unknown as RegisteredAgentsParts)
  await assert.rejects(agents.register('crowded', { name: 'one-more' }), { code: 'TOO_MANY_AGENTS' })
  await agents.register('crowded', { name: 'a-7' })
  await agents.register('other', { name: 'one-more' })
})
