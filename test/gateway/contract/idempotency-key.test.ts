import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readIdempotencyKey } from '#contract'

test('a quoted key and the bare one are the same', () => {
  assert.equal(readIdempotencyKey('abc'), 'abc')
  assert.equal(readIdempotencyKey('"abc"'), 'abc')
  assert.equal(readIdempotencyKey('"a \\"b\\" \\\\"'), 'a "b" \\')
  assert.equal(readIdempotencyKey(`"${'x'.repeat(255)}"`)?.length, 255)
})

test('what is no key is told', () => {
  for (const header of ['', '""', '"open', 'a b', '"a", "b"', '"a\\b"', 'ä', 'x'.repeat(256)]) {
    assert.equal(readIdempotencyKey(header), null, header)
  }
})
