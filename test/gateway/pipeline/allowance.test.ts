/** What an agent may use, in a minute and in an hour: beyond it messages wait, and are answered in order when there is room again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FlowEvent } from '#contract'
import { Allowances } from '../../../gateway/pipeline/allowance.ts'
import { agent, startHub } from '../../support/hub.ts'

const untilOf = (allowances: Allowances, of: ReturnType<typeof agent>, now: number): number => allowances.waitOf(of, now)?.until ?? now

const allowed = (turnsPerMinute: number | null, tokensPerHour: number | null = null): ReturnType<typeof agent> => {
  const plain = agent()
  return { ...plain, limits: { ...plain.limits, turnsPerMinute, tokensPerHour } }
}

test('so many turns begin within any minute', () => {
  const allowances = new Allowances()
  const two = allowed(2)
  for (const at of [0, 10_000]) {
    assert.equal(untilOf(allowances, two, at), at)
    allowances.begun(two, at)
  }
  assert.equal(untilOf(allowances, two, 20_000), 60_000)
  assert.equal(untilOf(allowances, two, 60_000), 60_000)
  allowances.begun(two, 60_000)
  assert.equal(untilOf(allowances, two, 61_000), 70_000)
  assert.equal(untilOf(allowances, allowed(null), 61_000), 61_000)
  assert.equal(untilOf(allowances, { ...two, name: 'other' }, 61_000), 61_000, 'each agent for itself')
  assert.equal(untilOf(allowances, { ...two, tenant: 'other' }, 61_000), 61_000, 'also where another tenant has one of the same name')
})

test('when the tokens of an hour are used up, turns wait until the oldest minute of use has left it', () => {
  const allowances = new Allowances()
  const frugal = allowed(null, 100)
  allowances.spend(frugal, 60, 30_000)
  assert.equal(untilOf(allowances, frugal, 31_000), 31_000)
  allowances.spend(frugal, 60, 90_000)
  assert.equal(untilOf(allowances, frugal, 91_000), 3_600_000)
  assert.equal(untilOf(allowances, frugal, 3_600_000), 3_600_000)
})

test('a wait is new once, however many wait and however many turns begin meanwhile, until none had to wait for a minute', () => {
  const allowances = new Allowances()
  const two = allowed(2)
  for (const at of [0, 30_000]) allowances.begun(two, at)
  assert.deepEqual(allowances.waitOf(two, 31_000), { limit: 'events_per_minute', until: 60_000, isNew: true })
  assert.equal(allowances.waitOf(two, 32_000)?.isNew, false)
  assert.equal(allowances.waitOf(two, 60_000), null)
  allowances.begun(two, 60_000)
  assert.deepEqual(allowances.waitOf(two, 60_001), { limit: 'events_per_minute', until: 90_000, isNew: false })
  for (const at of [160_000, 160_001]) allowances.begun(two, at)
  assert.deepEqual(allowances.waitOf(two, 160_002), { limit: 'events_per_minute', until: 220_000, isNew: true })
  const frugal = allowed(null, 100)
  allowances.spend(frugal, 100, 0)
  assert.deepEqual(allowances.waitOf({ ...frugal, tenant: 'other' }, 1), null)
  allowances.spend({ ...frugal, name: 'other' }, 100, 0)
  assert.deepEqual(allowances.waitOf({ ...frugal, name: 'other' }, 1), { limit: 'llm_tokens_per_hour', until: 3_600_000, isNew: true })
  assert.equal(allowances.waitOf({ ...frugal, name: 'other' }, 3_599_999)?.isNew, false, 'an hour of waiting is one wait')
})

test('what comes beyond the limit waits without an attempt counted, and is answered in order', async (t) => {
  const hub = await startHub({ agents: [allowed(2)] })
  t.after(() => hub.stop())
  const ids = [await hub.say('one'), await hub.say('two'), await hub.say('three')]
  await hub.delivered(2)
  const [, , third] = ids
  assert.equal((await hub.message(third ?? assert.fail())).status, 'queued')
  hub.clock.advance(60_000)
  const parts = await hub.delivered(3)
  assert.deepEqual(
    parts.map(({ rendered }) => rendered.text),
    ['re: one', 're: two', 're: three'],
  )
  assert.equal((await hub.message(third ?? assert.fail())).attempts, 1)
})

const isExceeded = (event: FlowEvent): boolean => event.type === 'event' && event.name === 'budget.exceeded'

test('that messages begin to wait is told once, by event and count', async (t) => {
  const hub = await startHub({ agents: [allowed(1)] })
  t.after(() => hub.stop())
  const until = new Date(hub.clock.now() + 60_000).toISOString()
  for (const text of ['one', 'two', 'three']) await hub.say(text)
  await hub.delivered(1)
  await hub.saw(isExceeded)
  await hub.say('four')
  hub.clock.advance(60_000)
  await hub.delivered(2)
  assert.deepEqual(hub.events.filter(isExceeded), [
    { type: 'event', tenant: 'default', name: 'budget.exceeded', data: { agent: 'main', limit: 'events_per_minute', until } },
  ])
  assert.match(await hub.metrics.text(), /^openclaw_budget_exceeded_total\{agent="main",limit="events_per_minute"\} 1$/m)
})
