import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonValue, SkillOutcome } from '#contract'
import { missed } from '../../../skills/runner/expectation.ts'

const ok = (output: JsonValue): SkillOutcome => ({ status: 'ok', output })
const timeout: SkillOutcome = { status: 'error', code: 'timeout', message: 'It took too long.' }
const wants = (more: { readonly output?: JsonValue; readonly error?: 'timeout' | 'oom' }) => ({ name: 'x', input: null, ...more })

test('an output is compared as JSON, the order of members aside', () => {
  assert.equal(missed(wants({ output: { a: 1, b: [2] } }), ok({ b: [2], a: 1 })), null)
  assert.equal(missed(wants({ output: [1, 2] }), ok([2, 1])), 'expected [1,2], got [2,1]')
  assert.equal(missed(wants({ output: null }), ok(0)), 'expected null, got 0')
})

test('without an expected output any will do, but no failure', () => {
  assert.equal(missed(wants({}), ok('anything')), null)
  assert.equal(missed(wants({}), timeout), 'expected an output, got timeout: It took too long.')
})

test('an expected failure has to be that one', () => {
  assert.equal(missed(wants({ error: 'timeout' }), timeout), null)
  assert.equal(missed(wants({ error: 'oom' }), timeout), 'expected oom, got timeout: It took too long.')
  assert.equal(missed(wants({ error: 'oom' }), ok(1)), 'expected oom, got the output 1')
})

test('what is shown is bounded', () => {
  assert.ok((missed(wants({ output: 1 }), ok('x'.repeat(10_000))) ?? '').length < 600)
})
