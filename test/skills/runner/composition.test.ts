/** Skills that call skills, and skills that the operator runs around others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonValue, SkillOutcome } from '#contract'
import type { Job } from '../../../skills/sandbox/sandbox.ts'
import { bad, codeOf, hang, messageOf, ok, worldOf } from './given.ts'

const textOf = (value: JsonValue): string => (typeof value === 'string' ? value : JSON.stringify(value))
const outputOf = (outcome: SkillOutcome): JsonValue => (outcome.status === 'ok' ? outcome.output : `${outcome.code}: ${outcome.message}`)
/** Calls that skill and answers what it answered. */
const calling =
  (skill: string) =>
  async ({ call, input }: Job) =>
    ok(outputOf(await call(skill, input, 1)))

test('a skill calls another, which knows who called it and has a key of its own', async () => {
  const world = worldOf({
    skills: {
      upper: { run: ({ input }) => ok(JSON.stringify(input).toUpperCase()) },
      twice: { run: async ({ call }) => ok([outputOf(await call('upper', 'a', 1)), outputOf(await call('upper', 'b', 2))]) },
    },
  })
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  assert.deepEqual(outputOf(await world.run('twice', 'in', { key: 'k', traceparent })), ['"A"', '"B"'])
  assert.deepEqual(
    world.sandbox.jobs.map((job) => job.traceparent),
    [traceparent, traceparent, traceparent],
    'and the same trace',
  )
  assert.deepEqual(
    world.ended.map(({ run }) => [run.skill, run.key, run.caller]),
    [
      ['upper', 'k/1', { is: 'skill', chain: ['twice'], root: 'k' }],
      ['upper', 'k/2', { is: 'skill', chain: ['twice'], root: 'k' }],
      ['twice', 'k', { is: 'client', principal: 'ann' }],
    ],
  )
})

test('no skill is called by what it calls, none goes deeper than five, and one call leads to no more than 64', async () => {
  const world = worldOf({
    skills: {
      loop: { run: calling('loop') },
      ping: { run: calling('pong') },
      pong: { run: calling('ping') },
      ...Object.fromEntries([1, 2, 3, 4, 5].map((at) => [`s${at}`, { run: calling(`s${at + 1}`) }])),
      s6: {},
      greedy: {
        run: async ({ call }) => {
          const all = await Promise.all(Array.from({ length: 70 }, (_, at) => call('s6', 1, at + 1)))
          return ok(all.filter(({ status }) => status === 'ok').length)
        },
      },
    },
  })
  assert.match(textOf(outputOf(await world.run('loop'))), /^refused: .* above this one: loop → loop\.$/)
  assert.match(textOf(outputOf(await world.run('ping'))), /^refused: .* above this one: ping → pong → ping\.$/)
  assert.match(textOf(outputOf(await world.run('s1'))), /^refused: Skills call each other 5 deep/)
  assert.equal(outputOf(await world.run('s2')), 'in')
  assert.equal(outputOf(await world.run('greedy')), 64)
})

test('callers that fill all places do not lock each other out', async () => {
  const world = worldOf({ skills: { outer: { run: calling('inner') }, inner: {} }, settings: { maxConcurrent: 2 } })
  const all = await Promise.all(Array.from({ length: 8 }, () => world.run('outer')))
  assert.deepEqual([...new Set(all.map(outputOf))], ['in'])
})

test('what is called has the time that its caller has left, and ends with it', async () => {
  const world = worldOf({
    skills: {
      outer: {
        timeoutMs: 1_000,
        run: async ({ call, tell }) => {
          tell({ is: 'started' })
          world.clock.advance(400)
          void call('inner', 1, 1)
          await world.sandbox.came(2)
          return ok()
        },
      },
      inner: { run: hang },
    },
  })
  assert.equal(codeOf(await world.run('outer')), 'ok')
  assert.equal(world.sandbox.jobs[1]?.timeoutMs, 600)
  assert.equal(world.sandbox.jobs[1]?.signal.aborted, true)
})

test('a hook before may change the input or refuse, and one that fails lets nothing through', async () => {
  const hooked = (run: (job: Job) => ReturnType<typeof ok>): ReturnType<typeof worldOf> =>
    worldOf({
      skills: { guard: { run }, it: { inputs: { type: 'string' } }, outer: { run: calling('it') } },
      settings: { hooks: { before: ['guard'], after: [] } },
    })
  const plain = hooked(() => ok({}))
  assert.equal(outputOf(await plain.run('it', 'a', { key: 'k' })), 'a')
  const [told] = plain.sandbox.jobs
  assert.deepEqual(
    [told?.input, told?.key],
    [{ skill: 'it', tenant: 'default', version: '1.0.0', input: 'a', caller: { is: 'client', principal: 'ann' } }, 'k/before/guard'],
  )
  assert.equal(outputOf(await hooked(() => ok({ input: 'changed' })).run('it')), 'changed')
  assert.equal(codeOf(await hooked(() => ok({ input: 7 })).run('it')), 'invalid_input')
  const refused = await hooked(() => ok({ refuse: 'not on sundays' })).run('it')
  assert.deepEqual([codeOf(refused), messageOf(refused)], ['refused', 'The hook "guard" refuses it: not on sundays'])
  assert.equal(codeOf(await hooked(() => bad('timeout')).run('it')), 'refused')
  assert.equal(codeOf(await hooked(() => ok({ refuse: 'no' })).run('guard')), 'ok', 'a hook does not guard itself')
  // Also what a skill calls is guarded.
  const inner = hooked(({ input }) => ok(JSON.stringify(input).includes('"skill":"it"') ? { refuse: 'inner' } : {}))
  assert.match(textOf(outputOf(await inner.run('outer'))), /^refused: .*inner/)
})

test('hooks are not hooked, and neither is what they call', async () => {
  const world = worldOf({
    skills: { guard: { run: calling('lookup') }, lookup: { run: () => ok({}) }, other: { run: () => ok({}) }, it: {} },
    settings: { hooks: { before: ['guard', 'other'], after: [] } },
  })
  assert.equal(codeOf(await world.run('it')), 'ok')
  assert.deepEqual(
    world.sandbox.jobs.map(({ bundle }) => bundle.descriptor.id),
    ['guard', 'lookup', 'other', 'it'],
  )
})

test('a hook after is told what came of it, and changes nothing', async () => {
  const world = worldOf({
    skills: { audit: { run: () => bad('timeout') }, it: {} },
    settings: { hooks: { before: [], after: ['audit'] } },
  })
  assert.equal(outputOf(await world.run('it', 'a', { key: 'k' })), 'a')
  await world.sandbox.came(2)
  const { input, key } = world.sandbox.jobs[1] ?? assert.fail()
  const outcome = { status: 'ok', output: 'a', times: { queueMs: 1, startMs: 2, runMs: 3 } }
  assert.deepEqual(
    [input, key],
    [
      { skill: 'it', tenant: 'default', version: '1.0.0', input: 'a', outcome, caller: { is: 'client', principal: 'ann' } },
      'k/after/audit',
    ],
  )
  await world.runner.stop()
})

test("a secret that a skill hands on to another is in nothing that is kept of that one's run", async () => {
  const secret = 'tok-5f2c9a'
  const added: unknown[] = []
  const store: NonNullable<Parameters<typeof worldOf>[0]['store']> = {
    add: async (run) => {
      added.push(run.input)
      return null
    },
    finish: async (_id, end) => void added.push(end.outcome, end.logs),
  }
  const world = worldOf({
    store,
    skills: {
      outer: {
        secrets: ['token'],
        run: async ({ call, secrets }) => {
          const input = { headers: { authorization: `Bearer ${secrets['token']}` } }
          const outcomes = [await call('pure', input, 1), await call('pay', input, 2), await call('crash', input, 3)]
          return ok(outcomes.map(outputOf))
        },
      },
      pure: { effect: 'none', run: ({ input }) => ok(input) },
      pay: {
        effect: 'once',
        run: ({ input, tell }) => {
          tell({ is: 'log', stream: 'stdout', text: JSON.stringify(input) })
          return ok(input)
        },
      },
      crash: { effect: 'none', run: ({ input }) => bad('timeout', true, JSON.stringify(input)) },
      guard: { effect: 'none', run: () => ok({}) },
    },
    settings: {
      entries: { outer: { isEnabled: true, network: null, secrets: { token: secret }, grade: null, tenants: ['*'] } },
      hooks: { before: ['guard'], after: ['guard'] },
    },
  })
  assert.equal(codeOf(await world.run('outer')), 'ok')
  await world.sandbox.came(9)
  await world.runner.stop()
  const inner = world.sandbox.jobs.find(({ bundle }) => bundle.descriptor.id === 'pure')
  assert.deepEqual(inner?.input, { headers: { authorization: `Bearer ${secret}` } }, 'the skill that is called gets it')
  const kept = JSON.stringify([added, world.ended.map(({ run, execution }) => [run.input, execution.outcome, execution.logs])])
  assert.ok(kept.includes('[secret]'))
  assert.ok(!kept.includes(secret), kept)
})
