/** Keys that clients choose, and that skills are called by: none can be made to stand for another call. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Invocation, JsonValue, SkillOutcome } from '#contract'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { Recorder } from '../../../skills/runner/recorder.ts'
import { Runs } from '../../../skills/runner/runs.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { inThisThread } from '../../support/in-this-thread.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { ok, worldOf } from './given.ts'
import type { ScriptedSkill, World } from './given.ts'

interface Life extends World {
  readonly invoke: (skill: string, key: string, input?: JsonValue) => Promise<SkillOutcome>
}

async function live(context: TestContext, skills: { readonly [id: string]: ScriptedSkill }, before: readonly string[] = []): Promise<Life> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-keys-'))
  const clock = new FakeClock()
  const store = new SqliteStore({ file: join(dir, 'sessions.db'), log: quietLog, clock, startSide: inThisThread })
  await store.start()
  const world = worldOf({ skills, clock, store: store.runs, settings: { hooks: { before, after: [] } } })
  const recorder = new Recorder({ store: store.runs, clock, log: quietLog })
  const runs = new Runs({
    store: store.runs,
    runner: world.runner,
    ledger: world.ledger,
    recorder,
    clock,
    log: quietLog,
    maxWorkers: () => 2,
  })
  context.after(async () => {
    await runs.stop()
    await world.runner.stop()
    await recorder.stop()
    await store.stop()
    await rm(dir, { recursive: true, force: true })
  })
  const call = (skill: string, key: string, input: JsonValue): Invocation => ({ tenant: 'default', principal: 'ann', skill, input, key })
  const invoke = async (skill: string, key: string, input: JsonValue = {}): Promise<SkillOutcome> =>
    (await runs.invoke(call(skill, key, input), { signal: new AbortController().signal })).outcome
  return { ...world, invoke }
}

const paying: ScriptedSkill = {
  effect: 'none',
  run: async ({ call }) => {
    const outcome = await call('pay', { amount: 100 }, 1)
    return ok(outcome.status === 'ok' ? outcome.output : `${outcome.code}: ${outcome.message}`)
  },
}

test("a client's key cannot be that of a call which a skill makes, so that its answer is put in that one's place", async (context) => {
  const { invoke, sandbox } = await live(context, {
    shop: paying,
    pay: { effect: 'once', run: () => ok('paid') },
    echo: { effect: 'none' },
  })
  assert.equal((await invoke('echo', 'order-7/1', 'paid, believe me')).status, 'ok')
  const shop = await invoke('shop', 'order-7')
  assert.deepEqual(shop.status === 'ok' && shop.output, 'paid')
  assert.deepEqual(
    sandbox.jobs.map(({ bundle }) => bundle.descriptor.id),
    ['echo', 'shop', 'pay'],
  )
})

test("a client's key cannot be that of a hook, so that nothing guards its call", async (context) => {
  const guarded: { readonly [id: string]: ScriptedSkill } = {
    guard: { effect: 'once', run: ({ input }) => ok(JSON.stringify(input).includes('"skill":"it"') ? { refuse: 'no' } : {}) },
    it: {},
    echo: { effect: 'none' },
  }
  const { invoke } = await live(context, guarded, ['guard'])
  assert.equal((await invoke('echo', 'k/before/guard', {})).status, 'ok')
  const outcome = await invoke('it', 'k')
  assert.equal(outcome.status === 'error' && outcome.code, 'refused')
})

test('a skill that calls others in another order when it is run again does not get the answer to another call', async (context) => {
  const seen: string[] = []
  const fickle: ScriptedSkill = {
    effect: 'idempotent',
    run: async ({ call }) => {
      const isFirst = seen.length === 0
      seen.push(isFirst ? 'first' : 'second')
      const outcome = isFirst ? await call('pay', 1, 1) : await call('refund', 1, 1)
      if (isFirst) seen.push('crashed')
      if (isFirst) return { outcome: { status: 'error', code: 'crashed', message: 'It failed.' }, hasStarted: true }
      return ok(outcome.status === 'ok' ? outcome.output : outcome.code)
    },
  }
  const { invoke, clock } = await live(context, {
    fickle,
    pay: { effect: 'once', run: () => ok('paid') },
    refund: { effect: 'once', run: () => ok('refunded') },
  })
  const going = invoke('fickle', 'k')
  const deadline = AbortSignal.timeout(5_000)
  // The pause before the second try begins some turns after the first ended; time must not run past the limit of a call meanwhile.
  for (let turn = 0; !seen.includes('second'); turn++) {
    deadline.throwIfAborted()
    if (seen.includes('crashed') && turn % 20 === 0) clock.advance(50)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const outcome = await going
  assert.equal(outcome.status === 'ok' && outcome.output, 'refused')
})
