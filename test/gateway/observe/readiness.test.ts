import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge } from '../../../gateway/observe/readiness.ts'
import type { Signs } from '../../../gateway/observe/readiness.ts'

const well: Signs = { phase: 'open', store: { ok: true, code: null, detail: null, waiting: 0 }, lateMs: 0 }
const answers = (signs: Partial<Signs>): readonly unknown[] => {
  const { live, started, ready, parts } = judge({ ...well, ...signs })
  return [live, started, ready, parts.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)]
}

test('each probe asks something else, and the part that fails is named', () => {
  assert.deepEqual(answers({}), [true, true, true, []])
  assert.deepEqual(answers({ phase: 'starting' }), [true, false, false, ['lifecycle: starting']])
  assert.deepEqual(answers({ phase: 'draining' }), [true, false, false, ['lifecycle: draining']])
  const store = { ok: false, code: 'STORE_FULL', detail: 'no space', waiting: 3 } as const
  assert.deepEqual(answers({ store }), [true, true, false, ['store: STORE_FULL: no space']])
  assert.deepEqual(answers({ lateMs: 4_999 }), [true, true, true, []])
  assert.deepEqual(answers({ lateMs: 5_000 }), [false, true, false, ['event loop: It stood still for 5000 ms.']])
})
