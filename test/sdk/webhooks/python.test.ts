/** The receivers' helper for Python, by its own tests, where there is a Python. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const version = spawnSync('python3', ['-c', 'import sys; print(sys.version_info >= (3, 9))'], { encoding: 'utf8' })
const skip = version.stdout?.trim() === 'True' ? false : 'python3 of 3.9 or newer is not here'

test('the helper for Python keeps to the vectors and its own tests', { skip }, () => {
  const file = join(import.meta.dirname, 'test_verify.py')
  const { status, stderr } = spawnSync('python3', ['-B', '-W', 'error', file], { encoding: 'utf8', timeout: 120_000 })
  assert.equal(status, 0, stderr)
  assert.match(stderr, /Ran \d+ tests/)
})
