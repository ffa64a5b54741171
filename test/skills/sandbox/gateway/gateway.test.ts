/** The gateway's own skills, as a sandbox runs them: what they answer, what ends them, what is said of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonValue, SkillEvent } from '#contract'
import { GatewaySandbox } from '../../../../skills/sandbox/gateway/gateway.ts'
import { ownBundles } from '../../../../skills/sandbox/gateway/own.ts'
import type { InProcessSkill } from '../../../../skills/sandbox/gateway/in-process.ts'
import type { Job } from '../../../../skills/sandbox/sandbox.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { quietLog } from '../../../support/quiet-log.ts'
import { skillDescriptor } from '../../../support/skill.ts'

function sandboxOf(skills?: readonly InProcessSkill[]): {
  readonly clock: FakeClock
  readonly sandbox: GatewaySandbox
  readonly told: SkillEvent[]
  readonly jobOf: (id: string, input: JsonValue, signal?: AbortSignal) => Job
} {
  const clock = new FakeClock(1_700_000_000_000)
  const told: SkillEvent[] = []
  const bundles = ownBundles(skills)
  const jobOf = (id: string, input: JsonValue, signal: AbortSignal = new AbortController().signal): Job => {
    const bundle = bundles.find(({ descriptor }) => descriptor.id === id) ?? {
      digest: 'sha256-0',
      descriptor: skillDescriptor({ id }),
      files: {},
    }
    return {
      key: 'turn-1:c1',
      tenant: 'default',
      bundle,
      input,
      secrets: {},
      egress: [],
      grade: 'lease',
      timeoutMs: 500,
      traceparent: null,
      signal,
      tell: (event) => told.push(event),
      call: async () => assert.fail('it calls nothing'),
    }
  }
  return { clock, told, jobOf, sandbox: new GatewaySandbox({ clock, log: quietLog, ...(skills !== undefined && { skills }) }) }
}

const skillOf = (id: string, run: InProcessSkill['run']): InProcessSkill => ({ descriptor: skillDescriptor({ id }), run })
const TIMES = { queueMs: 0, startMs: 0, runMs: 0 }

test('clock tells the time and echo repeats', async () => {
  const { sandbox, jobOf, told } = sandboxOf()
  const now = { now: '2023-11-14T22:13:20.000Z', epoch_ms: 1_700_000_000_000 }
  assert.deepEqual(await sandbox.run(jobOf('clock', {})), { outcome: { status: 'ok', output: now, times: TIMES }, hasStarted: true })
  assert.deepEqual((await sandbox.run(jobOf('echo', { text: '🙂' }))).outcome, { status: 'ok', output: { text: '🙂' }, times: TIMES })
  assert.deepEqual(told, [{ is: 'started' }, { is: 'started' }])
})

test('a skill is told its key, and what it throws is an outcome', async () => {
  const { sandbox, jobOf } = sandboxOf([
    skillOf('key', (_input, { key }) => key),
    skillOf('throws', () => {
      throw new Error('no such city')
    }),
  ])
  assert.deepEqual((await sandbox.run(jobOf('key', null))).outcome, { status: 'ok', output: 'turn-1:c1', times: TIMES })
  assert.deepEqual((await sandbox.run(jobOf('throws', null))).outcome, {
    status: 'error',
    code: 'crashed',
    message: 'no such city',
    times: TIMES,
  })
})

test('time is bounded, whoever asked can end it, and so does a stop', async () => {
  const aborted: string[] = []
  const hang = skillOf('hang', (input, { signal }) => {
    signal.addEventListener('abort', () => aborted.push(typeof input === 'string' ? input : ''))
    return new Promise(() => undefined)
  })
  const { sandbox, jobOf, clock } = sandboxOf([hang])
  const late = sandbox.run(jobOf('hang', 'late'))
  clock.advance(500)
  const outcome = (await late).outcome
  assert.deepEqual([outcome.status === 'error' && outcome.code, outcome.times?.runMs], ['timeout', 500])
  const controller = new AbortController()
  const cancelled = sandbox.run(jobOf('hang', 'cancelled', controller.signal))
  controller.abort()
  const { outcome: second, hasStarted } = await cancelled
  assert.deepEqual([second.status === 'error' && second.code, hasStarted], ['cancelled', true])
  const stopped = sandbox.run(jobOf('hang', 'stopped'))
  await sandbox.stop()
  assert.equal((await stopped).outcome.status, 'error')
  assert.deepEqual(aborted, ['late', 'cancelled', 'stopped'])
  assert.equal((await sandbox.run(jobOf('hang', 'after'))).hasStarted, false)
  assert.equal(clock.pending, 0)
})

test('what is not its own it does not run, and it says plainly that it isolates nothing', async () => {
  const { sandbox, jobOf } = sandboxOf()
  const { outcome, hasStarted } = await sandbox.run(jobOf('stranger', {}))
  assert.deepEqual([outcome.status === 'error' && outcome.code, hasStarted], ['unavailable', false])
  const { isolates, leaves } = await sandbox.report()
  assert.deepEqual(isolates, [])
  assert.match(leaves[0] ?? '', /^Nothing is held off/)
  assert.equal(await sandbox.adopt(), null)
})
