/** The channel alone on a real Mosquitto: what is acknowledged when, what comes twice, batches, pauses, and brokers of MQTT 3.1.1. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectSocket, createServer, type AddressInfo } from 'node:net'
import { after, before, beforeEach, describe, test, type TestContext } from 'node:test'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { parser } from 'mqtt-packet'
import type { Packet } from 'mqtt-packet'
import { newDeliveryId } from '#contract'
import type { Address, Channel, JsonObject, Part } from '#contract'
import { mqtt } from '../../../channels/mqtt/mqtt.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { Mosquitto, mosquittoPath } from '../../support/mosquitto.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { eventually } from '../../support/eventually.ts'

const skip = mosquittoPath() === null ? 'Mosquitto is not on this machine' : false
const never = new AbortController().signal

void describe('mqtt alone', { skip, timeout: 60_000 }, () => {
  const sweeps: (() => Promise<void>)[] = []
  let mosquitto: Mosquitto
  let people: MqttClient
  let proxy: TcpProxy
  let host: MemoryHost
  let base = ''
  let count = 0
  /** Of all connections of the channel. */
  let seen: { readonly direction: 'up' | 'down'; readonly packet: Packet }[] = []

  before(async () => {
    mosquitto = await Mosquitto.start({ after: (run) => void sweeps.push(run) })
    people = await connectAsync(mosquitto.url(), { protocolVersion: 5 })
    people.on('error', () => {})
    sweeps.unshift(() => people.endAsync(true))
  })
  after(async () => {
    for (const run of sweeps) await run()
  })
  beforeEach(() => {
    base = `alone${++count}`
    host = new MemoryHost('devices')
    seen = []
  })

  async function open(t: TestContext, settings: JsonObject = {}, port: number | null = null): Promise<Channel> {
    if (!isWatched.has(t)) await watch(t)
    const url = mosquitto.url(port ?? proxy.port)
    const channel = mqtt.create('devices', {
      url,
      topic: `${base}/in/#`,
      client_id: `${base}-us`,
      reply_allow: [`${base}/to/*`],
      ...settings,
    })
    t.after(() => {
      host.release()
      return channel.stop()
    })
    await channel.start(host, never)
    return channel
  }

  const isWatched = new WeakSet<TestContext>()
  async function watch(t: TestContext): Promise<void> {
    isWatched.add(t)
    proxy = await TcpProxy.open({ after: (run) => t.after(run) }, mosquitto.port)
    const parsers = new Map<string, ReturnType<typeof parser>>()
    proxy.tap = (bytes, direction, line) => {
      const key = `${line}${direction}`
      const stream = parsers.get(key) ?? parser({ protocolVersion: 5 })
      if (!parsers.has(key)) stream.on('packet', (packet) => seen.push({ direction, packet }))
      parsers.set(key, stream)
      stream.parse(bytes)
      return 'pass'
    }
  }

  const part = (to: Address): Part => ({
    id: newDeliveryId(host.clock.now()),
    seq: 1,
    messageId: null,
    lane: 'l',
    to,
    rendered: { text: 'answer' },
    index: 0,
    of: 1,
    attempt: 1,
  })
  const say = (text: string, userProperties: { [name: string]: string } = {}): Promise<unknown> =>
    people.publishAsync(`${base}/in/a`, text, {
      qos: 1,
      ...(Object.keys(userProperties).length === 0 ? {} : { properties: { userProperties } }),
    })

  const acknowledged = (): number => seen.filter(({ direction, packet }) => direction === 'up' && packet.cmd === 'puback').length
  const given = (): number => seen.filter(({ direction, packet }) => direction === 'down' && packet.cmd === 'publish').length
  const texts = (): readonly unknown[] => host.handed.map(({ payload }) => ('text' in payload ? payload.text : payload))
  const isOpen = (): Promise<void> => eventually(async () => host.states.at(-1) === 'open', 'the open channel')

  /** Lets the channel wait out its backoff. */
  async function retried(): Promise<void> {
    await host.clock.timerAt(host.clock.now() + 1_000)
    host.clock.advance(1_000)
    await isOpen()
  }

  test('nothing is acknowledged before it is stored, and all of it after, in order', async (t) => {
    await open(t)
    host.hold()
    for (const text of ['one', 'two', 'three']) await say(text)
    await host.handedIn(1)
    await eventually(async () => given() === 3, 'the messages')
    assert.equal(acknowledged(), 0)
    host.release()
    await eventually(async () => acknowledged() === 3, 'the acknowledgements')
    const idsOf = (way: 'up' | 'down', cmd: string): readonly unknown[] =>
      seen.flatMap(({ direction, packet }) => (direction === way && packet.cmd === cmd ? [packet.messageId] : []))
    assert.deepEqual(idsOf('up', 'puback'), idsOf('down', 'publish'))
  })

  test('what cannot be stored is not acknowledged and comes again over a new connection', async (t) => {
    await open(t)
    host.failure = new Error('the disk is full')
    await say('kept')
    await eventually(async () => host.states.at(-1) === 'connecting', 'the news')
    assert.equal(acknowledged(), 0)
    host.failure = null
    await retried()
    await eventually(async () => acknowledged() === 1, 'the acknowledgement')
    assert.deepEqual(new Set(texts()), new Set(['kept']))
  })

  test('what was stored and not acknowledged is passed over when it comes again, though it has no id', async (t) => {
    await open(t)
    // The acknowledgements are lost and the connection with them.
    const tap = proxy.tap
    proxy.tap = (bytes, direction, line) => (direction === 'up' && bytes[0] === 0x40 ? 'cut' : (tap?.(bytes, direction, line) ?? 'pass'))
    await Promise.all(['on', 'on', 'off'].map((text) => say(text)))
    await eventually(async () => host.states.at(-1) === 'connecting', 'the news')
    const before = texts()
    proxy.tap = tap
    await retried()
    await say('after')
    await eventually(async () => texts().includes('after'), 'the next message')
    assert.deepEqual(
      texts()
        .map(String)
        .toSorted((a, b) => a.localeCompare(b)),
      ['after', 'off', 'on', 'on'],
    )
    assert.ok(before.length > 0)
    await eventually(async () => acknowledged() === 4, 'the acknowledgements')
  })

  test('a session that the broker forgot says nothing about the numbers of a new one', async (t) => {
    const first = await open(t)
    await say('on')
    await eventually(async () => acknowledged() === 1, 'the acknowledgement')
    await first.stop()
    // A clean connection under the same name ends the session (MQTT 5 §3.1.2.4).
    await (await connectAsync(mosquitto.url(), { clientId: `${base}-us`, protocolVersion: 5, clean: true })).endAsync()
    await open(t)
    host.failure = new Error('the disk is full')
    await say('on')
    await eventually(async () => host.states.at(-1) === 'connecting', 'the news')
    const refused = host.handed.length
    host.failure = null
    await retried()
    await say('last')
    await eventually(async () => texts().includes('last'), 'the next message')
    assert.deepEqual(texts().slice(refused), ['on', 'last'])
  })

  test('25 messages in batches of 10 are three envelopes, acknowledged when those are stored', async (t) => {
    await open(t, { batch: { size: 10, wait: 5_000 } })
    host.hold()
    const all = Array.from({ length: 25 }, (_, at) => `m${at}`)
    for (const text of all) await say(text)
    await host.handedIn(1)
    await eventually(async () => given() === 25, 'the messages')
    assert.equal(acknowledged(), 0)
    host.release()
    await eventually(async () => acknowledged() === 20, 'two batches')
    // The rest waits for more until its time is over.
    assert.equal(host.handed.length, 2)
    await host.clock.timerAt(host.clock.now() + 5_000)
    host.clock.advance(5_000)
    await eventually(async () => acknowledged() === 25, 'the last batch')
    const batches = host.handed.map(({ payload }) => {
      assert.ok('json' in payload)
      const { messages } = payload.json as { readonly messages: readonly { readonly payload: { readonly text: string } }[] }
      return messages.map((message) => message.payload.text)
    })
    assert.deepEqual(batches, [all.slice(0, 10), all.slice(10, 20), all.slice(20)])
  })

  test('a batch that was stored and not acknowledged is passed over when it comes again', async (t) => {
    await open(t, { batch: { size: 3, wait: 5_000 } })
    const tap = proxy.tap
    proxy.tap = (bytes, direction, line) => (direction === 'up' && bytes[0] === 0x40 ? 'cut' : (tap?.(bytes, direction, line) ?? 'pass'))
    for (const text of ['one', 'two', 'three']) await say(text, { id: text })
    await eventually(async () => host.states.at(-1) === 'connecting', 'the news')
    proxy.tap = tap
    await retried()
    await eventually(async () => acknowledged() === 3, 'the acknowledgements')
    assert.equal(host.handed.length, 1)
  })

  test('a channel that is paused while it connects takes nothing until it goes on', async (t) => {
    await (await open(t)).stop()
    proxy.block(['down'])
    const channel = mqtt.create('devices', { url: mosquitto.url(proxy.port), topic: `${base}/in/#`, client_id: `${base}-us` })
    t.after(() => channel.stop())
    const starting = channel.start(host, never)
    await proxy.letIn(2)
    channel.pause?.()
    proxy.heal()
    await starting
    await proxy.settled(0)
    await say('meanwhile')
    assert.equal(host.handed.length, 0)
    channel.resume?.()
    await host.handedIn(1)
    assert.deepEqual(texts(), ['meanwhile'])
  })

  test('our own reply is known as our own, and correlation data comes back untouched, with the trace', async (t) => {
    const channel = await open(t, { topic: [`${base}/in/#`, `$share/g/${base}/to/#`] })
    const correlation = Buffer.from([0, 255, 13, 10])
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const { promise, resolve } = Promise.withResolvers<unknown>()
    people.once('message', (_topic, _payload, { properties }) =>
      resolve([properties?.correlationData, properties?.userProperties?.['traceparent']]),
    )
    await people.subscribeAsync(`${base}/to/x`, { qos: 1 })
    await channel.send({ ...part({ chat: `${base}/to/x`, correlation: correlation.toString('base64') }), traceparent }, never)
    assert.deepEqual(await promise, [correlation, traceparent])
    await host.handedIn(1)
    assert.equal(host.handed[0]?.author, 'self')
  })

  test('a broker of MQTT 3.1.1 is spoken to in that', async (t) => {
    const versions: number[] = []
    // As §3.1.2.2 of MQTT 3.1.1 wants it for a version that is not known; what is known goes to Mosquitto.
    const server = createServer((client) => {
      client.on('error', () => {})
      client.once('data', (bytes: Buffer) => {
        const [version = 0] = bytes.subarray(bytes.indexOf('MQTT') + 4)
        versions.push(version)
        if (version !== 4) return void client.end(Buffer.from([0x20, 2, 0, 1]))
        const broker = connectSocket(mosquitto.port, '127.0.0.1')
        broker.on('error', () => {})
        broker.write(bytes)
        client.pipe(broker).pipe(client)
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const channel = await open(t, { reply_topic: `${base}/to/all` }, (server.address() as AddressInfo).port)
    t.after(() => server.close())
    assert.deepEqual(versions, [5, 4])
    await people.subscribeAsync(`${base}/to/all`, { qos: 1 })
    const heard = new Promise<string>((resolve) => people.once('message', resolve))
    await say('old')
    await host.handedIn(1)
    assert.deepEqual(texts(), ['old'])
    await channel.send(part({ chat: '' }), never)
    assert.equal(await heard, `${base}/to/all`)
  })

  test('a session that the broker says is taken over is not fought for', async (t) => {
    const ends: (() => void)[] = []
    // Mosquitto 2.0 ends the connection without a word, so another says it for it: DISCONNECT, 0x8E (MQTT 5 §3.14.2.1).
    const server = createServer((client) => {
      const broker = connectSocket(mosquitto.port, '127.0.0.1')
      for (const socket of [client, broker]) socket.on('error', () => {})
      client.pipe(broker).pipe(client)
      ends.push(() => client.end(Buffer.from([0xe0, 2, 0x8e, 0])))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    await open(t, {}, (server.address() as AddressInfo).port)
    t.after(() => server.close())
    for (const end of ends) end()
    await eventually(async () => host.states.at(-1) === 'stopped', 'the news')
    assert.equal(ends.length, 1)
  })
})
