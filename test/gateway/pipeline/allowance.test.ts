/** What an agent may use, in a minute and in an hour: beyond it messages wait, and are answered in order when there is room again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Allowances } from '../../../gateway/pipeline/allowance.ts'
import { agent, startHub } from '../../support/hub.ts'

const allowed = (turnsPerMinute: number | null, tokensPerHour: number | null = null): ReturnType<typeof agent> => {
  const plain = agent()
  return { ...plain, limits: { ...plain.limits, turnsPerMinute, tokensPerHour } }
}

test('so many turns begin within any minute', () => {
  const allowances = new Allowances()
  const two = allowed(2)
  for (const at of [0, 10_000]) {
    assert.equal(allowances.mayBeginAt(two, at), at)
    allowances.begun(two, at)
  }
  assert.equal(allowances.mayBeginAt(two, 20_000), 60_000)
  assert.equal(allowances.mayBeginAt(two, 60_000), 60_000)
  allowances.begun(two, 60_000)
  assert.equal(allowances.mayBeginAt(two, 61_000), 70_000)
  assert.equal(allowances.mayBeginAt(allowed(null), 61_000), 61_000)
  assert.equal(allowances.mayBeginAt({ ...two, name: 'other' }, 61_000), 61_000, 'each agent for itself')
  assert.equal(allowances.mayBeginAt({ ...two, tenant: 'other' }, 61_000), 61_000, 'also where another tenant has one of the same name')
})

test('when the tokens of an hour are used up, turns wait until the oldest minute of use has left it', () => {
  const allowances = new Allowances()
  const frugal = allowed(null, 100)
  allowances.spend(frugal, 60, 30_000)
  assert.equal(allowances.mayBeginAt(frugal, 31_000), 31_000)
  allowances.spend(frugal, 60, 90_000)
  assert.equal(allowances.mayBeginAt(frugal, 91_000), 3_600_000)
  assert.equal(allowances.mayBeginAt(frugal, 3_600_000), 3_600_000)
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
