import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FROM, HEADER_BYTES, MAX_OUTPUT_BYTES, MAX_PROGRESS_BYTES, TO } from '../../../skills/sandbox/frame.ts'
import { encodeFrame, FrameBreach, FrameDecoder, MAX_DEPTH, parseJson } from '../../../skills/sandbox/frames.ts'

const text = (value: string): Buffer => Buffer.from(value)
const header = (length: number, type: number): Buffer => {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeUInt32BE(length, 0)
  bytes.writeUInt8(type, 4)
  return bytes
}

describe('frames', () => {
  test('come out as they went in, however the bytes are cut', () => {
    const all = Buffer.concat([
      encodeFrame(FROM.log, 7, text('\x01hello')),
      encodeFrame(FROM.pong, 0, text('')),
      encodeFrame(FROM.result, 7, text('{}')),
    ])
    for (const step of [1, 2, 8, 9, 10, 1_000]) {
      const decoder = new FrameDecoder()
      const found = []
      for (let at = 0; at < all.length; at += step) found.push(...decoder.push(all.subarray(at, at + step)))
      assert.deepEqual(
        found.map(({ type, call, payload }) => [type, call, payload.toString()]),
        [
          [FROM.log, 7, '\x01hello'],
          [FROM.pong, 0, ''],
          [FROM.result, 7, '{}'],
        ],
      )
      assert.equal(decoder.isWithin, false)
    }
  })

  test('longer than their type allows are refused by their header alone', () => {
    for (const [type, bytes] of [
      [FROM.progress, MAX_PROGRESS_BYTES + 1],
      [FROM.result, MAX_OUTPUT_BYTES + 1],
      [FROM.idle, 65_537],
      [FROM.log, 0xffff_ffff],
    ] as const) {
      assert.throws(() => new FrameDecoder().push(header(bytes, type)), FrameBreach)
    }
    assert.throws(() => encodeFrame(TO.hello, 0, Buffer.alloc(65_537)), RangeError)
  })

  test('of an unknown type are refused', () => {
    assert.throws(() => new FrameDecoder().push(header(0, 99)), /unknown type 99/)
    assert.throws(() => new FrameDecoder().push(text('{"t":"result","id":1,"output":1}')), FrameBreach)
  })

  test('begin after the mark, whatever stands before it', () => {
    const mark = Buffer.from('0123456789abcdef')
    const decoder = new FrameDecoder(mark)
    const old = encodeFrame(FROM.result, 1, text('"left by another"'))
    assert.deepEqual(decoder.push(old), [])
    assert.deepEqual(decoder.push(Buffer.concat([old.subarray(0, 11), mark.subarray(0, 5)])), [])
    const [frame] = decoder.push(Buffer.concat([mark.subarray(5), encodeFrame(FROM.ready, 3, text('{}'))]))
    assert.deepEqual([frame?.type, frame?.call], [FROM.ready, 3])
  })
})

describe('JSON of strangers', () => {
  test('is refused when it is deeper than can be walked', () => {
    const nested = (depth: number): Buffer => text('['.repeat(depth) + ']'.repeat(depth))
    assert.throws(() => parseJson(nested(200_000)), FrameBreach)
    assert.throws(() => parseJson(nested(MAX_DEPTH + 1)), FrameBreach)
    assert.doesNotThrow(() => parseJson(nested(MAX_DEPTH)))
    assert.equal(parseJson(text(`"${'['.repeat(300)}\\"${'{'.repeat(300)}"`)), `${'['.repeat(300)}"${'{'.repeat(300)}`)
  })

  test('is refused when it is NaN, cut, or not UTF-8', () => {
    for (const bad of [text('NaN'), text('{"a":1'), text(''), text('1 2'), Buffer.from([0x22, 0xff, 0xfe, 0x22])]) {
      assert.throws(() => parseJson(bad), FrameBreach)
    }
  })

  test('sets no prototype, however its name is written', () => {
    for (const name of ['__proto__', '\\u005f_proto__', '__\\u0070roto__', '__pr\\u006Fto__']) {
      const value = parseJson(text(`{"${name}":{"polluted":true},"kept":1,"a":[{"${name}":1}]}`))
      assert.equal(JSON.stringify(value), '{"kept":1,"a":[{}]}')
      assert.equal(Object.getPrototypeOf(Object.assign({}, value)), Object.prototype)
    }
  })
})
