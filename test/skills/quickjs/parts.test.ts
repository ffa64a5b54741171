import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseJson } from '../../../skills/sandbox/quickjs/json.ts'
import { moduleSource, resolveImport } from '../../../skills/sandbox/quickjs/module.ts'
import { Tally } from '../../../skills/sandbox/quickjs/tally.ts'
import type { Said } from '../../../skills/sandbox/quickjs/tally.ts'

const files = new Map([
  ['main.js', ''],
  ['lib/a.js', ''],
  ['lib/b.json', '{}'],
])

describe('an import', () => {
  test('means a file of the skill, seen from the file that imports', () => {
    assert.deepEqual(resolveImport(files, '', 'main.js'), { path: 'main.js' })
    assert.deepEqual(resolveImport(files, 'main.js', './lib/a.js'), { path: 'lib/a.js' })
    assert.deepEqual(resolveImport(files, 'lib/a.js', './b.json'), { path: 'lib/b.json' })
    assert.deepEqual(resolveImport(files, 'lib/a.js', '../main.js'), { path: 'main.js' })
  })
  test('leads nowhere else', () => {
    for (const asked of ['fs', 'node:fs', 'https://example.com/a.js', '/etc/passwd', './../../etc/passwd', '../main.js', './lib', ''])
      assert.ok('fault' in resolveImport(files, 'main.js', asked), asked)
    assert.ok('fault' in resolveImport(files, '', '__proto__'))
  })
  test('of JSON is its value', () =>
    assert.equal(moduleSource('a.json', '{"a":"\u2028"}'), 'export default JSON.parse("{\\"a\\":\\"\u2028\\"}")'))
})

describe('JSON of a skill', () => {
  test('is read to a depth that can be walked', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    assert.notEqual(parseJson(nested(128)), undefined)
    assert.equal(parseJson(nested(129)), undefined)
    assert.equal(parseJson('['.repeat(400_000)), undefined)
    assert.deepEqual(parseJson(JSON.stringify(['['.repeat(1000), '\\"['.repeat(1000)])), ['['.repeat(1000), '\\"['.repeat(1000)])
    assert.equal(parseJson('{"a":'), undefined)
  })
  test('never reaches a prototype', () => {
    const value = parseJson('{"__proto__":{"polluted":1}}')
    assert.ok(Object.hasOwn(Object(value), '__proto__'))
    assert.ok(!('polluted' in {}))
  })
})

describe('what a skill says', () => {
  const tallied = (): { readonly tally: Tally; readonly said: Said[]; readonly time: { now: number } } => {
    const said: Said[] = []
    const time = { now: 0 }
    return { said, time, tally: new Tally({ now: () => time.now, tell: (what) => said.push(what) }) }
  }
  test('is told at most ten times a second, progress only as it stands', () => {
    const world = tallied()
    for (const n of [1, 2, 3]) world.tally.progress(String(n))
    world.tally.log('stdout', 'a')
    assert.deepEqual(world.said, [{ is: 'progress', text: '1' }])
    world.time.now = 99
    world.tally.log('stdout', 'b')
    assert.equal(world.said.length, 1)
    world.time.now = 100
    world.tally.log('stderr', 'c')
    assert.deepEqual(world.said.slice(1), [
      { is: 'log', stream: 'stdout', text: 'ab' },
      { is: 'log', stream: 'stderr', text: 'c' },
      { is: 'progress', text: '3' },
    ])
    assert.equal(world.tally.hasNews, false)
  })
  test('is kept to 64 KiB of each stream, and more than 8 MiB is a flood', () => {
    const world = tallied()
    for (let n = 0; n < 9; n++) world.tally.log('stdout', 'ä'.repeat(1_048_576))
    world.tally.log('log', 'heard')
    world.tally.flush()
    const told = (stream: string): string =>
      world.said.flatMap((what) => (what.is === 'log' && what.stream === stream ? [what.text] : [])).join('')
    assert.equal(told('stdout'), `${'ä'.repeat(32_768)}\n[the rest is dropped]\n`)
    assert.equal(told('log'), 'heard')
    assert.equal(world.tally.isFlood, true)
  })
  test('of progress is refused beyond 16 KiB', () => assert.throws(() => tallied().tally.progress('x'.repeat(16_385)), RangeError))
})
