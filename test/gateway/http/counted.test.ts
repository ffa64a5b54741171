/** Who is counted for what nobody serves, and that the question whether the gateway is well costs nobody anything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem, startServer, upgradeRoute } from './double.ts'
import { exchange, lines } from './raw.ts'

const WRONG = `Bearer ock_live_abcdefgh_${'x'.repeat(43)}`
const NOBODY = { authorization: 'none' }
const PROBES = ['/healthz', '/startupz', '/readyz', '/api/health', '/v1/health']

test('probes are answered while their address has asked enough, and are not counted for it', async (t) => {
  const { call, hub } = await startServer(t, { rateLimits: { perIp: 2, perKey: 2 } })
  for (let i = 0; i < 3; i++) {
    for (const path of PROBES) {
      const answer = await call(path, { headers: NOBODY })
      assert.equal(answer.status, 200, path)
      assert.equal(answer.headers.get('ratelimit'), null, path)
    }
  }
  assert.equal((await call('/v1/agents', { headers: NOBODY })).headers.get('ratelimit'), '"ip";r=1;t=30', 'nothing was taken')
  await call('/v1/agents', { headers: NOBODY })
  await problem(await call('/v1/agents', { headers: NOBODY }), 429)
  for (const path of PROBES) assert.equal((await call(path, { headers: NOBODY })).status, 200, path)
  hub.readiness = { ...hub.readiness, ready: false }
  assert.equal((await call('/readyz', { headers: NOBODY })).status, 503, 'and say what is so')
})

test('a credential at a probe adds details while it has requests left, and its lack or fault takes nothing away', async (t) => {
  const { call } = await startServer(t, { rateLimits: { perIp: 5, perKey: 2 } })
  const details = async (authorization?: string): Promise<boolean> => {
    const answer = await call('/healthz', {
      headers: { 'sec-fetch-site': 'cross-site', ...(authorization !== undefined && { authorization }) },
    })
    assert.equal(answer.status, 200)
    return 'parts' in ((await answer.json()) as object)
  }
  assert.equal(await details(), true)
  assert.equal(await details(), true)
  assert.equal(await details(), false, 'its requests are used up')
  for (let i = 0; i < 12; i++) assert.equal(await details(WRONG), false, 'guessed at, and shut out for it')
  assert.equal((await call('/v1/agents', { headers: { 'sec-fetch-site': 'cross-site', authorization: WRONG } })).status, 429)
})

test('a path that is not there costs who is known their own requests, and the address nothing', async (t) => {
  const { call } = await startServer(t, { rateLimits: { perIp: 2, perKey: 4 } })
  for (const [path, method, status] of [
    ['/v1/nope', 'GET', 404],
    ['/v1/agents', 'PUT', 405],
    ['/v1/agents', 'OPTIONS', 204],
    ['/v1/agents/%zz', 'GET', 400],
  ] as const) {
    const answer = await call(path, { method })
    assert.equal(answer.status, status, path)
    assert.equal(answer.headers.get('ratelimit-policy'), '"key";q=4;w=60', path)
  }
  assert.deepEqual((await problem(await call('/v1/nope'), 429))['violated-policies'], ['key'])
  assert.equal((await call('/v1/agents', { headers: NOBODY })).headers.get('ratelimit'), '"ip";r=1;t=30')
})

test('404, 405, 426, OPTIONS and paths that cannot be read count for the address of a stranger, and say what is left', async (t) => {
  const upgrades = [upgradeRoute(() => undefined)]
  for (const [path, method, status] of [
    ['/v1/nope', 'GET', 404],
    ['/v1/agents', 'PUT', 405],
    ['/v1/agents', 'OPTIONS', 204],
    ['/v1/ws', 'GET', 426],
    ['/v1/ws', 'POST', 405],
    ['/v1/agents/%zz', 'GET', 400],
  ] as const) {
    const { call } = await startServer(t, { rateLimits: { perIp: 1, perKey: 100 }, upgrades })
    const ask = (): Promise<Response> => call(path, { method, headers: NOBODY })
    const first = await ask()
    assert.equal(first.status, status, `${method} ${path}`)
    assert.equal(first.headers.get('ratelimit'), '"ip";r=0;t=60', `${method} ${path}`)
    const second = await ask()
    assert.equal(second.headers.get('retry-after'), '60')
    assert.deepEqual((await problem(second, 429))['violated-policies'], ['ip'], `${method} ${path}`)
  }
})

test('a socket asked for where there is none counts for the address too', async (t) => {
  const { url } = await startServer(t, { rateLimits: { perIp: 1, perKey: 100 } })
  const ask = (): Promise<string> =>
    exchange(url, lines('GET /v1/nope HTTP/1.1', `Host: ${new URL(url).host}`, 'Connection: Upgrade', 'Upgrade: websocket', ''))
  assert.match(await ask(), /^HTTP\/1\.1 404 /)
  assert.match(await ask(), /^HTTP\/1\.1 429 /)
})

test('the page’s own files are not counted', async (t) => {
  const { call } = await startServer(t, {
    rateLimits: { perIp: 1, perKey: 100 },
    consoleDir: new URL('../../../console', import.meta.url).pathname,
  })
  for (let i = 0; i < 3; i++) assert.equal((await call('/', { headers: NOBODY })).status, 200)
})

test('the client’s request id is on every answer, 404, 405 and a refused socket included, and in the log', async (t) => {
  const { call, url, hub } = await startServer(t, { upgrades: [upgradeRoute(() => undefined)] })
  const headers = { 'x-request-id': 'my-trace.1' }
  for (const [path, method] of [
    ['/v1/nope', 'GET'],
    ['/v1/agents', 'PUT'],
    ['/v1/agents', 'OPTIONS'],
    ['/v1/ws', 'GET'],
    ['/v1/agents/%zz', 'GET'],
  ] as const) {
    assert.equal((await call(path, { method, headers })).headers.get('x-request-id'), 'my-trace.1', `${method} ${path}`)
  }
  assert.equal(
    (await call('/v1/nope', { headers: { 'x-request-id': 'a'.repeat(65) } })).headers.get('x-request-id')?.startsWith('req-'),
    true,
  )
  hub.log.lines.length = 0
  const told = ['Connection: Upgrade', 'Upgrade: websocket', 'Origin: http://evil.example', 'X-Request-Id: my-trace.2']
  const refused = await exchange(url, lines('GET /v1/ws HTTP/1.1', `Host: ${new URL(url).host}`, ...told, ''))
  assert.match(refused, /^HTTP\/1\.1 403 [^]*x-request-id: my-trace\.2\r\n[^]*"instance":"my-trace\.2"/)
  assert.deepEqual(
    hub.log.lines.map(({ fields }) => fields['request_id']),
    ['my-trace.2'],
  )
})
