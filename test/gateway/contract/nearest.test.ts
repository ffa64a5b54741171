import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '#contract'

const KNOWN = ['timeout_ms', 'inputs', 'outputs', 'args', 'version', 'versions']

test('a word that is misspelt is near to the one it was meant for', () => {
  assert.equal(nearest('Input', KNOWN), 'inputs')
  assert.equal(nearest('versoin', KNOWN), 'version')
  assert.equal(nearest('elsewhere', KNOWN), null)
  assert.equal(nearest('x'.repeat(65), KNOWN), null)
})

test('a word that was left unfinished is near to the only one that begins so', () => {
  assert.equal(nearest('timeout', KNOWN), 'timeout_ms')
  assert.equal(nearest('concurrency', ['concurrency_of_one_session', 'concurrency_of_all_sessions']), null, 'not to one of two')
  assert.equal(nearest('ti', ['timeout_ms']), null, 'and two letters say nothing')
})
