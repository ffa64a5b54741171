/** Pages of other origins that the operator named: what they may, how they are told, and what stays ours alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Principal } from '#contract'
import { echoRoute, problem, startServer, upgradeRoute, type Started } from './double.ts'
import { exchange, lines } from './raw.ts'

const GUEST = 'https://app.example.com'
const EXPOSED =
  'etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-openclaw-message, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id'

/** Written otherwise than browsers do, to be the same. */
const open = (t: TestContext, change: Parameters<typeof startServer>[1] = {}): Promise<Started> =>
  startServer(t, { origins: ['HTTPS://App.Example.com:443', 'http://localhost:3000'], ...change })

/** The CORS fields of an answer, and Vary. */
const told = ({ headers }: Response): { readonly [name: string]: string } =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control') || name === 'vary'))

test('a page of a listed origin may read what it asked for with a key, whatever the answer is', async (t) => {
  const { call } = await open(t, { rateLimits: { perIp: 3, perKey: 1_000 } })
  const seen = { vary: 'Origin', 'access-control-allow-origin': GUEST, 'access-control-expose-headers': EXPOSED }
  for (const [path, init, status] of [
    ['/v1/agents', {}, 200],
    ['/v1/agents/none', {}, 404],
    ['/v1/roles', { method: 'POST', json: {} }, 422],
    ['/v1/nope', {}, 404],
    ['/v1/agents', { method: 'PUT' }, 405],
    ['/v1/agents', { headers: { authorization: 'none' } }, 401],
    ['/healthz', { headers: { authorization: 'none' } }, 200],
  ] as const) {
    const headers = { origin: GUEST, ...('headers' in init && init.headers) }
    const answer = await call(path, { ...init, headers })
    assert.deepEqual([answer.status, told(answer)], [status, seen], path)
  }
  const stream = await call('/v1/events/stream', { headers: { origin: GUEST } })
  assert.deepEqual([stream.headers.get('content-type'), told(stream)], ['text/event-stream', seen])
  await stream.body?.cancel()
  for (let i = 0; i < 2; i++) await call('/v1/agents', { headers: { authorization: 'none' } })
  const tooMany = await call('/v1/agents', { headers: { origin: GUEST, authorization: 'none' } })
  assert.deepEqual([tooMany.status, told(tooMany)], [429, seen])
})

test('its preflight is told the methods of the path and the headers it asked for, and is counted', async (t) => {
  const { call } = await open(t, { rateLimits: { perIp: 2, perKey: 1_000 } })
  const preflight = (origin: string, asked: string): Promise<Response> =>
    call('/v1/roles', {
      method: 'OPTIONS',
      headers: { authorization: 'none', origin, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
    })
  const answer = await preflight(GUEST, 'authorization,Content-Type, X-OpenClaw-CSRF,a b,x-stainless-os')
  assert.equal(answer.status, 204)
  assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS, POST')
  assert.deepEqual(told(answer), {
    vary: 'Origin',
    'access-control-allow-origin': GUEST,
    'access-control-expose-headers': EXPOSED,
    'access-control-allow-methods': 'GET, HEAD, OPTIONS, POST',
    'access-control-allow-headers': 'authorization, content-type, x-stainless-os',
    'access-control-max-age': '600',
  })
  assert.equal(answer.headers.get('ratelimit'), '"ip";r=1;t=30')
  assert.deepEqual(told(await preflight('https://evil.example', 'authorization')), { vary: 'Origin' })
  assert.equal((await preflight(GUEST, 'authorization')).status, 429)
})

test('an origin that is not listed letter by letter is told nothing and changes nothing', async (t) => {
  const { call, url } = await open(t, { routes: [echoRoute()] })
  for (const origin of [
    'null',
    'https://evil.example',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.example',
    'https://evil-app.example.com',
    'https://APP.example.com',
    'http://localhost:3001',
    `${url}0`,
  ]) {
    const read = await call('/v1/agents', { headers: { origin } })
    assert.deepEqual([read.status, told(read)], [200, { vary: 'Origin' }], origin)
    const changed = await call('/v1/messages', { method: 'POST', headers: { origin }, json: {} })
    assert.deepEqual(told(changed), { vary: 'Origin' }, origin)
    assert.equal((await problem(changed, 403))['code'], 'ORIGIN_REFUSED')
  }
  assert.equal((await call('/v1/messages', { method: 'POST', headers: { origin: 'http://localhost:3000' }, json: {} })).status, 202)
  assert.deepEqual(told(await call('/v1/agents')), { vary: 'Origin' }, 'and a program that is no page is told as much')
})

test('a listed page comes with a key or not at all: cookie and sign-in stay with our own pages', async (t) => {
  const { call, key, url } = await open(t, { routes: [echoRoute()] })
  const signIn = await call('/v1/console/session', { method: 'POST', headers: { authorization: 'none', origin: url }, json: { key } })
  assert.equal(signIn.status, 204)
  const cookie = signIn.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
  const own = { authorization: 'none', cookie, 'sec-fetch-site': 'same-origin' }
  assert.equal((await call('/v1/agents', { headers: own })).status, 200)
  // Another port of this host is another origin, and the same site: browsers send the cookie along.
  for (const site of [{ 'sec-fetch-site': 'same-site' }, {}]) {
    const headers = { authorization: 'none', cookie, origin: 'http://localhost:3000', 'x-openclaw-csrf': '1', ...site }
    const read = await call('/v1/agents', { headers })
    assert.equal((await problem(read, 401))['code'], 'UNAUTHENTICATED')
    assert.equal(read.headers.get('access-control-allow-credentials'), null)
    await problem(await call('/v1/messages', { method: 'POST', headers, json: {} }), 401)
    const foreign = await call('/v1/console/session', { method: 'POST', headers, json: { key } })
    assert.equal((await problem(foreign, 403))['code'], 'ORIGIN_REFUSED')
    assert.equal(foreign.headers.get('set-cookie'), null)
    await problem(await call('/v1/console/session', { method: 'DELETE', headers }), 403)
  }
  assert.equal((await call('/v1/agents', { headers: own })).status, 200, 'still signed in')
})

test('a page of a listed origin opens a socket, as nobody until it shows a token', async (t) => {
  const callers: (Principal | null)[] = []
  const started = await open(t, { upgrades: [upgradeRoute(({ principal }) => callers.push(principal))] })
  const { call, key, url } = started
  const signIn = await call('/v1/console/session', { method: 'POST', headers: { authorization: 'none' }, json: { key } })
  const cookie = signIn.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
  const ask = (...headers: readonly string[]): Promise<string> =>
    exchange(url, lines('GET /v1/ws HTTP/1.1', `Host: ${new URL(url).host}`, 'Connection: Upgrade', 'Upgrade: websocket', ...headers, ''))
  const token = `Sec-WebSocket-Protocol: openclaw.v1, base64url.bearer.authorization.openclaw.${Buffer.from(key).toString('base64url')}`
  assert.match(await ask(`Origin: ${GUEST}`, token), /^HTTP\/1\.1 101 /)
  assert.match(await ask('Origin: http://localhost:3000', `Cookie: ${cookie}`), /^HTTP\/1\.1 101 /)
  assert.match(await ask(`Origin: ${url}`, `Cookie: ${cookie}`), /^HTTP\/1\.1 101 /)
  assert.deepEqual(
    callers.map((caller) => caller?.id ?? null),
    ['tester', null, 'tester'],
  )
  for (const origin of ['null', 'https://evil.example', 'http://localhost:3001'])
    assert.match(await ask(`Origin: ${origin}`, token), /^HTTP\/1\.1 403 [^]*ORIGIN_REFUSED/)
})

test('what is no origin is refused at the start', async (t) => {
  for (const origin of [
    '*',
    'null',
    'https://*.example.com',
    'https://app.example.com/path',
    'app.example.com',
    'https://a:99999',
    'https://u@a',
  ])
    await assert.rejects(startServer(t, { origins: [origin] }), { code: 'CONFIG_INVALID' }, origin)
})
