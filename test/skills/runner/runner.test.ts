/** One run from its beginning to its end: schemas, places, attempts, times, secrets, cancelling. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SkillEvent } from '#contract'
import { asSessionKey } from '#contract'
import { defaultSettings } from '../../../skills/settings.ts'
import { bad, codeOf, hang, messageOf, ok, runOf, worldOf } from './given.ts'
import type { ScriptedSkill, World } from './given.ts'

const pendingOf = ({ clock }: World): number => clock.pending

test('a skill is run with what it needs, and its times are told', async () => {
  const world = worldOf({
    skills: { add: { network: { allow: ['a.example', 'b.example:8080'] }, secrets: ['TOKEN'], run: () => ok({ sum: 3 }) } },
    settings: {
      entries: {
        add: {
          isEnabled: true,
          network: ['*.c.example', 'a.example'],
          secrets: { TOKEN: 'hunter22', OTHER: 'x' },
          grade: 'fresh',
          tenants: ['*'],
        },
      },
    },
  })
  const outcome = await world.run('add', { a: 1 }, { key: 'k1', timeoutMs: 700 })
  assert.deepEqual(outcome, { status: 'ok', output: { sum: 3 }, times: { queueMs: 1, startMs: 2, runMs: 3 } })
  const [job] = world.sandbox.jobs
  assert.deepEqual(
    [job?.key, job?.tenant, job?.input, job?.timeoutMs, job?.grade, job?.secrets],
    ['k1', 'default', { a: 1 }, 700, 'fresh', { TOKEN: 'hunter22' }],
  )
  assert.deepEqual(job?.egress, ['a.example:80', 'a.example:443', 'b.example:8080', '*.c.example:80', '*.c.example:443'])
  assert.deepEqual(world.library.observed, ['add ok 3'])
  assert.match(await world.metrics.text(), /openclaw_skill_runs_total\{code="ok"\} 1/)
  assert.equal(pendingOf(world), 0)
})

test('what cannot be run is told before anything happens', async () => {
  const { run, sandbox } = worldOf({
    skills: {
      typed: { inputs: { type: 'string' } },
      broken: {},
      secret: { secrets: ['A', 'B'] },
      python: { runtime: { language: 'python', entrypoint: 'x.py' } },
      javascript: { runtime: { language: 'javascript', entrypoint: 'x.js' } },
    },
    settings: { entries: { secret: { isEnabled: true, network: null, secrets: { B: 'given' }, grade: null, tenants: ['*'] } } },
  })
  assert.match(messageOf(await run('nobody')), /no skill "nobody"/)
  assert.match(messageOf(await run('typed', 'x', { version: '^7' })), /no version \^7 of skill "typed"/)
  assert.equal(codeOf(await run('typed', 7)), 'invalid_input')
  assert.equal(codeOf(await run('broken')), 'unavailable')
  const missing = await run('secret')
  assert.deepEqual(
    [codeOf(missing), messageOf(missing).includes('`skills.entries.secret.secrets.A`'), messageOf(missing).includes('.B`')],
    ['unavailable', true, false],
  )
  const python = await run('python')
  assert.equal(codeOf(python), 'unavailable')
  assert.match(messageOf(python), /Install Docker .* or bubblewrap/)
  assert.equal(codeOf(await run('javascript')), 'unavailable')
  assert.deepEqual(sandbox.jobs, [])
})

test('output that breaks its schema is no output', async () => {
  const world = worldOf({ skills: { typed: { outputs: { type: 'string' }, run: () => ok(7) } } })
  const outcome = await world.run('typed')
  assert.deepEqual([codeOf(outcome), outcome.times], ['invalid_output', { queueMs: 1, startMs: 2, runMs: 3 }])
})

/** So many attempts until it works. */
async function tries(
  skill: ScriptedSkill,
  world: World = worldOf({ skills: { it: skill } }),
): Promise<readonly [code: string, jobs: number]> {
  const over = world.run('it').then(codeOf)
  const end = Symbol('end')
  for (let turn = 0; turn < 400; turn++) {
    const first = await Promise.race([over, new Promise((resolve) => setImmediate(resolve, end))])
    if (first !== end) break
    if (world.clock.pending > 0) world.clock.advance(50)
  }
  const code = await over
  assert.equal(pendingOf(world), 0)
  return [code, world.sandbox.jobs.length]
}

test('what died is tried again where that is harmless, three times at most', async () => {
  assert.deepEqual(await tries({ effect: 'none', run: () => bad('crashed') }), ['crashed', 3])
  assert.deepEqual(await tries({ effect: 'idempotent', run: () => bad('protocol') }), ['protocol', 3])
  assert.deepEqual(await tries({ effect: 'once', run: () => bad('crashed') }), ['crashed', 1])
  assert.deepEqual(await tries({ effect: 'once', run: () => bad('crashed', false) }), ['crashed', 3])
  for (const code of ['timeout', 'oom', 'invalid_output', 'output_limit', 'egress_denied', 'deps_failed', 'cancelled'] as const) {
    assert.deepEqual(await tries({ effect: 'none', run: () => bad(code) }), [code, 1])
  }
  let left = 2
  const world = worldOf({ skills: { it: { effect: 'none', run: () => (left-- > 0 ? bad('crashed') : ok()) } } })
  assert.deepEqual(await tries({}, world), ['ok', 3])
  const { execution } = world.ended[0] ?? assert.fail()
  assert.equal(execution.attempts, 3)
  // Two pauses of half of 100 and of 200 ms (chance is 0), one moved by 50 more: all of it is told, and the attempts' own times are summed.
  assert.ok((execution.outcome.times?.queueMs ?? 0) >= 3 + 150, JSON.stringify(execution.outcome.times))
  assert.deepEqual([execution.outcome.times?.startMs, execution.outcome.times?.runMs], [6, 9])
})

test('a sandbox that is not there now is waited for as long as the call may take, which is no attempt', async () => {
  let left = 6
  const world = worldOf({ skills: { it: { effect: 'once', run: () => (left-- > 0 ? bad('busy', false) : ok()) } } })
  assert.deepEqual(await tries({}, world), ['ok', 7])
  assert.equal(world.ended[0]?.execution.attempts, 1)
  const [code, jobs] = await tries({ timeoutMs: 2_000, run: () => bad('unavailable', false) })
  assert.equal(code, 'unavailable')
  assert.ok(jobs > 4 && jobs < 12, String(jobs))
})

test('the places are bounded, and a tenant that waits takes turns with the others', async () => {
  const order: string[] = []
  const release: (() => void)[] = []
  const world = worldOf({
    skills: {
      slow: {
        run: async ({ tenant, key }) => {
          order.push(`${tenant} ${key}`)
          await new Promise<void>((resolve) => release.push(resolve))
          return ok()
        },
      },
    },
    settings: { maxConcurrent: 1, maxQueued: 4, queueMs: 1_000 },
  })
  const many = ['a1', 'a2', 'a3'].map((key) => world.run('slow', 'in', { tenant: 'a', key }))
  await world.sandbox.came(1)
  const other = world.run('slow', 'in', { tenant: 'b', key: 'b1' })
  const controller = new AbortController()
  const gone = world.run('slow', 'in', { tenant: 'b', key: 'b2', signal: controller.signal })
  await new Promise(setImmediate)
  const full = await world.run('slow', 'in', { tenant: 'c' })
  assert.deepEqual([codeOf(full), messageOf(full)], ['busy', '1 skills run and 4 wait. Come back later.'])
  controller.abort()
  assert.equal(codeOf(await gone), 'cancelled')
  for (let count = 2; count <= 3; count++) {
    release.shift()?.()
    await world.sandbox.came(count)
  }
  assert.deepEqual(order, ['a tenant:a:a1', 'a tenant:a:a2', 'b tenant:b:b1'])
  world.clock.advance(1_000)
  assert.equal(codeOf((await many[2]) ?? assert.fail()), 'busy')
  release.shift()?.()
  assert.deepEqual([codeOf(await other), codeOf((await many[0]) ?? assert.fail())], ['ok', 'ok'])
  assert.equal(pendingOf(world), 0)
})

test('other bounds are in force at once, for those that wait too', async () => {
  const settings = { ...defaultSettings, maxConcurrent: 1, maxQueued: 1 }
  const world = worldOf({ skills: { slow: { run: hang } }, settings })
  const ending = new AbortController()
  const runs = ['a', 'b'].map((tenant) => world.run('slow', 'in', { tenant, signal: ending.signal }))
  await world.sandbox.came(1)
  assert.equal(codeOf(await world.run('slow')), 'busy')
  world.change({ ...settings, maxConcurrent: 2 })
  await world.sandbox.came(2)
  ending.abort()
  assert.deepEqual((await Promise.all(runs)).map(codeOf), ['cancelled', 'cancelled'])
})

test('one that is cancelled is told to stop, and what does not stop is left behind', async () => {
  const world = worldOf({ skills: { hang: { run: hang }, deaf: { run: () => new Promise(() => undefined) } } })
  const controller = new AbortController()
  const cancelled = world.run('hang', 'in', { signal: controller.signal })
  await world.sandbox.came(1)
  controller.abort()
  assert.equal(codeOf(await cancelled), 'cancelled')
  const deaf = world.run('deaf')
  await world.sandbox.came(2)
  world.clock.advance(10_000 + 120_000)
  world.clock.advance(5_000)
  assert.equal(codeOf(await deaf), 'timeout')
  assert.equal(pendingOf(world), 0)
})

test('secrets are taken out of output, logs, progress and errors, however they are written', async () => {
  const secret = 's3cr&t "pass" wört'
  const forms = [
    secret,
    Buffer.from(`user:${secret}`).toString('base64'),
    Buffer.from(`us:${secret}!`).toString('base64url'),
    Buffer.from(secret).toString('hex'),
    encodeURIComponent(secret),
    new URLSearchParams({ q: 'x' }).toString() + encodeURIComponent(secret).replaceAll('%20', '+'),
    JSON.stringify({ nested: secret }),
  ]
  const events: SkillEvent[] = []
  const settings = { entries: { leak: { isEnabled: true, network: null, secrets: { TOKEN: secret }, grade: null, tenants: ['*'] } } }
  const world = worldOf({
    skills: {
      leak: {
        effect: 'once',
        secrets: ['TOKEN'],
        run: ({ tell, input }) => {
          for (const form of forms) {
            // In two pieces, as a pipe may cut it.
            tell({ is: 'log', stream: 'stdout', text: `> ${form.slice(0, 9)}` })
            tell({ is: 'log', stream: 'stdout', text: `${form.slice(9)}\n` })
          }
          tell({ is: 'log', stream: 'stderr', text: `end ${secret.slice(0, 7)}` })
          tell({ is: 'progress', data: { [secret]: [secret] } })
          return input === 'throw' ? bad('crashed', true, `it was ${secret}`) : ok({ forms, [secret]: 1 })
        },
      },
    },
    settings,
  })
  const outcome = await world.run('leak', 'in', { watch: (event) => events.push(event) })
  const { logs } = world.ended[0]?.execution ?? assert.fail()
  const all = JSON.stringify([outcome, events, logs])
  for (const form of [
    secret,
    'pass',
    Buffer.from(secret).toString('hex'),
    Buffer.from(secret.slice(3, 12)).toString('base64').slice(0, 8),
  ]) {
    assert.ok(!all.includes(form), `${form} in ${all}`)
  }
  for (const [at, form] of forms.entries()) assert.ok(!all.includes(form.slice(-10)) || at === 6, form)
  assert.match(logs, /\[secret\]/)
  assert.match(logs, /end s3cr&t /, 'what only began like a secret is told at the end')
  assert.equal(messageOf(await world.run('leak', 'throw')), 'it was [secret]')
})

test('progress is told ten times a second at most, the newest first of all, and logs are bounded', async () => {
  const events: SkillEvent[] = []
  const world = worldOf({
    skills: {
      chatty: {
        run: async ({ tell }) => {
          for (let at = 1; at <= 50; at++) tell({ is: 'progress', data: at })
          world.clock.advance(100)
          tell({ is: 'progress', data: 51 })
          tell({ is: 'log', stream: 'log', text: 'x'.repeat(60_000) })
          tell({ is: 'log', stream: 'stdout', text: 'y'.repeat(40_000) })
          tell({ is: 'log', stream: 'stdout', text: 'y'.repeat(30_000) })
          tell({ is: 'log', stream: 'log', text: '[what the sandbox says of what it dropped]' })
          return ok()
        },
      },
    },
  })
  await world.run('chatty', 'in', { watch: (event) => events.push(event) })
  assert.deepEqual(
    events.flatMap((event) => (event.is === 'progress' ? [event.data] : [])),
    [1, 50, 51],
  )
  const { logs } = world.ended[0]?.execution ?? assert.fail()
  assert.match(logs.slice(-120), /y\[what the sandbox says of what it dropped\]\n\[4208 more characters were dropped\]/)
  assert.equal(pendingOf(world), 0)
})

test('a run that outlived the gateway is adopted: held to its schema, its secrets taken out', async () => {
  const settings = { entries: { it: { isEnabled: true, network: null, secrets: { TOKEN: 'hunter22' }, grade: null, tenants: ['*'] } } }
  const world = worldOf({ skills: { it: { secrets: ['TOKEN'], outputs: { type: 'string' } } }, settings })
  const {
    input: _input,
    attempt: _attempt,
    ...run
  } = runOf('it', null, { caller: { is: 'agent', agent: 'main', session: asSessionKey('s') } })
  assert.equal(await world.runner.adopt({ ...run, key: 'nobody' }), null)
  // A sandbox is looked into once it is there.
  await world.run('it', 'in')
  world.sandbox.adopted.set('k1', ok('it is hunter22'))
  world.sandbox.adopted.set('k2', ok(7))
  const good = await world.runner.adopt({ ...run, key: 'k1' })
  assert.deepEqual(good?.status === 'ok' && good.output, 'it is [secret]')
  const wrong = await world.runner.adopt({ ...run, key: 'k2' })
  assert.equal(wrong?.status === 'error' && wrong.code, 'invalid_output')
  assert.equal(await world.runner.adopt({ ...run, skill: 'gone', key: 'k1' }), null)
})

test('a stop ends what runs', async () => {
  const world = worldOf({ skills: { hang: { run: hang } } })
  const running = world.run('hang')
  await world.sandbox.came(1)
  await world.runner.stop()
  assert.equal(codeOf(await running), 'cancelled')
  assert.equal(codeOf(await world.run('hang')), 'cancelled')
})
