/** docs/threats.md names a test for each attack; here it is held that those tests are there. */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs', 'threats.md'), 'utf8')
const rows = page.split('\n').flatMap((line) => {
  const [, attack, from, named] = /^\| ([^|]+) \|([^|]*)\| `(.+)` \|$/.exec(line) ?? []
  return attack === undefined || named === undefined ? [] : [{ attack, from, named }]
})

test('each attack names a test that there is', () => {
  const sources = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    // Where a test is wrapped its name stands on a line of its own.
    .map((file) => readFileSync(join(root, 'test', file), 'utf8').replaceAll(/\btest\(\s+/g, 'test('))
  assert.ok(rows.length > 35, `${rows.length}`)
  for (const { attack, named } of rows) {
    const isThere = sources.some((source) => ["'", '"', '`'].some((quote) => source.includes(`test(${quote}${named}${quote},`)))
    assert.ok(isThere, `${attack}: there is no test "${named}"`)
  }
})

test('every row of its tables is read', () => {
  const written = page.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| attack') && !line.startsWith('| ---'))
  assert.equal(rows.length, written.length)
})

test('every public advisory that it knows of stands in it once', () => {
  const known = rows.flatMap(({ from }) => from?.match(/CVE-2026-\d+|GHSA(-\w{4})+/g) ?? [])
  assert.deepEqual(known.toSorted(), [...new Set(known)].toSorted())
  assert.ok(known.length >= 38, `${known.length}`)
})
