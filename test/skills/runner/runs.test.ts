/** Runs that clients ask for, over the real store: one key is one run, what is stored survives, and nothing is repeated in silence. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { DEFAULT_TENANT } from '#contract'
import type { Invocation, RunId, RunRecord, SkillEvent, Store } from '#contract'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { Recorder } from '../../../skills/runner/recorder.ts'
import { Runs } from '../../../skills/runner/runs.ts'
import type { Ended } from '../../../skills/sandbox/sandbox.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { inThisThread } from '../../support/in-this-thread.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { bad, codeOf, hang, ok, worldOf } from './given.ts'
import type { ScriptedSkill, World } from './given.ts'

interface Life extends World {
  readonly store: Store
  readonly runs: Runs
  readonly recorder: Recorder
  /** What a power cut leaves, and a gateway that starts on it. */
  next(skills?: { readonly [id: string]: ScriptedSkill }): Promise<Life>
  stop(): Promise<void>
}

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const SKILLS: { readonly [id: string]: ScriptedSkill } = {
  pure: { effect: 'none' },
  twice: { effect: 'idempotent' },
  pay: { effect: 'once' },
  slow: { effect: 'once', run: hang },
  slowpure: { effect: 'none', run: hang },
  crash: { effect: 'once', run: () => bad('crashed') },
  refused: { effect: 'once', run: () => bad('refused') },
}

async function live(
  context: TestContext,
  {
    skills = SKILLS,
    from,
    onRecord = () => undefined,
  }: { skills?: { readonly [id: string]: ScriptedSkill }; from?: string; onRecord?: () => void } = {},
): Promise<Life> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-runs-'))
  if (from !== undefined) await cp(from, dir, { recursive: true, filter: (path) => !path.endsWith('.lock') })
  const clock = new FakeClock()
  const store = new SqliteStore({ file: join(dir, 'sessions.db'), log: quietLog, clock, startSide: inThisThread })
  await store.start()
  const world = worldOf({ skills, clock, store: store.runs })
  const recorder = new Recorder({ store: store.runs, clock, log: quietLog })
  const finish = async (...given: Parameters<Store['runs']['finish']>): Promise<void> => {
    await store.runs.finish(...given)
    onRecord()
  }
  const runs = new Runs({
    store: { ...store.runs, finish },
    runner: world.runner,
    ledger: world.ledger,
    recorder,
    clock,
    log: quietLog,
    maxWorkers: () => 2,
  })
  const stop = async (): Promise<void> => {
    await runs.stop()
    await world.runner.stop()
    await recorder.stop()
    await store.stop()
    await rm(dir, { recursive: true, force: true })
    assert.equal(clock.pending, 0, 'a timer is left')
  }
  context.after(stop)
  return { ...world, store, runs, recorder, stop, next: (next = SKILLS) => live(context, { skills: next, from: dir }) }
}

const call = (skill: string, change: Partial<Invocation> = {}): Invocation => ({
  tenant: 'default',
  principal: 'ann',
  skill,
  input: { a: 1 },
  key: null,
  ...change,
})
const patient = (): { readonly signal: AbortSignal } => ({ signal: new AbortController().signal })
const within = (): AbortSignal => AbortSignal.timeout(5_000)
const ended = async ({ runs }: Life, id: RunId): Promise<RunRecord> =>
  (await runs.watch('default', id, { signal: within() })) ?? assert.fail('no run')
const letters = async ({ store }: Life): Promise<readonly string[]> =>
  (await store.deadLetters.list({ tenant: DEFAULT_TENANT, kind: 'run' }, null, 9)).map(({ reason, ref }) => `${reason.code} ${ref}`)

test('a run without effect is answered first and recorded then; all others are on record before they begin', async (context) => {
  const life = await live(context)
  const pure = await life.runs.invoke(call('pure'), patient())
  assert.equal(await life.store.runs.get('default', pure.id), null)
  assert.equal((await life.runs.get('default', pure.id))?.status, 'done')
  assert.equal(await life.runs.get('other', pure.id), null)
  await life.recorder.stop()
  assert.deepEqual((await life.store.runs.get('default', pure.id))?.outcome, pure.outcome)

  const slow = life.runs.invoke(call('slow'), patient())
  await life.sandbox.came(2)
  const [row] = await life.store.runs.list({ tenant: 'default', status: 'running' }, null, 9)
  assert.deepEqual([row?.skill, row?.attempts, row?.version], ['slow', 1, '1.0.0'])
  assert.equal(await life.runs.cancel('other', row?.id ?? pure.id), false)
  assert.equal(await life.runs.cancel('default', row?.id ?? pure.id), true)
  assert.equal(codeOf((await slow).outcome), 'cancelled')
  assert.deepEqual(await letters(life), [])
})

test('the same key is the same run: while it goes on, when it is over, and after a crash', async (context) => {
  const life = await live(context)
  const [one, two] = await Promise.all([1, 2].map(() => life.runs.invoke(call('pay', { key: 'k' }), patient())))
  assert.deepEqual([one?.id, one?.outcome.status], [two?.id, 'ok'])
  const three = await life.runs.invoke(call('pay', { key: 'k' }), patient())
  assert.deepEqual([three.id, three.outcome], [one?.id, one?.outcome])
  await assert.rejects(life.runs.invoke(call('pay', { key: 'k', input: 'other' }), patient()), { code: 'IDEMPOTENCY_KEY_REUSED' })
  await assert.rejects(life.runs.submit(call('twice', { key: 'k' })), { code: 'IDEMPOTENCY_KEY_REUSED' })
  assert.notEqual((await life.runs.invoke(call('pay', { key: 'k', principal: 'bob' }), patient())).id, one?.id)
  assert.equal(life.sandbox.jobs.length, 2)
  const next = await life.next()
  assert.equal((await next.runs.invoke(call('pay', { key: 'k' }), patient())).id, one?.id)
  assert.equal(next.sandbox.jobs.length, 0)
})

test('a client that goes away cancels its run, unless somebody else waits for it', async (context) => {
  const life = await live(context)
  const [first, second] = [new AbortController(), new AbortController()]
  const one = life.runs.invoke(call('slow', { key: 'k' }), { signal: first.signal })
  const two = life.runs.invoke(call('slow', { key: 'k' }), { signal: second.signal })
  await life.sandbox.came(1)
  first.abort()
  assert.equal(codeOf((await one).outcome), 'cancelled')
  assert.equal(life.sandbox.jobs[0]?.signal.aborted, false)
  second.abort()
  assert.equal(codeOf((await two).outcome), 'cancelled')
  assert.equal(life.sandbox.jobs[0]?.signal.aborted, true)
})

test('a run of which nothing ran leaves its key free', async (context) => {
  let isThere = false
  const life = await live(context, {
    skills: { pay: { effect: 'once', timeoutMs: 10, run: () => (isThere ? ok() : bad('unavailable', false)) } },
  })
  const first = await life.runs.invoke(call('pay', { key: 'k' }), patient())
  assert.equal(codeOf(first.outcome), 'unavailable')
  assert.equal((await life.store.runs.get('default', first.id))?.status, 'failed')
  isThere = true
  assert.equal(codeOf((await life.runs.invoke(call('pay', { key: 'k' }), patient())).outcome), 'ok')
  assert.deepEqual(await letters(life), [])
})

test('what fails for good is a dead letter, which can be replayed; what the caller is to blame for is none', async (context) => {
  const life = await live(context)
  const { id, outcome } = await life.runs.invoke(call('crash'), patient())
  assert.equal(codeOf(outcome), 'crashed')
  await life.runs.invoke(call('refused'), patient())
  assert.deepEqual(await letters(life), [`SKILL_CRASHED ${id}`])
  assert.equal((await life.store.runs.get('default', id))?.status, 'dead')
  const [letter] = await life.store.deadLetters.list({ tenant: DEFAULT_TENANT, kind: 'run' }, null, 9)
  await life.store.deadLetters.replay({ tenant: DEFAULT_TENANT, id: letter?.id ?? assert.fail(), now: 1, route: null })
  life.runs.wake()
  assert.deepEqual([(await ended(life, id)).status, life.sandbox.jobs.length], ['dead', 3])
  assert.equal(life.sandbox.jobs[0]?.key, life.sandbox.jobs[2]?.key, 'under the same key')
  assert.equal((await letters(life)).length, 2)
})

test('what was submitted is run, watched and cancelled, and refused at once when it cannot be', async (context) => {
  const life = await live(context, { skills: { ...SKILLS, typed: { inputs: { type: 'string' } } } })
  const run = await life.runs.submit(call('pay', { key: 'k' }))
  assert.equal((await ended(life, run.id)).status, 'done')
  assert.equal((await life.runs.submit(call('pay', { key: 'k' }))).id, run.id)
  await assert.rejects(life.runs.submit(call('nobody')), { code: 'SKILL_NOT_FOUND' })
  await assert.rejects(life.runs.submit(call('typed')), { code: 'SKILL_INVALID_INPUT' })
  // Two workers are busy, so the third waits.
  const slow = await Promise.all([1, 2, 3].map(() => life.runs.submit(call('slow'))))
  await life.sandbox.came(3)
  const events: SkillEvent[] = []
  const watched = life.runs.watch('default', slow[2]?.id ?? run.id, { signal: within(), listen: (event) => events.push(event) })
  for (const { id } of slow.slice(0, 2)) assert.equal(await life.runs.cancel('default', id), true)
  await life.sandbox.came(4)
  const waiting = await life.runs.submit(call('slow'))
  assert.equal(await life.runs.cancel('default', slow[2]?.id ?? run.id), true)
  assert.deepEqual([(await watched)?.status, (await watched)?.outcome?.status], ['failed', 'error'])
  await life.sandbox.came(5)
  assert.equal(await life.runs.cancel('default', waiting.id), true)
  await ended(life, waiting.id)
  assert.equal(await life.runs.cancel('default', waiting.id), false)
  assert.equal(await life.runs.watch('default', run.id, { signal: within() }).then((view) => view?.status), 'done')
  assert.deepEqual(await letters(life), [])
})

test('one that waits can be cancelled before it begins', async (context) => {
  const life = await live(context)
  const [, , third] = await Promise.all([1, 2, 3].map(() => life.runs.submit(call('slow'))))
  assert.ok(third)
  const watched = life.runs.watch('default', third.id, { signal: within() })
  assert.equal(await life.runs.cancel('default', third.id), true)
  assert.equal((await watched)?.status, 'failed')
})

test('a crash loses no submitted run: what may be repeated is, what may not is a dead letter, and neither in silence', async (context) => {
  const life = await live(context)
  // Two at once: each pair dies in mid-run.
  const once = await life.runs.submit(call('slow'))
  const pure = await life.runs.submit(call('slowpure'))
  const queued = await life.runs.submit(call('twice', { traceparent: TRACEPARENT }))
  await life.sandbox.came(2)
  const next = await life.next({ ...SKILLS, slow: { effect: 'once' }, slowpure: { effect: 'none' } })
  await next.runs.start()
  assert.equal((await ended(next, queued.id)).status, 'done')
  const repeated = await ended(next, pure.id)
  assert.deepEqual([repeated.status, repeated.attempts], ['done', 2])
  const traced = next.sandbox.jobs.filter(({ traceparent }) => traceparent === TRACEPARENT)
  assert.deepEqual(
    traced.map(({ bundle }) => bundle.descriptor.id),
    ['twice'],
    'its trace is stored with it',
  )
  const unknown = await ended(next, once.id)
  assert.deepEqual([unknown.status, unknown.outcome?.status === 'error' && unknown.outcome.code], ['unknown', 'unknown'])
  assert.deepEqual(await letters(next), [`SKILL_OUTCOME_UNKNOWN ${once.id}`])
  assert.ok(!next.sandbox.jobs.some(({ bundle }) => bundle.descriptor.id === 'slow'), 'never again by itself')
})

test('a run that outlived the gateway is adopted and not run again', async (context) => {
  const life = await live(context)
  const once = await life.runs.submit(call('slow', { key: 'k' }))
  await life.sandbox.came(1)
  const next = await life.next({ ...SKILLS, slow: { effect: 'once' } })
  // A sandbox is looked into once it is there.
  await next.run('pure')
  next.sandbox.adopted.set(life.sandbox.jobs[0]?.key ?? '', ok('it went on'))
  await next.runs.start()
  const run = await ended(next, once.id)
  assert.deepEqual([run.status, run.outcome?.status === 'ok' && run.outcome.output, next.sandbox.jobs.length], ['done', 'it went on', 1])
  assert.deepEqual(await letters(next), [])
})

test('all runs that a former life left are asked after at once: their sandboxes wait for nobody', async (context) => {
  const life = await live(context)
  const keys = ['a', 'b', 'c', 'd', 'e']
  for (const key of keys) void life.runs.invoke(call('slow', { key }), patient())
  await life.sandbox.came(keys.length)
  const next = await life.next()
  await next.run('pure')
  const going = Promise.withResolvers<Ended>()
  for (const { key } of life.sandbox.jobs) next.sandbox.adopted.set(key, going.promise)
  await next.runs.start()
  try {
    for (const limit = within(); next.sandbox.asked.length < keys.length; await setImmediate()) limit.throwIfAborted()
  } finally {
    going.resolve(ok('it went on'))
  }
  for (const { id } of await next.store.runs.list({ tenant: 'default', skill: 'slow' }, null, 10))
    assert.equal((await ended(next, id)).status, 'done')
})

test('an outcome is let go when it is on record, and one that is tried again before that', async (context) => {
  const told: string[] = []
  let attempts = 0
  const run = (): Ended => {
    attempts += 1
    const what = `attempt ${attempts}`
    return { ...(attempts === 1 ? bad('crashed') : ok()), acknowledge: () => void told.push(what) }
  }
  const skills = { ...SKILLS, again: { effect: 'idempotent', run } } as const
  const life = await live(context, { skills, onRecord: () => void told.push('on record') })
  const { id } = await life.runs.submit(call('again'))
  for (const limit = within(); told.length < 1; await setImmediate()) limit.throwIfAborted()
  life.clock.advance(1_000)
  assert.equal((await ended(life, id)).status, 'done')
  for (const limit = within(); told.length < 3; await setImmediate()) limit.throwIfAborted()
  // Whoever called it for a turn records it after this.
  await life.run('again')
  assert.deepEqual(told, ['attempt 1', 'on record', 'attempt 2'])
})

test('a run in which the gateway dies again and again is given up', async (context) => {
  let life = await live(context)
  const { id } = await life.runs.submit(call('slowpure'))
  for (let lives = 1; lives < 5; lives++) {
    await life.sandbox.came(1)
    life = await life.next()
    await life.runs.start()
  }
  await life.sandbox.came(1)
  const last = await life.next()
  await last.runs.start()
  assert.equal((await ended(last, id)).status, 'dead')
  assert.equal(last.sandbox.jobs.length, 0)
})

test('a stored run waits for a sandbox that is not there, which is no attempt', async (context) => {
  let isThere = false
  const life = await live(context, {
    skills: { pay: { effect: 'once', timeoutMs: 10, run: () => (isThere ? ok() : bad('unavailable', false)) } },
  })
  const { id } = await life.runs.submit(call('pay'))
  await life.sandbox.came(1)
  await life.clock.timerAt(life.clock.now() + 1_000)
  isThere = true
  life.clock.advance(1_000)
  const run = await ended(life, id)
  assert.deepEqual([run.status, run.attempts], ['done', 1])
})

test('draining takes up nothing, lets what runs end within the bound, and hands the rest on', async (context) => {
  const life = await live(context)
  const [once, pure, queued] = [
    await life.runs.submit(call('slow')),
    await life.runs.submit(call('slowpure')),
    await life.runs.submit(call('pay')),
  ]
  await life.sandbox.came(2)
  const drained = life.runs.drain(1_000)
  await assert.rejects(life.runs.invoke(call('pure'), patient()), { code: 'DRAINING' })
  await assert.rejects(life.runs.submit(call('pure')), { code: 'DRAINING' })
  assert.equal(life.sandbox.jobs[0]?.signal.aborted, false)
  life.clock.advance(1_000)
  await drained
  const statusOf = async (id: RunId): Promise<string | undefined> => (await life.store.runs.get('default', id))?.status
  // What may not be repeated is left to the next life, which says what is known of it.
  assert.deepEqual(await Promise.all([once, pure, queued].map(({ id }) => statusOf(id))), ['running', 'queued', 'queued'])
})

test('a skill that acts once, called by one that is run again, is called once', async (context) => {
  const skills: { readonly [id: string]: ScriptedSkill } = {
    outer: {
      effect: 'idempotent',
      run: async (job) => {
        const first = await job.call('pay', 1, 1)
        return first.status === 'ok' ? hang(job) : ok(first.code)
      },
    },
    pay: { effect: 'once', run: () => ok('paid') },
  }
  const life = await live(context, { skills })
  const { id } = await life.runs.submit(call('outer', { key: 'k' }))
  await life.sandbox.came(2)
  // The child has ended and its caller goes on.
  const [child] = await life.store.runs.list({ tenant: 'default', skill: 'pay' }, null, 9)
  await (child === undefined ? Promise.reject(new Error('no child on record')) : ended(life, child.id))
  const again = {
    ...skills,
    outer: { effect: 'idempotent', run: async ({ call }) => ok((await call('pay', 1, 1)).status) } satisfies ScriptedSkill,
  }
  const next = await life.next(again)
  await next.runs.start()
  const run = await ended(next, id)
  assert.equal(run.outcome?.status === 'ok' && run.outcome.output, 'ok')
  assert.deepEqual(
    next.sandbox.jobs.map(({ bundle }) => bundle.descriptor.id),
    ['outer'],
  )
})
