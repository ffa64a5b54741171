/**
 * Where the gateway may listen: on loopback, and beyond it only when somebody decided how requests and keys cross the network. Nobody is
 * ever let in without a credential, so the one thing to decide is TLS.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:https'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Authority } from '../support/authority.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import type { GatewayOptions, Scope } from '../support/gateway-process.ts'

const LIMIT = { timeout: 120_000 }
/** Loopback in a spelling that is none of those the gateway knows to be: stands for an address of the network, without listening there. */
const BEYOND = '::ffff:127.0.0.1'

async function refused(scope: Scope, options: GatewayOptions): Promise<{ readonly said: string; readonly dir: string }> {
  const { child, dir } = spawnGateway(scope, options)
  const { code } = await child.ended
  assert.notEqual(code, 0)
  assert.notEqual(code, null, 'it ended by itself')
  return { said: child.output(), dir }
}

for (const host of ['0.0.0.0', '::', '192.0.2.1', 'gateway.example']) {
  test(`on ${host} without TLS it does not start, and says what to do`, LIMIT, async (t) => {
    const { said } = await refused(t, { env: { OPENCLAW_HOST: host } })
    assert.match(said, /LISTEN_INSECURE|Refusing to listen on/)
    assert.ok(said.includes(host), said)
    for (const way of ['server.tls', '127.0.0.1', 'server.insecure_http: true']) assert.ok(said.includes(way), `${way} in: ${said}`)
    assert.doesNotMatch(said, / listens /)
    assert.doesNotMatch(said, /ock_live_/, 'nor does it show a key')
  })
}

test('what stands in the file counts as what stands in the environment', LIMIT, async (t) => {
  const { said } = await refused(t, { config: { server: { host: '0.0.0.0' } } })
  assert.match(said, /Refusing to listen on 0\.0\.0\.0/)
})

test('with a certificate that is not there it does not fall back to plain HTTP', LIMIT, async (t) => {
  const { said } = await refused(t, { config: { server: { host: BEYOND, tls: { cert: 'none.pem', key: 'none.key' } } } })
  assert.match(said, /none\.(pem|key)/)
})

test('gRPC is no way around: beyond loopback it needs TLS or the same yes, and with TLS nothing else is heard', LIMIT, async (t) => {
  const alone = await refused(t, { config: { grpc: { enabled: true, host: '0.0.0.0', port: 0 } } })
  assert.match(alone.said, /Refusing to listen on 0\.0\.0\.0/)
  const authority = await Authority.create(t)
  const { certFile, keyFile } = await authority.issue('DNS:localhost,IP:127.0.0.1')
  const { child } = spawnGateway(t, {
    config: { server: { port: 0, tls: { cert: certFile, key: keyFile } }, grpc: { enabled: true, host: BEYOND, port: 0 } },
  })
  const [, port] = await child.said(/grpc +\S*:(\d+)/, 60_000)
  const secured = connectTls({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] })
  await once(secured, 'secureConnect')
  assert.deepEqual([secured.getProtocol(), secured.alpnProtocol], ['TLSv1.3', 'h2'])
  secured.destroy()
  const clear = connect(Number(port), '127.0.0.1').on('error', () => undefined)
  clear.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  await once(clear.resume(), 'close')
})

test(
  'with `server.insecure_http` it starts, still lets nobody in without a key, and the metrics stay on this machine',
  LIMIT,
  async (t) => {
    const metricsPort = await freePort()
    const { child, dir } = spawnGateway(t, {
      config: { server: { host: BEYOND, insecure_http: true } },
      env: { OPENCLAW_METRICS_PORT: String(metricsPort) },
    })
    const [, port] = await child.said(/listens +http:\/\/\S*:(\d+)/, 60_000)
    const url = `http://127.0.0.1:${port}`
    for (const path of ['/v1/agents', '/v1/keys', '/v1/messages', '/api/metrics', '/v1/audit', '/v1/channels'])
      assert.equal((await fetch(url + path)).status, 401, path)
    assert.deepEqual(await (await fetch(`${url}/healthz`)).json(), { status: 'ok' }, 'and a stranger learns nothing more')
    const keyFile = join(dir, '.openclaw', 'admin.key')
    assert.equal(statSync(keyFile).mode & 0o777, 0o600)
    const key = readFileSync(keyFile, 'utf8').trim()
    assert.ok(!child.output().includes(key))
    assert.equal((await fetch(`${url}/v1/agents`, { headers: { authorization: `Bearer ${key}` } })).status, 200)
    assert.equal((await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).status, 200)
    assert.equal(await answers('127.0.0.2', metricsPort), false, 'another address of this machine')
  },
)

test('with a certificate it starts, and speaks TLS there and nothing else', LIMIT, async (t) => {
  const authority = await Authority.create(t)
  const { certFile, keyFile } = await authority.issue('DNS:localhost,IP:127.0.0.1')
  const { child } = spawnGateway(t, { config: { server: { host: BEYOND, tls: { cert: certFile, key: keyFile } } } })
  const [, port] = await child.said(/listens +https:\/\/\S*:(\d+)/, 60_000)
  const asked = request({ host: '127.0.0.1', port, path: '/v1/agents', ca: readFileSync(authority.certFile), agent: false }).end()
  const [response] = (await once(asked, 'response')) as [{ readonly statusCode?: number; resume(): void }]
  response.resume()
  assert.equal(response.statusCode, 401)
  await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`))
})

test('what was refused has made nothing that would be in the way of a second try', LIMIT, async (t) => {
  const { dir } = await refused(t, { env: { OPENCLAW_HOST: '0.0.0.0' } })
  assert.ok(!existsSync(join(dir, '.openclaw', 'address.json')))
  const { child } = spawnGateway(t, { dir })
  await child.said(/listens +http:\/\/127\.0\.0\.1:\d+/, 60_000)
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

/** Whether somebody takes connections there. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port }, () => resolve(true)).on('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
