/** What of messages, agents and queues is measured on their way, by the names that dashboards and alerts know. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asMessageId, newMessageId, timeOf } from '#contract'
import { Registry } from '../../../gateway/observe/metrics.ts'
import { measureAgents } from '../../../gateway/pipeline/agent-metrics.ts'
import { measureQueues } from '../../../gateway/pipeline/queue-metrics.ts'
import { Roster } from '../../../gateway/pipeline/roster.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { agent, reply, startHub } from '../../support/hub.ts'
import type { Hub } from '../../support/hub.ts'

async function samples(metrics: Registry, pattern: RegExp): Promise<readonly string[]> {
  return (await metrics.text()).split('\n').filter((line) => !line.startsWith('#') && pattern.test(line))
}

const counted = (hub: Hub, stage: string): Promise<readonly string[]> =>
  samples(hub.metrics, new RegExp(`^openclaw_message_latency_seconds_(sum|count).*stage="${stage}"`))

test('a message is measured from stage to stage, by its channel', { timeout: 20_000 }, async () => {
  const hub = await startHub({
    think: async () => {
      hub.clock.advance(2_000)
      return reply('done')
    },
    send: async () => {
      hub.clock.advance(500)
      return { id: 'p' }
    },
  })
  const id = await hub.say('hello')
  await hub.delivered(1)
  await hub.became(id, 'done')
  // Measured once the row says that it was sent.
  while ((await counted(hub, 'total')).length === 0) await new Promise((resolve) => setImmediate(resolve))
  await hub.stop()
  const sum = (stage: string, value: number): readonly string[] =>
    ['sum', 'count'].map((which) => {
      const labels = `{channel="wire",stage="${stage}"}`
      return `openclaw_message_latency_seconds_${which}${labels} ${which === 'sum' ? value : 1}`
    })
  for (const [stage, seconds] of [
    ['accept', 0],
    ['queue', 0],
    ['turn', 2],
    ['deliver', 0.5],
    ['total', 2.5],
  ] as const)
    assert.deepEqual(await counted(hub, stage), sum(stage, seconds))
  assert.deepEqual(await samples(hub.metrics, /^openclaw_events_(consumed|emitted)_total/), [
    'openclaw_events_consumed_total{agent="main"} 1',
    'openclaw_events_emitted_total{agent="main"} 1',
  ])
})

test('a turn that ends in silence is over when it ends', async () => {
  const hub = await startHub({ think: async () => ({ outcome: { kind: 'silence' } }) })
  await hub.became(await hub.say('hello'), 'done')
  await hub.stop()
  assert.equal((await counted(hub, 'total')).length, 2)
  assert.deepEqual(await samples(hub.metrics, /^openclaw_events_emitted_total/), ['openclaw_events_emitted_total{agent="main"} 0'])
})

test('what waits and what was given up is counted from the rows', async () => {
  const hub = await startHub({ fallback: null })
  measureQueues({ metrics: hub.metrics, store: hub.store, running: () => 0 })
  await hub.say('nobody takes it')
  await hub.say('nor this')
  const pattern = /^(queue_depth|openclaw_events_pending|openclaw_dead_letters)/
  const wanted = [
    'queue_depth 0',
    'openclaw_events_pending 0',
    'openclaw_dead_letters_total 2',
    'openclaw_dead_letters{kind="message"} 2',
    'openclaw_dead_letters{kind="delivery"} 0',
    'openclaw_dead_letters{kind="run"} 0',
    'openclaw_dead_letters{kind="webhook"} 0',
  ]
  // Looked at again it is not counted again.
  const looks = [await samples(hub.metrics, pattern), await samples(hub.metrics, pattern)]
  await hub.stop()
  assert.deepEqual(looks, [wanted, wanted])
})

test('every agent has one series of uptime, which its status moves, 0 while it is down', async () => {
  const clock = new FakeClock()
  const metrics = new Registry()
  const roster = new Roster([agent({ name: 'a' }), agent({ name: 'b' })])
  let isUp = true
  let starts = 0
  measureAgents({
    metrics,
    clock,
    roster,
    runningOf: (name) => (name === 'a' ? 1 : 0),
    modelsOf: () => [],
    isUp: () => isUp,
    starts: () => starts,
  })
  clock.advance(60_000)
  const uptime = (): Promise<readonly string[]> => samples(metrics, /^openclaw_agent_uptime_seconds/)
  assert.deepEqual(await uptime(), [
    'openclaw_agent_uptime_seconds{agent="a",status="running"} 60',
    'openclaw_agent_uptime_seconds{agent="b",status="idle"} 60',
  ])
  isUp = false
  roster.declare([agent({ name: 'b' })])
  assert.deepEqual(await uptime(), ['openclaw_agent_uptime_seconds{agent="b",status="down"} 0'])
  assert.deepEqual(await samples(metrics, /^openclaw_restarts_total/), [], 'not before it is known')
  starts = 4
  await metrics.text()
  assert.deepEqual(await samples(metrics, /^openclaw_restarts_total/), ['openclaw_restarts_total{agent="b"} 3'])
})

test('runs, failures and costs of every agent begin at 0, so that the first one is seen; of many agents, not of all', async () => {
  const clock = new FakeClock()
  const metrics = new Registry()
  const roster = new Roster([agent({ name: 'a' })])
  const modelsOf = (): readonly string[] => ['p/x', 'p/y']
  measureAgents({ metrics, clock, roster, runningOf: () => 0, modelsOf, isUp: () => true, starts: () => 1 })
  const pattern = /^openclaw_(agent_runs|agent_runs_failed|llm_cost_usd)_total/
  const wanted = [
    'openclaw_agent_runs_total{agent="a"} 0',
    'openclaw_agent_runs_failed_total{agent="a"} 0',
    'openclaw_llm_cost_usd_total{agent="a",model="p/x"} 0',
    'openclaw_llm_cost_usd_total{agent="a",model="p/y"} 0',
  ]
  assert.deepEqual((await samples(metrics, pattern)).toSorted(), wanted.toSorted())
  metrics.counter({ name: 'openclaw_agent_runs_failed_total', help: 'Turns that failed.', labels: ['agent'] }).inc(['a'])
  assert.ok((await samples(metrics, pattern)).includes('openclaw_agent_runs_failed_total{agent="a"} 1'), 'and are begun once')
  roster.declare(Array.from({ length: 600 }, (_, n) => agent({ name: `agent-${n}` })))
  const many = (await samples(metrics, pattern)).length
  assert.ok(many > 400 && many <= 800, `${many} series`)
})

test('an id knows when it was made', () => {
  for (const at of [0, 1, 1_793_000_000_123]) assert.equal(timeOf(newMessageId(at)), at)
  assert.equal(timeOf(asMessageId('msg-00000000010000000000000000')), 1)
})
