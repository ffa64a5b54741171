/** Runs of skills: reserved by key, begun, ended, given up, brought back. */
import type { DeadLetterView, NewRun, RunEnd, Store } from '#contract'
import { DEFAULT_TENANT, newRunId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T } from './given.ts'

const X = { code: 'SKILL_CRASHED', message: 'It failed.' }

const newRun = (key: string, change: Partial<NewRun> = {}): NewRun => ({
  id: newRunId(T),
  tenant: 'default',
  key,
  skill: 'adder',
  asked: null,
  caller: { is: 'client', principal: 'ann' },
  effect: 'once',
  input: { a: 1, text: '🙂' },
  timeoutMs: null,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  createdAt: T,
  ...change,
})

const ending = (change: Partial<RunEnd> = {}): RunEnd => ({
  status: 'done',
  version: '1.0.0',
  attempts: 1,
  outcome: { status: 'ok', output: { sum: 2 }, times: { queueMs: 1, startMs: 2, runMs: 3 } },
  logs: 'hello\n',
  now: T + 5,
  dead: null,
  freesKey: false,
  ...change,
})

const failed = (change: Partial<RunEnd> = {}): RunEnd =>
  ending({ status: 'failed', outcome: { status: 'error', code: 'crashed', message: 'It failed.' }, dead: X, ...change })

async function letterOf(store: Store): Promise<DeadLetterView> {
  const [letter] = await store.deadLetters.list({ tenant: DEFAULT_TENANT, kind: 'run', status: 'open' }, null, 9)
  assert.ok(letter)
  return letter
}

export function runSuite(use: UseStore): void {
  describe('runs', () => {
    test(
      'reserve their key, and tell what stands there, also after a crash',
      use(async ({ store, crash }) => {
        const run = newRun('k')
        assert.equal(await store.runs.add(run, null), null)
        const taken = await store.runs.add(newRun('k', { input: 'other' }), null)
        assert.deepEqual(
          [taken?.id, taken?.status, taken?.input, taken?.attempts, taken?.caller],
          [run.id, 'queued', run.input, 0, { is: 'client', principal: 'ann' }],
        )
        assert.equal(await store.runs.add(newRun('k', { tenant: 'other' }), null), null)
        const after = await crash()
        assert.equal((await after.runs.get('default', run.id))?.status, 'queued')
        assert.equal(await after.runs.get('other', run.id), null)
      }),
    )

    test(
      'are begun, counted, put off and ended',
      use(async ({ store, crash }) => {
        const [run, begun] = [newRun('a'), newRun('b')]
        await store.runs.add(run, null)
        await store.runs.add(begun, { version: '1.2.3' })
        assert.equal(await store.runs.start(run.id, '1.0.0', T + 1), 1)
        await store.runs.defer(run.id)
        assert.deepEqual(
          (await store.runs.unfinished(0, 9)).map(({ id, status, key }) => [id, status, key]),
          [
            [run.id, 'queued', 'a'],
            [begun.id, 'running', 'b'],
          ],
        )
        assert.equal(await store.runs.start(run.id, '1.0.0', T + 2), 1)
        assert.equal(await store.runs.start(run.id, '1.0.0', T + 3), 2)
        await store.runs.finish(run.id, ending({ attempts: 2 }))
        const after = await crash()
        const view = await after.runs.get('default', run.id)
        assert.deepEqual(
          { ...view, seq: 0 },
          {
            ...run,
            seq: 0,
            version: '1.0.0',
            status: 'done',
            attempts: 2,
            outcome: { status: 'ok', output: { sum: 2 }, times: { queueMs: 1, startMs: 2, runMs: 3 } },
            logs: 'hello\n',
            startedAt: T + 2,
            endedAt: T + 5,
          },
        )
        const [left, ...none] = await after.runs.unfinished(0, 9)
        assert.deepEqual([left?.id, none], [begun.id, []])
        assert.deepEqual(await after.runs.unfinished(left?.seq ?? 0, 9), [])
        await assert.rejects(after.runs.finish(run.id, ending()), { code: 'RUN_OVER' })
        await assert.rejects(after.runs.start(run.id, '1.0.0', T), { code: 'RUN_OVER' })
      }),
    )

    test(
      'are recorded when they have ended, several at once, each key once',
      use(async ({ store }) => {
        const [one, two] = [newRun('a', { effect: 'none' }), newRun('b', { skill: 'other' })]
        const end = ending()
        await store.runs.record([
          { run: one, end, startedAt: T },
          { run: two, end: failed(), startedAt: T },
          { run: newRun('a'), end, startedAt: T },
        ])
        const list = async (filter: { skill?: string; status?: 'done' | 'dead' }, before: number | null = null): Promise<string[]> =>
          (await store.runs.list({ tenant: 'default', ...filter }, before, 9)).map(({ id }) => id)
        assert.deepEqual(await list({}), [two.id, one.id])
        assert.deepEqual(await list({}, 2), [one.id])
        assert.deepEqual(await list({ skill: 'other' }), [two.id])
        assert.deepEqual(await list({ status: 'done' }), [one.id])
        assert.deepEqual(await store.runs.list({ tenant: 'other' }, null, 9), [])
        assert.equal((await letterOf(store)).ref, two.id)
      }),
    )

    test(
      'give their key back when nothing of them ran',
      use(async ({ store }) => {
        const [first, second] = [newRun('k'), newRun('k', { input: 'other' })]
        await store.runs.add(first, { version: '1.0.0' })
        await store.runs.finish(first.id, failed({ dead: null, freesKey: true }))
        assert.equal(await store.runs.add(second, null), null)
        assert.deepEqual([(await store.runs.get('default', first.id))?.status, (await store.deadLetters.open()).count], ['failed', 0])
      }),
    )

    test(
      'are given up with all that is needed to bring them back, once, with other input if it is changed',
      use(async ({ store }) => {
        const run = newRun('k')
        await store.runs.add(run, { version: '1.0.0' })
        await store.runs.finish(run.id, failed())
        const letter = await letterOf(store)
        const outcome = { status: 'error', code: 'crashed', message: 'It failed.' }
        assert.deepEqual(
          [letter.ref, letter.reason, letter.attempts, letter.content],
          [run.id, X, 1, { skill: 'adder', version: '1.0.0', input: run.input, outcome, logs: 'hello\n' }],
        )
        assert.equal((await store.runs.get('default', run.id))?.status, 'dead')
        await assert.rejects(store.deadLetters.edit(DEFAULT_TENANT, letter.id, { binary: 'AA==', media_type: 'a/b' }), {
          code: 'RUN_INPUT_NOT_JSON',
        })
        assert.equal(await store.deadLetters.edit(DEFAULT_TENANT, letter.id, { json: { a: 2 } }), true)
        assert.equal(await store.deadLetters.origin(DEFAULT_TENANT, letter.id), null)
        const replay = { tenant: DEFAULT_TENANT, id: letter.id, now: T + 9, route: null }
        assert.deepEqual(await store.deadLetters.replay(replay), { status: 'replayed', kind: 'run', run: run.id })
        assert.deepEqual(await store.deadLetters.replay(replay), { status: 'settled', was: 'replayed' })
        const again = await store.runs.get('default', run.id)
        assert.deepEqual(
          [again?.status, again?.attempts, again?.input, again?.outcome, again?.logs, again?.endedAt],
          ['queued', 0, { a: 2 }, null, '', null],
        )
        assert.equal((await store.runs.unfinished(0, 9)).length, 1)
      }),
    )

    test(
      'whose end is unknown stay so, with a letter',
      use(async ({ store }) => {
        const run = newRun('k')
        await store.runs.add(run, { version: '1.0.0' })
        await store.runs.finish(run.id, failed({ status: 'unknown' }))
        assert.equal((await store.runs.get('default', run.id))?.status, 'unknown')
        const { id } = await letterOf(store)
        assert.equal(await store.deadLetters.discard(DEFAULT_TENANT, id, T), 'discarded')
        assert.equal((await store.runs.unfinished(0, 9)).length, 0)
      }),
    )

    test(
      'go when they are old, unless they are unfinished or have an open letter',
      use(async ({ store }) => {
        const [old, open, dead, young] = [newRun('a'), newRun('b'), newRun('c'), newRun('d', { createdAt: T + 100 })]
        for (const run of [old, open, dead, young]) await store.runs.add(run, { version: '1.0.0' })
        await store.runs.finish(old.id, ending())
        await store.runs.finish(dead.id, failed())
        await store.runs.finish(young.id, ending({ now: T + 101 }))
        assert.deepEqual([await store.prune(T + 50, 9), await store.prune(T + 50, 9)], [1, 0])
        await store.deadLetters.discard(DEFAULT_TENANT, (await letterOf(store)).id, T)
        assert.equal(await store.prune(T + 50, 9), 1)
        const left = await store.runs.list({ tenant: 'default' }, null, 9)
        assert.deepEqual(
          left.map(({ id }) => id),
          [young.id, open.id],
        )
      }),
    )
  })
}
