/** docs/metrics.md names every metric that the source makes, as what it is, and no other. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { coming, documented } from '../../support/metric-docs.ts'

const root = join(import.meta.dirname, '..', '..', '..')
/** How a metric is made: by an object with a name, or by a function called `gauge` that takes it first. */
const MADE = /(?:\bname: |\bgauge\(\s*)'((?:openclaw|http|process|nodejs|websocket|queue)_[a-z0-9_]+)'/g

const made = new Set(
  globSync('{gateway,channels,agents,skills}/**/*.ts', { cwd: root }).flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(MADE)].map(([, name]) => name ?? ''),
  ),
)

test('every metric is in docs/metrics.md, and every metric there is made', () => {
  assert.ok(made.size > 50, `only ${made.size} were found`)
  assert.deepEqual([...made].filter((name) => !documented.has(name)).sort(), [])
  assert.deepEqual([...documented.keys()].filter((name) => !made.has(name)).sort(), [])
})

test('what is named as coming is not there yet', () => {
  assert.deepEqual(
    [...coming.keys()].filter((name) => made.has(name) || documented.has(name)),
    [],
  )
})

test('no metric goes by a name that is made up while it runs', () => {
  const hidden = globSync('{gateway,channels,agents,skills}/**/*.ts', { cwd: root }).filter((file) =>
    /\bname: `(openclaw|http|process|nodejs|websocket|queue)_/.test(readFileSync(join(root, file), 'utf8')),
  )
  assert.deepEqual(hidden, [])
})
