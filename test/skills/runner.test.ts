import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT, asSessionKey } from '#contract'
import type { JsonValue, SkillRun } from '#contract'
import type { InProcessSkill } from '../../skills/in-process.ts'
import { InProcessSkills } from '../../skills/runner.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { quietLog } from '../support/quiet-log.ts'
import { skillDescriptor } from '../support/skill.ts'

const runOf = (skill: string, input: JsonValue, signal: AbortSignal = new AbortController().signal): SkillRun => ({
  skill,
  input,
  key: 'turn-1:c1',
  attempt: 1,
  tenant: DEFAULT_TENANT,
  caller: { is: 'agent', agent: 'main', session: asSessionKey('s') },
  signal,
})

function skillOf(id: string, run: InProcessSkill['run']): InProcessSkill {
  return { descriptor: skillDescriptor({ id, outputs: { type: 'number' }, timeoutMs: 500 }), run }
}

test('clock tells the time and echo repeats', async () => {
  const skills = new InProcessSkills({ clock: new FakeClock(1_700_000_000_000), log: quietLog })
  assert.deepEqual(await skills.run(runOf('clock', {})), {
    status: 'ok',
    output: { now: '2023-11-14T22:13:20.000Z', epoch_ms: 1_700_000_000_000 },
  })
  assert.deepEqual(await skills.run(runOf('echo', { text: '🙂' })), { status: 'ok', output: { text: '🙂' } })
  assert.deepEqual(
    skills.list().map(({ id, effect }) => [id, effect]),
    [
      ['clock', 'none'],
      ['echo', 'idempotent'],
    ],
  )
})

test('input that breaks the schema is told where, and nothing runs', async () => {
  const skills = new InProcessSkills({ clock: new FakeClock(), log: quietLog })
  const outcome = await skills.run(runOf('echo', { text: 7 }))
  assert.deepEqual(outcome, { status: 'error', code: 'invalid_input', message: '#/text must be string' })
  assert.equal((await skills.run(runOf('clock', { zone: 'x' }))).status, 'error')
  assert.equal((await skills.run(runOf('echo', null))).status, 'error')
})

test('what goes wrong is an outcome', async () => {
  const bad = [
    skillOf('throws', () => {
      throw new Error('boom')
    }),
    skillOf('lies', () => 'no number'),
  ]
  const skills = new InProcessSkills({ clock: new FakeClock(), log: quietLog, skills: bad })
  assert.deepEqual(await skills.run(runOf('throws', {})), { status: 'error', code: 'crashed', message: 'boom' })
  assert.deepEqual(await skills.run(runOf('lies', {})), { status: 'error', code: 'invalid_output', message: '# must be number' })
  assert.deepEqual(await skills.run(runOf('absent', {})), { status: 'error', code: 'not_found', message: 'there is no skill "absent"' })
})

test('a skill that takes too long, is aborted, or outlives the gateway is ended and says which', async () => {
  const clock = new FakeClock()
  const signals: AbortSignal[] = []
  const waits = skillOf('waits', (_input, { signal }) => {
    signals.push(signal)
    return new Promise<number>(() => {})
  })
  const skills = new InProcessSkills({ clock, log: quietLog, skills: [waits] })
  const started = async (count: number): Promise<void> => {
    while (signals.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
  const late = skills.run(runOf('waits', {}))
  await started(1)
  clock.advance(500)
  assert.deepEqual(await late, { status: 'error', code: 'timeout', message: 'it took longer than 500 ms' })
  const stop = new AbortController()
  const aborted = skills.run(runOf('waits', {}, stop.signal))
  await started(2)
  stop.abort()
  assert.equal((await aborted).status === 'error' && 'cancelled', 'cancelled')
  const outliving = skills.run(runOf('waits', {}))
  await started(3)
  await skills.stop()
  assert.deepEqual(await outliving, { status: 'error', code: 'cancelled', message: 'it was stopped' })
  assert.ok(signals.every((signal) => signal.aborted))
  assert.equal(clock.pending, 0)
})
