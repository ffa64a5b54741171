/** Runs put on record after they ended: what the store cannot take for long, or at all, holds nothing else up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newRunId } from '#contract'
import type { JsonValue } from '#contract'
import { Recorder } from '../../../skills/runner/recorder.ts'
import type { EndedRun } from '../../../skills/runner/recorder.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { quietLog } from '../../support/quiet-log.ts'

const ended = (input: JsonValue): EndedRun => ({
  run: {
    id: newRunId(0),
    tenant: 'default',
    key: 'k',
    skill: 's',
    asked: null,
    caller: { is: 'client', principal: 'ann' },
    effect: 'none',
    input,
    timeoutMs: null,
    traceparent: null,
    createdAt: 0,
  },
  end: {
    status: 'done',
    version: '1.0.0',
    attempts: 1,
    outcome: { status: 'ok', output: null },
    logs: '',
    now: 0,
    dead: null,
    freesKey: false,
  },
  startedAt: 0,
})

test('a run that no store can write does not keep the others from being written', async () => {
  const written: JsonValue[] = []
  const clock = new FakeClock()
  const record = async (runs: readonly EndedRun[]): Promise<void> => {
    JSON.stringify(runs)
    written.push(...runs.map(({ run }) => run.input))
  }
  const recorder = new Recorder({ store: { record }, clock, log: quietLog })
  let deep: JsonValue = 1
  for (let i = 0; i < 100_000; i++) deep = [deep]
  for (const input of ['before', deep, 'behind']) recorder.add(ended(input))
  await recorder.stop()
  assert.deepEqual(written, ['before', 'behind'])
})

test('what is held while the store is away is bounded in size, not in number alone', async () => {
  const clock = new FakeClock()
  const away = async (): Promise<void> => {
    throw new Error('The disk is full.')
  }
  const recorder = new Recorder({ store: { record: away }, clock, log: quietLog })
  const runs = Array.from({ length: 99 }, (_, i) => ended(`${i}`.padEnd(1_048_576)))
  for (const run of runs) recorder.add(run)
  const held = runs.filter(({ run }) => recorder.find(run.id) !== null)
  assert.ok(held.length > 50 && held.length < 70, `${held.length} are held`)
  assert.ok(recorder.find(runs[98]?.run.id ?? assert.fail()) !== null, 'the newest is kept')
  await recorder.stop()
})
