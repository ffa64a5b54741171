/** Files handed in, packs for the store, digests. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { digestOf } from '../../../skills/bundle/digest.ts'
import { filesFaults } from '../../../skills/bundle/files.ts'
import { pack, unpack } from '../../../skills/bundle/pack.ts'

const pointers = (...paths: readonly string[]): readonly string[] =>
  filesFaults(Object.fromEntries(paths.map((path) => [path, new Uint8Array()]))).map(({ pointer }) => pointer)
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('files', () => {
  test('under a path that leads out, or is the descriptor, are refused, each by its place', () => {
    assert.deepEqual(pointers('a.py', 'b/c.bin'), [])
    assert.deepEqual(pointers('../a', '/b', 'skill.json'), ['#/files/..~1a', '#/files/~1b', '#/files/skill.json'])
    assert.deepEqual(pointers('__proto__'), ['#/files/__proto__'])
    assert.deepEqual(pointers('A.py', 'a.py'), ['#/files/a.py'])
    assert.deepEqual(pointers('a', 'A/b'), ['#/files/A~1b'])
  })

  test('are counted and weighed', () => {
    assert.deepEqual(pointers(...Array.from({ length: 257 }, (_, i) => `f${i}`)), ['#/files'])
    assert.deepEqual(
      filesFaults({ a: new Uint8Array(4 * 1_048_576), b: bytes('x') }).map(({ pointer }) => pointer),
      ['#/files'],
    )
    assert.deepEqual(filesFaults({ a: new Uint8Array(4 * 1_048_576) }), [])
  })
})

describe('a pack', () => {
  test('gives back what was packed', async () => {
    const files = { 'é/ü': bytes('1'), empty: bytes(''), big: new Uint8Array(100_000).map((_, i) => i % 251) }
    assert.deepEqual(await unpack(await pack(files)), files)
    assert.deepEqual(await unpack(await pack({})), {})
  })

  test('that is damaged is an error', async () => {
    for (const content of ['', '\0\0\0\0', '\0\0\0\x02{}', '\0\0\0\x0b[["a",9999]]', '\0\0\0\x07[[1,1]]x'])
      await assert.rejects(unpack(gzipSync(Buffer.from(content, 'latin1'))), Error, content)
    await assert.rejects(unpack(gzipSync(Buffer.alloc(20_000_000))), /larger than/)
  })
})

describe('a digest', () => {
  test('is the same for the same skill, however it is written, and another for anything else', () => {
    const files = { b: bytes('2'), a: bytes('1') }
    const digest = digestOf({ id: 'x', version: '1.0.0' }, files)
    assert.equal(digest, digestOf({ version: '1.0.0', id: 'x' }, { a: bytes('1'), b: bytes('2') }))
    assert.match(digest, /^sha256-[\da-f]{64}$/)
    const others = [
      digestOf({ id: 'x', version: '1.0.1' }, files),
      digestOf({ id: 'x', version: '1.0.0' }, { ...files, a: bytes('3') }),
      digestOf({ id: 'x', version: '1.0.0' }, { b: bytes('2'), c: bytes('1') }),
      digestOf({ id: 'x', version: '1.0.0' }, { ...files, c: bytes('') }),
    ]
    assert.equal(new Set([digest, ...others]).size, 5)
  })
})
