/** TLS 1.3 with AES-256-GCM and nothing less, certificates that change while it runs, and services that prove who they are by theirs. */
import assert from 'node:assert/strict'
import { copyFile, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { TLSSocket, connect, type ConnectionOptions } from 'node:tls'
import type { CertificateClient, JsonObject, TlsSettings } from '#contract'
import { Authority, type Pair } from '../../support/authority.ts'
import { eventually } from '../../support/eventually.ts'
import { Hub, startServer, upgradeRoute, type Started } from './double.ts'

const worker = (change: Partial<CertificateClient> = {}): CertificateClient => ({
  san: 'spiffe://acme/worker',
  name: 'worker',
  scopes: ['agents:read'],
  roles: [],
  tenant: 'default',
  pins: [],
  ...change,
})

interface Given extends Started {
  readonly authority: Authority
  readonly own: Pair
  readonly get: (path: string, options?: Asked) => Promise<Answer>
}
type Asked = ConnectionOptions & {
  readonly headers?: { readonly [name: string]: string }
  readonly method?: string
  readonly body?: string
}
interface Answer {
  readonly status: number
  readonly body: JsonObject
  readonly serial: string
}

async function given(t: TestContext, change: Partial<TlsSettings> & { mutual?: boolean; hub?: Hub } = {}): Promise<Given> {
  const { mutual = true, hub = new Hub(), ...tls } = change
  const authority = await Authority.create(t)
  const own = await authority.issue('DNS:localhost,IP:127.0.0.1')
  const files = { cert: join(authority.dir, 'server.pem'), key: join(authority.dir, 'server.key') }
  await copyFile(own.certFile, files.cert)
  await copyFile(own.keyFile, files.key)
  const clientCa = mutual ? authority.certFile : null
  const started = await startServer(t, {
    hub,
    tls: { ...files, clientCa, isClientRequired: false, clients: mutual ? [worker()] : [], ...tls },
    upgrades: [upgradeRoute(() => undefined)],
    origins: ['https://app.example.com'],
  })
  const { port } = new URL(started.url)
  return {
    ...started,
    authority,
    own,
    get: (path, { body, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port, path, agent: false, rejectUnauthorized: false, ...options }, (response) => {
          const serial = response.socket instanceof TLSSocket ? response.socket.getPeerCertificate().serialNumber : ''
          let text = ''
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: text.startsWith('{') ? JSON.parse(text) : {}, serial }),
          )
        })
        asked.on('error', reject).end(body)
      }),
  }
}
const by = ({ cert, key }: Pair): ConnectionOptions => ({ cert, key })

test('it speaks TLS 1.3 with AES-256-GCM and refuses everything less', async (t) => {
  const { url, get } = await given(t, { mutual: false })
  assert.match(url, /^https:/)
  assert.equal((await get('/healthz')).status, 200)
  const { port } = new URL(url)
  const negotiated = (options: ConnectionOptions): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false, ...options })
      socket.once('secureConnect', () => {
        resolve(`${socket.getProtocol()} ${socket.getCipher().name}`)
        socket.destroy()
      })
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'refused'))
    })
  assert.equal(await negotiated({}), 'TLSv1.3 TLS_AES_256_GCM_SHA384')
  for (const weaker of [
    { maxVersion: 'TLSv1.2' },
    { ciphers: 'TLS_AES_128_GCM_SHA256' },
    { ciphers: 'TLS_CHACHA20_POLY1305_SHA256' },
  ] satisfies ConnectionOptions[])
    assert.match(await negotiated(weaker), /^(ERR_SSL|ECONNRESET)/)
})

test('a certificate of a named client is a credential, and nothing else about it is believed', async (t) => {
  const { get, authority, hub } = await given(t)
  const other = await Authority.create(t)
  const named = await authority.issue('URI:spiffe://acme/worker')
  const who = await get('/v1/whoami', by(named))
  assert.deepEqual(
    [who.status, who.body['principal'], who.body['proven_by'], who.body['scopes']],
    [200, 'worker', 'certificate', ['agents:read']],
  )
  assert.equal((await get('/v1/agents', by(named))).status, 200)
  assert.equal((await get('/v1/keys', by(named))).status, 403)
  const refused: { readonly [what: string]: ConnectionOptions } = {
    'no certificate': {},
    'another name': by(await authority.issue('URI:spiffe://acme/stranger')),
    'the name in another kind': by(await authority.issue('email:worker@acme.example')),
    'the name as part of another': by(await authority.issue('DNS:evil.example,URI:spiffe://acme/worker.evil')),
    'the right name by another authority': by(await other.issue('URI:spiffe://acme/worker')),
    'an expired one': by(await authority.issue('URI:spiffe://acme/worker', -1)),
  }
  for (const [what, options] of Object.entries(refused)) assert.equal((await get('/v1/agents', options)).status, 401, what)
  // A browser shows its certificate for whichever page asks; sockets and changes are held by their Origin.
  for (const [site, status] of [
    ['cross-site', 401],
    ['same-site', 401],
    ['same-origin', 200],
    ['none', 200],
  ] as const)
    assert.equal((await get('/v1/agents', { ...by(named), headers: { 'sec-fetch-site': site } })).status, status, site)
  // A key that is given counts alone, also where it is worth less.
  assert.equal((await get('/v1/agents', { ...by(named), headers: { authorization: 'Bearer wrong' } })).status, 401)
  assert.equal(
    hub.deeds.some(({ actor }) => actor.id === 'worker' && actor.credential.startsWith('cert:')),
    false,
  )
  assert.equal((await get('/v1/keys/none', { ...by(named), method: 'DELETE' })).status, 403)
  assert.equal(
    hub.deeds.some(({ actor }) => actor.id === 'worker' && actor.credential.startsWith('cert:')),
    true,
  )
})

test('a certificate, which a browser shows by itself, is no credential for a page of another origin, listed or not', async (t) => {
  const { get, authority, url } = await given(t)
  const named = by(await authority.issue('URI:spiffe://acme/worker'))
  const from = async (origin: string): Promise<number> => (await get('/v1/agents', { ...named, headers: { origin } })).status
  assert.deepEqual([await from('https://app.example.com'), await from('https://evil.example'), await from('null')], [401, 401, 401])
  assert.equal(await from(url), 200, 'our own page')
})

test('a pin ties a client to one key, whoever signs another for its name', async (t) => {
  const hub = new Hub()
  const { get, authority, server } = await given(t, { hub })
  const pinned = await authority.issue('URI:spiffe://acme/worker')
  const later = await authority.issue('URI:spiffe://acme/worker')
  server.configureClients([worker({ pins: [pinned.pin] })])
  assert.equal((await get('/v1/agents', by(pinned))).status, 200)
  assert.equal((await get('/v1/agents', by(later))).status, 401)
  server.configureClients([worker({ pins: [pinned.pin, later.pin] })])
  assert.equal((await get('/v1/agents', by(later))).status, 200)
})

test('where certificates are required, nobody without one gets as far as HTTP', async (t) => {
  const { get, authority } = await given(t, { isClientRequired: true })
  const other = await Authority.create(t)
  assert.equal((await get('/healthz', by(await authority.issue('URI:spiffe://acme/worker')))).status, 200)
  await assert.rejects(get('/healthz'), /certificate required|ECONNRESET|socket hang up/)
  await assert.rejects(
    get('/healthz', by(await other.issue('URI:spiffe://acme/worker'))),
    /unknown ca|ECONNRESET|socket hang up|bad certificate/,
  )
})

/** Asks for the agents, again and again on one connection, and answers the status line. */
function keptOpen(t: TestContext, { url }: Started, { cert, key }: Pair): () => Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false, cert, key })
  t.after(() => void socket.destroy())
  socket.setEncoding('utf8')
  return () =>
    new Promise((resolve, reject) => {
      socket.once('data', (text: string) => resolve(text.split('\r\n', 1)[0] ?? '')).once('error', reject)
      socket.write(`GET /v1/agents HTTP/1.1\r\nHost: 127.0.0.1:${new URL(url).port}\r\n\r\n`)
    })
}

test('a client that is taken out of the configuration is out at once, on the connection it has too', async (t) => {
  const started = await given(t)
  const ask = keptOpen(t, started, await started.authority.issue('URI:spiffe://acme/worker'))
  assert.match(await ask(), /200/)
  started.server.configureClients([])
  assert.match(await ask(), /401/)
})

test('a certificate that expires proves nothing any more, on a connection that was made before either', async (t) => {
  const hub = new Hub()
  const started = await given(t, { hub })
  const days = Math.ceil((hub.clock.now() - Date.now()) / 86_400_000)
  const ask = keptOpen(t, started, await started.authority.issue('URI:spiffe://acme/worker', days))
  assert.match(await ask(), /200/)
  hub.clock.advance(86_400_000)
  assert.match(await ask(), /401/)
})

test('nobody makes a key of the name of a client with a certificate, except whoever may do everything', async (t) => {
  const { get, key, keyFor } = await given(t, {
    clients: [worker(), worker({ san: 'spiffe://beta/worker', name: 'other', tenant: 'beta' })],
  })
  const { secret } = await keyFor(['keys:write', 'agents:read'], 'deputy')
  const make = async (name: string, by: string): Promise<number> => {
    const headers = { authorization: `Bearer ${by}`, 'content-type': 'application/json' }
    return (await get('/v1/keys', { method: 'POST', headers, body: JSON.stringify({ name, scopes: ['agents:read'] }) })).status
  }
  assert.equal(await make('worker', secret), 409)
  assert.equal(await make('other', secret), 201, 'a name of another tenant is free')
  assert.equal(await make('worker', key), 201)
})

test('new files are taken while it runs, and files that do not fit change nothing', async (t) => {
  const hub = new Hub()
  const { get, authority, own } = await given(t, { hub, mutual: false })
  const first = (await get('/healthz')).serial
  await writeFile(join(authority.dir, 'server.pem'), 'not a certificate')
  hub.clock.advance(10_000)
  await eventually(
    () => hub.log.lines.some(({ message }) => message.startsWith('TLS goes on with the certificate it has.')),
    'the refusal of the files',
  )
  assert.equal((await get('/healthz')).serial, first)
  const next = await authority.issue('DNS:localhost')
  await copyFile(next.keyFile, join(authority.dir, 'server.key'))
  await copyFile(next.certFile, join(authority.dir, 'server.pem'))
  hub.clock.advance(10_000)
  await eventually(
    () => hub.log.lines.some(({ message }) => message.startsWith('The TLS certificate was read again')),
    'the new certificate',
  )
  assert.notEqual((await get('/healthz')).serial, first)
  assert.notEqual(own.cert, next.cert)
})

test('files that make no server are told before anything listens', async (t) => {
  const authority = await Authority.create(t)
  const [one, other, old] = [await authority.issue('DNS:a'), await authority.issue('DNS:b'), await authority.issue('DNS:c', -1)]
  const start = (cert: string, key: string): Promise<unknown> =>
    startServer(t, { tls: { cert, key, clientCa: null, isClientRequired: false, clients: [] } })
  await assert.rejects(start(one.certFile, other.keyFile), { code: 'TLS_UNFIT' })
  await assert.rejects(start(one.certFile, '/nowhere'), { code: 'TLS_UNFIT' })
  await assert.rejects(start(old.certFile, old.keyFile), /has expired/)
})
