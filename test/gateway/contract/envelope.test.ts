import assert from 'node:assert/strict'
import { test } from 'node:test'
import { envelopeText } from '#contract'

test('a model reads the words and what came with them', () => {
  const media = [
    { id: 'x', media_type: 'image/jpeg' },
    { id: 'y', media_type: 'application/pdf', name: 'plan.pdf', bytes: 12 },
  ]
  assert.equal(
    envelopeText({ payload: { text: 'look' }, metadata: { media } }),
    'look\n[attachment 0: image/jpeg]\n[attachment 1: plan.pdf, application/pdf, 12 bytes]',
  )
  assert.equal(envelopeText({ payload: { text: '' }, metadata: { media: media.slice(0, 1) } }), '[attachment 0: image/jpeg]')
  assert.equal(envelopeText({ payload: { text: 'plain' }, metadata: {} }), 'plain')
})

test('a sender cannot break it by metadata of another shape', () => {
  assert.equal(envelopeText({ payload: { text: 'a' }, metadata: { media: 'x' as never } }), 'a')
  assert.equal(
    envelopeText({ payload: { text: 'a' }, metadata: { media: [null, { bytes: {} }] as never } }),
    'a\n[attachment 0: unknown]\n[attachment 1: unknown]',
  )
})
