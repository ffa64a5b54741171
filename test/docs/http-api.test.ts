/** docs/http-api.md says what holds for all routes; what of it is a list is held here against the source. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { loadConfig } from '../../gateway/config/load.ts'
import { PROBLEMS } from '../../gateway/http/problem.ts'
import { folder } from '../gateway/config/folder.ts'
import { startServer } from '../gateway/http/double.ts'

const page = readFileSync(new URL('../../docs/http-api.md', import.meta.url), 'utf8')
interface Row {
  readonly first: string
  readonly second: string
  readonly third: string | undefined
}
const rowsOf = (heading: string): readonly Row[] => {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  return section.split('\n').flatMap((line) => {
    const [, first, second, third] = /^\| `([^`]+)` \| ([^|]+?) \|(?: ([^|]+?) \|)?$/.exec(line) ?? []
    return first === undefined || second === undefined ? [] : [{ first, second, third }]
  })
}

test('it has every type of problem, with status and title', () => {
  const written = rowsOf('What goes wrong').map(({ first, second, third }) => `${first} ${second} ${third}`)
  assert.deepEqual(
    written.toSorted(),
    Object.entries(PROBLEMS)
      .map(([slug, [status, title]]) => `${slug} ${status} ${title}`)
      .toSorted(),
  )
})

test('it has every other path of a route, and no more', async (t) => {
  const { url } = await startServer(t)
  type Operation = { readonly 'x-openclaw-aliases'?: readonly string[] }
  const { paths } = (await (await fetch(`${url}/v1/openapi.json`)).json()) as { paths: { [path: string]: { [method: string]: Operation } } }
  const there = Object.values(paths).flatMap((methods) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      (operation['x-openclaw-aliases'] ?? []).map((alias) => `${method.toUpperCase()} ${alias}`),
    ),
  )
  const written = rowsOf('Other paths').map(({ first }) => first)
  assert.deepEqual(written.toSorted(), there.toSorted())
})

test('its figures are the defaults', async (t) => {
  const loaded = await loadConfig({ dir: await folder(t, {}), env: {} })
  assert.ok(loaded.ok)
  const { rateLimits } = loaded.config.server
  assert.ok(page.includes(`${rateLimits.perIp} requests a minute from an address`))
  assert.ok(page.includes(`${rateLimits.perKey.toLocaleString('en')} with one`))
  const days = loaded.config.retention.messagesMs / 86_400_000
  assert.ok(page.includes(`(\`retention.messages\`, ${days} days)`))
})
