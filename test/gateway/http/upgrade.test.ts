import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import type { Principal, UpgradeCaller } from '#contract'
import { startServer, upgradeRoute, type Started } from './double.ts'
import { exchange, lines, open } from './raw.ts'

const ask = ({ url }: Started, headers: readonly string[], path = '/v1/ws', host = new URL(url).host) =>
  exchange(url, lines(`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket', ...headers, ''))

const asProtocol = (token: string) =>
  `Sec-WebSocket-Protocol: openclaw.v1, base64url.bearer.authorization.openclaw.${Buffer.from(token).toString('base64url')}`

test('the channel is told who was proven: by header, by sub-protocol, by cookie, or nobody yet', async (t) => {
  const callers: (Principal | null)[] = []
  const started = await startServer(t, { upgrades: [upgradeRoute(({ principal }) => callers.push(principal))] })
  const { call, key, url } = started
  const signIn = await call('/v1/console/session', { method: 'POST', headers: { authorization: 'none' }, json: { key } })
  const cookie = signIn.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
  for (const headers of [
    [`Authorization: Bearer ${key}`],
    [asProtocol(key)],
    [`Cookie: a=b; ${cookie}`, `Origin: ${url}`],
    [],
    ['Cookie: other=1'],
  ]) {
    assert.match(await ask(started, headers), /^HTTP\/1\.1 101 /)
  }
  assert.match(await ask(started, [], '/api/v1/ws?x=1'), /^HTTP\/1\.1 101 /)
  assert.deepEqual(
    callers.map((caller) => caller?.id ?? null),
    ['tester', 'tester', 'tester', null, null, null],
  )
})

test('a token that is given must hold', async (t) => {
  const started = await startServer(t, { upgrades: [upgradeRoute(() => assert.fail('let in'))] })
  for (const headers of [['Authorization: Bearer x'], ['Authorization: Basic eDp5'], [asProtocol('x')], [asProtocol('')]]) {
    assert.match(await ask(started, headers), /^HTTP\/1\.1 401 [^]*www-authenticate: Bearer[^]*CREDENTIAL_INVALID/)
  }
})

test('a key without the scope is 403', async (t) => {
  const started = await startServer(t, { upgrades: [upgradeRoute(() => assert.fail('let in'))] })
  const { secret } = await started.keyFor(['messages:read'])
  assert.match(await ask(started, [`Authorization: Bearer ${secret}`]), /^HTTP\/1\.1 403 [^]*INSUFFICIENT_SCOPE/)
})

test('sockets count as requests do: of a key by the key, of strangers by their network', async (t) => {
  const from: string[] = []
  const started = await startServer(t, {
    rateLimits: { perIp: 1, perKey: 2 },
    trustedProxies: ['127.0.0.0/8'],
    upgrades: [
      {
        ...upgradeRoute(() => undefined),
        handle: (_request, socket, _head, { ip }) => {
          from.push(ip)
          socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
        },
      },
    ],
  })
  const key = [`Authorization: Bearer ${started.key}`]
  for (let i = 0; i < 2; i++) assert.match(await ask(started, key), /^HTTP\/1\.1 101 /)
  assert.match(await ask(started, key), /^HTTP\/1\.1 429 [^]*RATE_LIMITED/)
  assert.match(await ask(started, ['X-Forwarded-For: 2001:db8::1']), /^HTTP\/1\.1 101 /)
  assert.match(await ask(started, ['X-Forwarded-For: 2001:db8::2']), /^HTTP\/1\.1 429 /)
  assert.deepEqual(from, ['127.0.0.1', '127.0.0.1', '2001:db8:0:0::/64'])
})

test('a wish for another protocol is passed over, and one for a socket where there is none counts', async (t) => {
  const started = await startServer(t, { rateLimits: { perIp: 1, perKey: 100 }, upgrades: [upgradeRoute(() => assert.fail('let in'))] })
  const wishing = async (method: string, path: string, upgrade: string, isKnown = true): Promise<number | undefined> => {
    const { hostname, port } = new URL(started.url)
    const headers = {
      connection: 'Upgrade, HTTP2-Settings',
      upgrade,
      ...(isKnown ? { authorization: `Bearer ${started.key}` } : {}),
      'content-type': 'application/json',
    }
    const asked = request({ hostname, port, method, path, headers, agent: false }).end(method === 'POST' ? '{}' : undefined)
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    asked.destroy()
    return response.statusCode
  }
  assert.equal(await wishing('POST', '/v1/messages', 'h2c'), 202)
  assert.equal(await wishing('GET', '/v1/ws', 'h2c'), 426)
  for (let i = 0; i < 2; i++) assert.equal(await wishing('GET', '/v1/nothing', 'websocket'), 404, 'counted with its key')
  assert.equal(await wishing('GET', '/v1/nothing', 'websocket', false), 404)
  assert.equal(await wishing('GET', '/v1/nothing', 'websocket', false), 429)
})

test('pages of other origins open no socket, whatever cookie goes with them', async (t) => {
  const started = await startServer(t, { upgrades: [upgradeRoute(() => assert.fail('let in'))] })
  for (const origin of ['null', 'http://evil.example', 'http://localhost:3000', 'http://127.0.0.1', `${started.url}0`]) {
    assert.match(await ask(started, [`Origin: ${origin}`, `Authorization: Bearer ${started.key}`]), /^HTTP\/1\.1 403 [^]*ORIGIN_REFUSED/)
  }
  assert.match(await ask(started, [], '/v1/ws', 'evil.example'), /^HTTP\/1\.1 421 /)
  assert.match(await ask(started, [], '/v1/nothing'), /^HTTP\/1\.1 404 /)
})

test('who holds a socket is told when the credential is revoked, and not after letting go', async (t) => {
  let caller: (UpgradeCaller & { principal: Principal }) | null = null
  const started = await startServer(t, {
    upgrades: [
      {
        path: '/v1/ws',
        permission: 'messages:write',
        handle: (_request, socket, _head, given) => {
          if (given.principal !== null) caller = { ...given, principal: given.principal }
          socket.end()
        },
      },
    ],
  })
  const { id, secret } = await started.keyFor(['messages:write'])
  await ask(started, [`Authorization: Bearer ${secret}`])
  const held = caller as (UpgradeCaller & { principal: Principal }) | null
  assert.ok(held)
  assert.equal(held.ip, '127.0.0.1')
  assert.equal((await held.authenticate(secret))?.credential, id)
  assert.equal(await held.authenticate('x'), null)
  const told: string[] = []
  held.onRevoked(held.principal, () => told.push('held'))
  held.onRevoked(held.principal, () => told.push('let go'))()
  await started.call(`/v1/keys/${id}`, { method: 'DELETE' })
  assert.deepEqual(told, ['held'])
  assert.equal(await held.authenticate(secret), null)
})

test('a socket that nobody closes is cut when the server stops', async (t) => {
  const started = await startServer(t, {
    upgrades: [
      {
        path: '/v1/ws',
        permission: 'messages:write',
        handle: (_request, socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
      },
    ],
  })
  const socket = await open(started.url)
  const isUp = new Promise((resolve) => socket.once('data', resolve))
  socket.write(lines('GET /v1/ws HTTP/1.1', `Host: ${new URL(started.url).host}`, 'Connection: Upgrade', 'Upgrade: websocket', ''))
  await isUp
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => undefined)
  const stopped = started.server.stop()
  started.hub.clock.advance(5_000)
  await Promise.all([stopped, closed])
})
