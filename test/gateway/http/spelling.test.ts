/** One route by all the ways its path can be spelt, sent as no client would tidy it: none of them asks for less than the route does. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { startServer } from './double.ts'
import type { Started } from './double.ts'
import { PERMISSION_OF } from './permissions.ts'
import { exchange, lines } from './raw.ts'

/** The status, and whether the answer says anything but that it is refused. */
async function ask(started: Started, method: string, path: string, secret: string): Promise<number> {
  const { hostname, port } = new URL(started.url)
  const asked = request({ hostname, port, method, path, headers: { authorization: `Bearer ${secret}` } })
  asked.end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  return response.statusCode ?? 0
}

const SPELLINGS: { readonly [what: string]: (path: string, url: string) => string } = {
  'the other mount': (path) => `/api${path}`,
  'the other mount twice': (path) => `/api/api${path}`,
  'a slash at the end': (path) => `${path}/`,
  'two slashes': (path) => `/${path}`,
  'two slashes inside': (path) => path.replace('/v1/', '/v1//'),
  'a dot': (path) => path.replace('/v1/', '/v1/./'),
  'two dots': (path) => path.replace('/v1/', '/v1/x/../'),
  'two dots, encoded': (path) => path.replace('/v1/', '/v1/x/%2e%2e/'),
  'a letter, encoded': (path) => path.replace('/v1/', '/%761/'),
  'a slash, encoded': (path) => path.replace('/v1/', '/v1%2f'),
  'a slash, encoded twice': (path) => path.replace('/v1/', '/v1%252f'),
  'a backslash': (path) => path.replace('/v1/', '/v1\\'),
  'upper case': (path) => path.toUpperCase(),
  'a semicolon': (path) => `${path};x=1`,
  'an extension': (path) => `${path}.json`,
  'a query': (path) => `${path}?x=1`,
  'a fragment': (path) => `${path}#/healthz`,
  'a NUL': (path) => `${path}%00`,
  'the whole URL': (path, url) => `${url}${path}`,
  'the URL of another host': (path) => `http://evil.example${path}`,
}

test('no spelling of a path opens it to whoever may not, and none is an error of ours', async (t) => {
  const started = await startServer(t)
  const { secret } = await started.keyFor(['logs:read'])
  for (const [route, permission] of PERMISSION_OF) {
    const [method = '', template = ''] = route.split(' ')
    if (permission === 'public' || !template.startsWith('/v1/') || route === 'GET /v1/ws') continue
    const path = template.replaceAll(/\{\w+\}/g, 'x')
    for (const [what, spell] of Object.entries(SPELLINGS)) {
      const status = await ask(started, method, spell(path, started.url), secret)
      assert.ok([400, 403, 404, 405].includes(status), `${route} with ${what}: ${status}`)
    }
  }
  assert.deepEqual(started.hub.posted, [])
  assert.equal(started.hub.keyRecords.length, 2)
})

test('a method is what the request line says: no header and no query makes it another', async (t) => {
  const started = await startServer(t)
  const { id } = await started.keyFor(['*'], 'victim')
  const { secret } = await started.keyFor(['keys:read'], 'reader')
  const { host } = new URL(started.url)
  for (const claim of ['X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: DELETE', 'X-Method-Override: DELETE', 'X-Original-URL: /v1/keys'])
    assert.match(
      await exchange(
        started.url,
        lines(`GET /v1/keys/${id} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${secret}`, claim, 'Connection: close', ''),
      ),
      /^HTTP\/1\.1 200 /,
    )
  for (const method of ['HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'delete'])
    assert.doesNotMatch(
      await exchange(
        started.url,
        lines(`${method} /v1/keys/${id} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${started.key}`, 'Connection: close', ''),
      ),
      /"id"|^HTTP\/1\.1 204 (?![^]*allow: DELETE, GET, HEAD, OPTIONS)/,
      method,
    )
  assert.equal(started.hub.keys.list('default').find((key) => key.id === id)?.revokedAt, null)
})
