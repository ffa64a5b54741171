import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { problem, startServer } from './double.ts'
import { exchange, lines } from './raw.ts'

async function folder(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'openclaw-console-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  await writeFile(join(root, 'secret.js'), 'outside')
  const dir = join(root, 'console')
  await mkdir(join(dir, 'part'), { recursive: true })
  await writeFile(join(dir, 'index.html'), '<!doctype html><title>OpenClaw</title>')
  await writeFile(join(dir, 'part', 'app.js'), 'export {}')
  await writeFile(join(dir, '.env'), 'SECRET=1')
  await writeFile(join(dir, 'notes.md'), 'no')
  await symlink(join(root, 'secret.js'), join(dir, 'link.js'))
  return dir
}

test('the console is served to everybody under a strict policy', async (t) => {
  const { call } = await startServer(t, { consoleDir: await folder(t) })
  const page = await call('/', { headers: { authorization: 'none' } })
  assert.equal(page.status, 200)
  assert.match(await page.text(), /OpenClaw/)
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
  assert.equal(
    page.headers.get('content-security-policy'),
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  )
  for (const [name, value] of [
    ['cross-origin-opener-policy', 'same-origin'],
    ['x-content-type-options', 'nosniff'],
    ['x-frame-options', 'DENY'],
    ['referrer-policy', 'no-referrer'],
    ['cache-control', 'no-cache'],
  ] as const) {
    assert.equal(page.headers.get(name), value)
  }
  const script = await call('/part/app.js?v=1')
  assert.equal(script.headers.get('content-type'), 'text/javascript; charset=utf-8')
  assert.equal(await script.text(), 'export {}')
})

test('an unchanged file is 304', async (t) => {
  const { call } = await startServer(t, { consoleDir: await folder(t) })
  const etag = (await call('/part/app.js')).headers.get('etag') ?? ''
  assert.match(etag, /^"[\w-]{22}"$/)
  assert.equal((await call('/part/app.js', { headers: { 'if-none-match': `"x", W/${etag}` } })).status, 304)
  assert.equal((await call('/part/app.js', { headers: { 'if-none-match': '"x"' } })).status, 200)
})

test('nothing but the listed files can be reached, however the path is written', async (t) => {
  const { call, url } = await startServer(t, { consoleDir: await folder(t) })
  for (const path of ['/.env', '/notes.md', '/link.js', '/index.html', '/part', '/part/', '/constructor', '/__proto__']) {
    await problem(await call(path), 404)
  }
  for (const path of [
    '/../secret.js',
    '/part/../../secret.js',
    '/%2e%2e/secret.js',
    '/..%2fsecret.js',
    '//secret.js',
    '/part/..\\..\\secret.js',
    '/./part/app.js',
  ]) {
    const answer = await exchange(url, lines(`GET ${path} HTTP/1.1`, `Host: ${new URL(url).host}`, 'Connection: close', ''))
    assert.match(answer, /^HTTP\/1\.1 404 /, path)
  }
  await problem(await call('/', { method: 'POST' }), 404)
})

test('without a console the root is 404', async (t) => {
  const { call } = await startServer(t)
  await problem(await call('/'), 404)
  const other = await startServer(t, { consoleDir: join(tmpdir(), 'openclaw-no-such-console') })
  await problem(await other.call('/'), 404)
})
