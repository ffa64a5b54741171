/** What has been, or could be, done to a gRPC server from outside, and what becomes of it here. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { status } from '@grpc/grpc-js'
import { InvalidError } from '#contract'
import type { Route } from '#contract'
import { eventually } from '../../support/eventually.ts'
import { echoRoute } from '../http/double.ts'
import { refused, struct } from './client.ts'
import { RawClient, framed } from './raw.ts'
import { start } from './world.ts'
import type { Settings, World } from './world.ts'

const HEALTH = '/grpc.health.v1.Health'
const TYPES = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'
const NOTHING = framed(new Uint8Array(0))

interface Attacked extends World {
  readonly raw: RawClient
  readonly rawWith: (settings: ConstructorParameters<typeof RawClient>[2]) => RawClient
}

async function attacked(t: TestContext, settings: Settings = {}): Promise<Attacked> {
  const raws: RawClient[] = []
  t.after(() => raws.forEach((raw) => raw.close()))
  const world = await start(t, settings)
  const rawWith: Attacked['rawWith'] = (of) => {
    const raw = new RawClient(world.grpc.address, world.key, of)
    raws.push(raw)
    return raw
  }
  return { ...world, raw: rawWith({}), rawWith }
}
const rowWith = (handle: Route['handle']): readonly Route[] => [echoRoute({ handle })]

test('the message of a stranger over gRPC is not read: they are refused before it has come', async (t) => {
  const { raw } = await attacked(t)
  for (const method of ['Publish', 'InvokeSkill', 'Subscribe', 'Chat']) {
    const { stream, ended } = raw.call(method, { key: null })
    stream.write(framed(new Uint8Array(1_000), 1_000_000))
    assert.deepEqual(await ended, { status: status.UNAUTHENTICATED, code: 'UNAUTHENTICATED' }, method)
  }
  const { stream, ended } = raw.call('Publish', { key: 'wrong' })
  stream.write(framed(new Uint8Array(1_000), 1_000_000))
  assert.deepEqual(await ended, { status: status.UNAUTHENTICATED, code: 'CREDENTIAL_INVALID' })
})

test('a message over gRPC that trickles in is ended when its time is up', async (t) => {
  const { raw, hub } = await attacked(t)
  const { stream, ended } = raw.call('Publish')
  stream.write(framed(new Uint8Array(1_000), 1_000_000))
  await hub.clock.timerAt(hub.clock.now() + 30_000)
  hub.clock.advance(30_000)
  assert.deepEqual(await ended, { status: status.DEADLINE_EXCEEDED, code: 'REQUEST_TIMEOUT' })
})

test('a key that is revoked while its message is on the way is refused', async (t) => {
  const { raw, hub } = await attacked(t)
  const { record, secret } = await hub.keys.create({ tenant: 'default', name: 'gone', scopes: ['messages:write'], expiresAt: null })
  const { stream, ended } = raw.call('Publish', { key: secret })
  stream.write(framed(new Uint8Array(0)).subarray(0, 3))
  await hub.clock.timerAt(hub.clock.now() + 30_000)
  await hub.keys.revoke('default', record.id)
  stream.end(framed(new Uint8Array(0)).subarray(3))
  assert.deepEqual(await ended, { status: status.UNAUTHENTICATED, code: 'CREDENTIAL_INVALID' })
})

test('strangers who ask for types are counted like all strangers, probes are not', async (t) => {
  const { raw } = await attacked(t, { overHttp: { rateLimits: { perIp: 3, perKey: 1_000 } } })
  const ask = async (path: string, key: string | null): Promise<number | null> => {
    const { stream, ended } = raw.call(path, key === null ? { key } : {})
    stream.resume().end(path === TYPES ? undefined : NOTHING)
    return (await ended).status
  }
  for (let n = 0; n < 5; n++) assert.equal(await ask(`${HEALTH}/Check`, null), status.OK)
  for (const expected of [status.OK, status.OK, status.OK, status.RESOURCE_EXHAUSTED]) assert.equal(await ask(TYPES, null), expected)
  assert.equal(await ask(TYPES, 'its own'), status.OK, 'with a key it is counted as that')
})

test('strangers hold no more than 32 calls open from one address, and those with a key are not among them', async (t) => {
  const { raw } = await attacked(t)
  const watch = (key: string | null): ReturnType<RawClient['call']> => {
    const call = raw.call(`${HEALTH}/Watch`, key === null ? { key } : {})
    call.stream.resume().end(NOTHING)
    return call
  }
  const open = Array.from({ length: 32 }, () => watch(null))
  await Promise.all(open.map(({ stream }) => new Promise((resolve) => stream.once('data', resolve))))
  assert.deepEqual(await watch(null).ended, { status: status.UNAVAILABLE, code: 'TOO_MANY_STREAMS' })
  const known = watch('its own')
  await new Promise((resolve) => known.stream.once('data', resolve))
  const [first] = open
  first?.stream.close()
  await first?.ended
  // The server hears of it after the client.
  let again = watch(null)
  const isIn = (call: typeof again): Promise<boolean> =>
    Promise.race([new Promise<boolean>((resolve) => call.stream.once('data', () => resolve(true))), call.ended.then(() => false)])
  for (let tries = 0; tries < 50 && !(await isIn(again)); tries++) again = watch(null)
  assert.equal(again.stream.closed, false, 'a place that is left is free again')
})

test('behind a proxy that is trusted, guessing shuts out who guesses and nobody else; others are not believed', async (t) => {
  const wrong = (world: Attacked, from: string): Promise<{ status: number | null; code: string }> => {
    const { ended } = world.raw.call('Publish', { key: 'wrong', metadata: { 'x-forwarded-for': from } })
    return ended
  }
  const good = async (world: Attacked, from: string): Promise<string> => {
    const { stream, ended } = world.raw.call('Publish', { metadata: { 'x-forwarded-for': from } })
    stream.resume().end(NOTHING)
    return (await ended).code
  }
  const proxied = await attacked(t, { overHttp: { trustedProxies: ['127.0.0.1'] } })
  for (let n = 0; n < 10; n++) assert.equal((await wrong(proxied, '203.0.113.7')).code, 'CREDENTIAL_INVALID')
  assert.equal((await wrong(proxied, '203.0.113.7')).code, 'LOCKED_OUT')
  assert.notEqual(await good(proxied, '203.0.113.8'), 'LOCKED_OUT')
  const direct = await attacked(t)
  for (let n = 0; n < 10; n++) await wrong(direct, `203.0.113.${n}`)
  assert.equal((await wrong(direct, '203.0.113.99')).code, 'LOCKED_OUT', 'what nobody vouches for is one address')
})

test('a detail that is no text, or very long, ends the call and not the gateway', async (t) => {
  let thrown: Error = new InvalidError('cut in half: \ud83d', { code: 'INVALID_MESSAGE' })
  const { client } = await attacked(t, { routes: rowWith(() => Promise.reject(thrown)) })
  const publish = (): ReturnType<typeof refused> => refused(client.ask('Publish', { payload: { text: 'x' } }))
  assert.deepEqual([(await publish()).status, (await publish()).details], ['INVALID_ARGUMENT', 'cut in half: \ufffd'])
  const faults = Array.from({ length: 2_000 }, (_, n) => ({ pointer: `#/member/${n}`, detail: 'is one of very many that are wrong' }))
  thrown = new InvalidError('é'.repeat(50_000), { code: 'INVALID_MESSAGE', faults })
  const long = await publish()
  assert.deepEqual([long.status, long.code, long.problem['status']], ['INVALID_ARGUMENT', 'INVALID_MESSAGE', 422])
  assert.ok(long.details.length < 2_000)
})

test('names that poison objects are refused over gRPC too, wherever they stand', async (t) => {
  const { client } = await attacked(t)
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    const fields = Object.fromEntries([[name, { structValue: { fields: Object.fromEntries([['polluted', { stringValue: 'yes' }]]) } }]])
    const inMetadata = await refused(client.ask('Publish', { payload: { text: 'x' }, metadata: { fields } }))
    assert.equal(inMetadata.status, 'INVALID_ARGUMENT', name)
    const inSkill = await refused(client.ask('InvokeSkill', { skill: 'adder', input: { structValue: { fields } } }))
    assert.equal(inSkill.status, 'INVALID_ARGUMENT', name)
  }
  assert.equal('polluted' in {}, false)
  assert.equal('polluted' in struct({}), false)
})

test('a subscriber who does not even read that it is over loses the connection', async (t) => {
  const { rawWith, hub } = await attacked(t)
  // Its window is closed: nothing that is written ever leaves.
  const raw = rawWith({ initialWindowSize: 0 })
  const { stream } = raw.call('Subscribe')
  stream.end(NOTHING)
  await eventually(() => hub.feed.listeners === 1, 'the subscription')
  const name = 'x'.repeat(10_000)
  for (let n = 0; n < 200; n++) hub.feed.publish({ type: 'event', tenant: 'default', name, data: {} })
  await eventually(() => hub.feed.listeners === 0, 'its end')
  assert.equal(raw.session.destroyed, false)
  const closed = new Promise<void>((resolve) => raw.session.once('close', () => resolve()))
  hub.clock.advance(30_000)
  await closed
})

test('answers that nobody reads are not kept without end: no more calls are begun on that connection', async (t) => {
  const text = 'x'.repeat(1_000_000)
  let begun = 0
  let onBegun = (): void => undefined
  const { rawWith } = await attacked(t, {
    routes: rowWith(() => {
      begun += 1
      onBegun()
      return { status: 202, body: { message_id: text, status: 'queued' } }
    }),
  })
  const raw = rawWith({ initialWindowSize: 0 })
  let last = raw.call('Publish')
  last.stream.end(NOTHING)
  for (let n = 1; n < 95 && !last.stream.closed; n++) {
    // One after the other: what is begun at once is let in at once.
    const isBegun = new Promise<void>((resolve) => (onBegun = resolve))
    last = raw.call('Publish')
    last.stream.end(NOTHING)
    await Promise.race([isBegun, last.ended])
  }
  assert.ok(begun >= 50 && begun <= 75, `${begun} were begun`)
  assert.deepEqual(await last.ended, { status: null, code: '' })
})

test('no more connections are taken than may be open', async (t) => {
  const { grpc, raw } = await attacked(t, { maxConnections: 3 })
  if (raw.session.connecting) await once(raw.session, 'connect')
  const [host = '', port] = grpc.address.split(':')
  const sockets: Socket[] = []
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  const isTaken = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(Number(port), host).on('error', () => undefined)
      sockets.push(socket)
      // Who is taken is greeted at once.
      socket.once('data', () => resolve(true)).once('close', () => resolve(false))
    })
  const taken: boolean[] = []
  for (let n = 0; n < 4; n++) taken.push(await isTaken())
  // One is the raw client's.
  assert.deepEqual(taken, [true, true, false, false])
})
