import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventStream } from '../../../agents/models/sse.ts'

function parse(chunks: readonly (string | Buffer)[], maxEventBytes?: number): readonly (readonly [string, string])[] {
  const events: [string, string][] = []
  const stream = new EventStream((data, type) => events.push([type, data]), maxEventBytes)
  for (const chunk of chunks) stream.push(Buffer.from(chunk))
  stream.end()
  return events
}

const TEXT =
  'event: a\ndata: {"x":"é🙂漢"}\n\n: comment\nid: 7\nretry: 5\ndata:no space\ndata: two lines\n\nevent: empty\n\ndata: last\r\n\r\n'
const EVENTS = [
  ['a', '{"x":"é🙂漢"}'],
  ['', 'no space\ntwo lines'],
  ['', 'last'],
]

test('events are the same however the bytes are cut', () => {
  const bytes = Buffer.from(TEXT)
  assert.deepEqual(parse([bytes]), EVENTS)
  for (let size = 1; size < 12; size++) {
    const chunks: Buffer[] = []
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
    assert.deepEqual(parse(chunks), EVENTS, `pieces of ${size}`)
  }
})

test('a byte order mark at the beginning is no part of the first field', () => {
  assert.deepEqual(parse(['\ufeffdata: x\n\n']), [['', 'x']])
})

test('a last event without its empty line counts', () => {
  assert.deepEqual(parse(['data: a\n\ndata: b']), [
    ['', 'a'],
    ['', 'b'],
  ])
})

test('an event without an end is refused when it is too big, in one line or in many', () => {
  assert.throws(() => parse(['data: ', 'x'.repeat(60), 'x'.repeat(60)], 100), { code: 'MODEL_UNAVAILABLE' })
  assert.throws(
    () =>
      parse(
        Array.from({ length: 20 }, () => 'data: xxxxxxxx\n'),
        100,
      ),
    { code: 'MODEL_UNAVAILABLE' },
  )
  assert.equal(
    parse(
      Array.from({ length: 20 }, () => 'data: xxxxxxxx\n\n'),
      100,
    ).length,
    20,
  )
})
