import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idTime, newDeliveryId, newMessageId } from '#contract'

test('an id tells when it was made', () => {
  for (const at of [0, 1, 1_795_000_000_123, 2 ** 48 - 1]) {
    assert.equal(idTime(newMessageId(at)), at)
    assert.equal(idTime(newDeliveryId(at)), at)
  }
})
