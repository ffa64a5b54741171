/** gRPC over TLS: the same certificates, the same clients as over HTTP, by the library's own client. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { connect } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import type { CertificateClient, Route, TlsSettings } from '#contract'
import { Authority } from '../../support/authority.ts'
import type { Pair } from '../../support/authority.ts'
import { eventually } from '../../support/eventually.ts'
import { Hub, echoRoute } from '../http/double.ts'
import { endOf, readAll, refused } from './client.ts'
import type { Client, Credentials } from './client.ts'
import { GrpcReflection } from './reflection.ts'
import { optionsOf, start } from './world.ts'
import type { World } from './world.ts'
import { GrpcServer } from '../../../gateway/grpc/server.ts'

const worker = (change: Partial<CertificateClient> = {}): CertificateClient => ({
  san: 'spiffe://acme/worker',
  name: 'worker',
  scopes: ['messages:write', 'events:read'],
  roles: [],
  tenant: 'default',
  pins: [],
  ...change,
})

interface Secured extends World {
  readonly authority: Authority
  readonly own: Pair
  /** What the client trusts, and by what it proves itself. */
  readonly by: (pair?: Pair, trusted?: string) => Credentials
  readonly anonymous: (pair?: Pair) => Client
}

const whoRoute = (): Route =>
  echoRoute({
    handle: ({ principal }) => ({
      status: 202,
      body: { message_id: `${principal?.id} ${principal?.credential.slice(0, 5)}`, status: 'queued' },
    }),
  })

async function given(t: TestContext, change: Partial<TlsSettings> = {}): Promise<Secured> {
  const authority = await Authority.create(t)
  const own = await authority.issue('DNS:localhost,IP:127.0.0.1')
  const files = { cert: join(authority.dir, 'server.pem'), key: join(authority.dir, 'server.key') }
  await copyFile(own.certFile, files.cert)
  await copyFile(own.keyFile, files.key)
  const tls: TlsSettings = { ...files, clientCa: authority.certFile, isClientRequired: false, clients: [worker()], ...change }
  const world = await start(t, { tls, overHttp: { tls }, routes: [whoRoute()] })
  const ca = await readFile(authority.certFile)
  const by: Secured['by'] = (pair, trusted) =>
    grpc.credentials.createSsl(
      trusted === undefined ? ca : Buffer.from(trusted),
      pair === undefined ? null : Buffer.from(pair.key),
      pair === undefined ? null : Buffer.from(pair.cert),
    )
  return { ...world, authority, own, by, anonymous: (pair) => world.clientWith(by(pair)) }
}

const publish = async (client: Client, metadata?: grpc.Metadata): Promise<unknown> =>
  (await client.ask('Publish', { payload: { text: 'x' } }, metadata === undefined ? {} : { metadata })).reply['message_id']

test('gRPC speaks TLS 1.3 with the certificate of HTTP, and nothing less', async (t) => {
  const { grpc: server, clientWith, by } = await given(t)
  assert.match(String(await publish(clientWith(by()))), /^tester key-/)
  const port = Number(server.address.split(':')[1])
  const negotiated = (options: ConnectionOptions): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'], ...options })
      socket.once('secureConnect', () => {
        resolve(`${socket.getProtocol()} ${socket.getCipher().name} ${socket.alpnProtocol}`)
        socket.destroy()
      })
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'refused'))
    })
  assert.equal(await negotiated({}), 'TLSv1.3 TLS_AES_256_GCM_SHA384 h2')
  for (const weaker of [
    { maxVersion: 'TLSv1.2' },
    { ciphers: 'TLS_AES_128_GCM_SHA256' },
    { ALPNProtocols: ['http/1.1'] },
  ] satisfies ConnectionOptions[])
    assert.match(await negotiated(weaker), /^(ERR_SSL|ECONNRESET)/, JSON.stringify(weaker))
})

test('a client that speaks in the clear, or trusts another authority, is not served', async (t) => {
  const { clientWith, by } = await given(t)
  const other = await Authority.create(t)
  const clear = await refusedQuickly(clientWith(grpc.credentials.createInsecure()))
  const mistaken = await refusedQuickly(clientWith(by(undefined, await readFile(other.certFile, 'utf8'))))
  assert.deepEqual([clear, mistaken], ['UNAVAILABLE', 'UNAVAILABLE'])
})

const DAY_MS = 86_400_000

/** A client that cannot connect tries again until its deadline, unless it does not wait. */
const refusedQuickly = async (client: Client): Promise<string> => (await refused(client.ask('Publish', { payload: { text: 'x' } }))).status

test('a certificate of a named client is a credential, and nothing else about it is believed', async (t) => {
  const { anonymous, authority, client: keyed } = await given(t)
  const other = await Authority.create(t)
  const named = await authority.issue('URI:spiffe://acme/worker')
  const without = keyed.meta({}, null)
  assert.equal(await publish(anonymous(named), without), 'worker cert:')
  const stream = anonymous(named).service.Subscribe({}, without)
  await new Promise<void>((resolve) => stream.once('metadata', () => resolve()))
  stream.on('error', () => undefined).cancel()
  const narrow = await refused(anonymous(named).ask('InvokeSkill', { skill: 'adder' }, { metadata: without }))
  assert.deepEqual([narrow.status, narrow.code], ['PERMISSION_DENIED', 'INSUFFICIENT_SCOPE'])
  const nobody: { readonly [what: string]: Pair | undefined } = {
    'no certificate': undefined,
    'another name': await authority.issue('URI:spiffe://acme/stranger'),
    'the right name by another authority': await other.issue('URI:spiffe://acme/worker'),
    'an expired one': await authority.issue('URI:spiffe://acme/worker', -1),
  }
  for (const [what, pair] of Object.entries(nobody)) {
    const refusal = await refused(publish(anonymous(pair), without))
    assert.deepEqual([refusal.status, refusal.code], ['UNAUTHENTICATED', 'UNAUTHENTICATED'], what)
  }
  // A key that is given counts alone, also where it is worth less.
  assert.equal((await refused(publish(anonymous(named), keyed.meta({}, 'wrong')))).code, 'CREDENTIAL_INVALID')
})

test('each connection is who its own certificate says, however many there are', async (t) => {
  const { anonymous, authority, client, http } = await given(t)
  const second = worker({ san: 'spiffe://acme/second', name: 'second' })
  http.configureClients([worker(), second])
  const pairs = [await authority.issue('URI:spiffe://acme/worker'), await authority.issue('URI:spiffe://acme/second')]
  const clients = pairs.map((pair) => anonymous(pair))
  const without = client.meta({}, null)
  const asked = Array.from({ length: 20 }, (_, n) => publish(clients[n % 2] ?? client, without))
  const expected = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? 'worker cert:' : 'second cert:'))
  assert.deepEqual(await Promise.all(asked), expected)
})

test('where certificates are required nobody without one gets as far as health', async (t) => {
  const { grpc: server, by, authority } = await given(t, { isClientRequired: true })
  const certified = new GrpcReflection(server.address, by(await authority.issue('URI:spiffe://acme/worker')))
  const without = new GrpcReflection(server.address, by())
  t.after(() => [certified, without].forEach((each) => each.close()))
  assert.equal(await certified.health(''), 'SERVING')
  await assert.rejects(without.health(''), { code: grpc.status.UNAVAILABLE })
})

test('a client that is taken out is out at once: its next call, and the stream that it has', async (t) => {
  const { anonymous, authority, client, http } = await given(t)
  const mine = anonymous(await authority.issue('URI:spiffe://acme/worker'))
  const without = client.meta({}, null)
  const stream = mine.service.Subscribe({}, without)
  await new Promise<void>((resolve) => stream.once('metadata', () => resolve()))
  const over = endOf(stream)
  http.configureClients([])
  assert.equal((await over).code, 'CREDENTIAL_INVALID')
  assert.equal((await refused(publish(mine, without))).status, 'UNAUTHENTICATED')
})

test('a certificate that expires on an open connection proves nothing any more', async (t) => {
  const { anonymous, authority, client, hub } = await given(t)
  // TLS goes by the machine's clock, which is behind the gateway's here.
  const days = Math.ceil((hub.clock.now() - Date.now()) / DAY_MS) + 1
  const mine = anonymous(await authority.issue('URI:spiffe://acme/worker', days))
  const without = client.meta({}, null)
  assert.equal(await publish(mine, without), 'worker cert:')
  hub.clock.advance(2 * DAY_MS)
  assert.equal((await refused(publish(mine, without))).status, 'UNAUTHENTICATED')
})

test('new files are taken while a stream is open: it goes on, and new connections get the new certificate', async (t) => {
  const { client, clientWith, by, authority, hub, grpc: server } = await given(t)
  const serial = async (): Promise<string> => {
    const { port } = new URL(`https://${server.address}`)
    const socket = connect({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    await once(socket, 'secureConnect')
    const { serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return serialNumber
  }
  const stream = clientWith(by()).service.Subscribe({}, client.meta())
  const events = readAll(stream)
  await new Promise<void>((resolve) => stream.once('metadata', () => resolve()))
  const before = await serial()
  const next = await authority.issue('DNS:localhost,IP:127.0.0.1')
  await copyFile(next.keyFile, join(authority.dir, 'server.key'))
  await copyFile(next.certFile, join(authority.dir, 'server.pem'))
  hub.clock.advance(10_000)
  await eventually(
    () => hub.log.lines.filter(({ message }) => message.startsWith('The TLS certificate was read again')).length === 2,
    'the new certificate, by HTTP and by gRPC',
  )
  assert.notEqual(await serial(), before)
  hub.feed.publish({ type: 'event', tenant: 'default', name: 'still.here', data: {} })
  assert.equal((await events.next()).value?.['type'], 'event')
  assert.match(String(await publish(clientWith(by()))), /^tester/, 'and new clients trust it')
  stream.on('error', () => undefined).cancel()
})

test('with a certificate it may listen beyond loopback; files that make no server are told before it listens', async (t) => {
  const authority = await Authority.create(t)
  const [one, other] = [await authority.issue('DNS:a'), await authority.issue('DNS:b')]
  const tls = { cert: one.certFile, key: one.keyFile, clientCa: null, isClientRequired: false, clients: [] }
  const hub = new Hub()
  // Loopback in a spelling that is none of those it knows to be.
  const host = '::ffff:127.0.0.1'
  const beyond = new GrpcServer(optionsOf(hub, { host, tls }))
  await beyond.start()
  const stopped = beyond.stop()
  hub.clock.advance(60_000)
  await stopped
  await assert.rejects(new GrpcServer(optionsOf(hub, { host })).start(), { code: 'LISTEN_INSECURE' })
  await assert.rejects(new GrpcServer(optionsOf(hub, { tls: { ...tls, key: other.keyFile } })).start(), { code: 'TLS_UNFIT' })
})
