/** The gateway with its Mosquitto when things break: the gateway killed in a burst, the broker away, the line cut, deaf, half-closed. */
import assert from 'node:assert/strict'
import { before, describe } from 'node:test'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { parser } from 'mqtt-packet'
import type { JsonObject } from '#contract'
import { startGateway, temporaryFolder, type GatewayProcess, type Scope } from '../../support/gateway-process.ts'
import { Mosquitto, mosquittoPath } from '../../support/mosquitto.ts'
import { suiteScope } from '../../support/suite-scope.ts'
import { sweptTest } from '../../support/swept-test.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { eventually } from '../../support/eventually.ts'
import { BURST, assertAnswered, configOf, has, stateOf } from '../broker-line.ts'

const skip = mosquittoPath() === null ? 'Mosquitto is not on this machine' : false
const LIMIT_MS = 120_000
const ACCOUNT = 'devices'

void describe('mqtt on a bad line', { skip }, () => {
  const suite = suiteScope()
  let mosquitto: Mosquitto
  let count = 0

  before(async () => {
    mosquitto = await Mosquitto.start(suite)
  })

  const test = (name: string, run: (scope: Scope) => Promise<void>): void => sweptTest(name, LIMIT_MS, run)

  interface Person {
    readonly client: MqttClient
    /** Texts of the replies by openclaw-delivery, which is how a repeat is known. */
    readonly replies: Map<string, string>
  }

  async function person(scope: Scope, base: string): Promise<Person> {
    const client = await connectAsync(mosquitto.url(), {
      protocolVersion: 5,
      clean: false,
      clientId: `${base}-people`,
      reconnectPeriod: 50,
    })
    client.on('error', () => {})
    scope.after(() => client.endAsync(true))
    const replies = new Map<string, string>()
    client.on('message', (_topic, payload, { properties }) => {
      const id = String(properties?.userProperties?.['openclaw-delivery'])
      if (!replies.has(id)) replies.set(id, payload.toString())
    })
    await client.subscribeAsync(`${base}/to/#`, { qos: 1 })
    return { client, replies }
  }

  /** `user.number.`, each with an id of its own. */
  async function say({ client }: Person, base: string, texts: readonly string[]): Promise<void> {
    const send = (text: string): Promise<unknown> => {
      const lane = text.split('.')[0] ?? text
      const properties = { responseTopic: `${base}/to/${lane}`, userProperties: { id: text, user_id: lane } }
      return client.publishAsync(`${base}/in/${lane}`, text, { qos: 1, properties })
    }
    await Promise.all(texts.map(send))
  }

  const config = (base: string, port: number, settings: JsonObject = {}): JsonObject =>
    configOf(ACCOUNT, { kind: 'mqtt', url: mosquitto.url(port), topic: `${base}/in/#`, reply_allow: [`${base}/to/*`], ...settings })

  const isOpen = async (gateway: GatewayProcess): Promise<void> =>
    eventually(async () => (await stateOf(gateway, ACCOUNT)) === 'open', 'the open channel', 60_000)

  test('a burst of 2,000 and a gateway killed in its middle: none is lost, one reply each, in the order of each sender', async (scope) => {
    const base = `burst${++count}`
    const people = await person(scope, base)
    const proxy = await TcpProxy.open(scope, mosquitto.port)
    const dir = temporaryFolder(scope)
    const given = new Set<string>()
    const acknowledged = new Set<string>()
    const numbers = new Map<number, string>()
    let first: GatewayProcess | null = null
    const down = parser({ protocolVersion: 5 })
    const up = parser({ protocolVersion: 5 })
    down.on('packet', (packet) => {
      if (packet.cmd !== 'publish' || packet.messageId === undefined) return
      const text = packet.payload.toString()
      given.add(text)
      numbers.set(packet.messageId, text)
    })
    up.on('packet', (packet) => {
      if (packet.cmd === 'puback' && packet.messageId !== undefined) acknowledged.add(numbers.get(packet.messageId) ?? '')
    })
    proxy.tap = (bytes, direction) => {
      const stream = { up, down }[direction]
      stream.parse(bytes)
      // With what is in its hands accepted, or not, and not acknowledged.
      if (given.size >= 600) first?.signal('SIGKILL')
      return 'pass'
    }
    first = await startGateway(scope, { dir, config: config(base, proxy.port) })
    await isOpen(first)
    const saying = say(people, base, BURST)
    await first.ended
    await saying
    assert.ok(acknowledged.size < BURST.length, 'it was killed too late')
    proxy.tap = null
    await startGateway(scope, { dir, config: config(base, proxy.port) })
    await eventually(async () => people.replies.size >= BURST.length, 'all replies', 90_000)
    assertAnswered(people.replies.values())
  })

  test('a broker that is stopped, or killed and brought back, is read again, and has lost nothing', async (scope) => {
    const base = `away${++count}`
    const people = await person(scope, base)
    const gateway = await startGateway(scope, { config: config(base, mosquitto.port) })
    await isOpen(gateway)
    await say(people, base, ['one.'])
    await eventually(async () => has(people, 'one.'), 'the first reply')
    for (const [end, text] of [
      ['stop', 'two.'],
      ['kill9', 'three.'],
    ] as const) {
      await mosquitto[end]()
      await eventually(async () => (await stateOf(gateway, ACCOUNT)) === 'connecting', 'the news')
      await mosquitto.up()
      await eventually(async () => people.client.connected, 'the other client')
      // Who is not back yet finds it waiting in the session that the broker kept.
      await say(people, base, [text])
      await eventually(async () => has(people, text), `the reply after ${end}`, 60_000)
    }
    await isOpen(gateway)
    assert.equal(people.replies.size, 3)
  })

  test('a half-closed, a blocked, a delayed and a refused line lose nothing', async (scope) => {
    const base = `bad${++count}`
    const people = await person(scope, base)
    const proxy = await TcpProxy.open(scope, mosquitto.port)
    const gateway = await startGateway(scope, { config: config(base, proxy.port) })
    await isOpen(gateway)
    await say(people, base, ['one.'])
    await eventually(async () => has(people, 'one.'), 'the first reply')
    proxy.halfClose('down')
    await say(people, base, ['two.'])
    await eventually(async () => has(people, 'two.'), 'the reply after the half close', 60_000)
    proxy.block()
    await say(people, base, ['three.'])
    proxy.heal()
    await eventually(async () => has(people, 'three.'), 'the reply after the block', 60_000)
    proxy.delay(200)
    await say(people, base, ['four.'])
    await eventually(async () => has(people, 'four.'), 'the delayed reply')
    proxy.refuse()
    proxy.cut()
    await eventually(async () => (await stateOf(gateway, ACCOUNT)) === 'connecting', 'the news')
    await say(people, base, ['five.'])
    proxy.heal()
    await eventually(async () => has(people, 'five.'), 'the last reply', 60_000)
    assert.equal(people.replies.size, 5)
  })

  test('a line that swallows everything is found dead by the keep-alive and replaced', async (scope) => {
    const base = `deaf${++count}`
    const people = await person(scope, base)
    const proxy = await TcpProxy.open(scope, mosquitto.port)
    await isOpen(await startGateway(scope, { config: config(base, proxy.port) }))
    await say(people, base, ['before.'])
    await eventually(async () => has(people, 'before.'), 'the reply')
    proxy.swallow()
    const replaced = proxy.letIn(proxy.opened + 1, 60_000)
    await say(people, base, ['meanwhile.'])
    await replaced
    proxy.heal()
    await eventually(async () => has(people, 'meanwhile.'), 'the reply', 60_000)
    assert.equal(people.replies.size, 2)
  })

  test('a line that dies between connecting and subscribing is replaced', async (scope) => {
    const base = `early${++count}`
    const people = await person(scope, base)
    const proxy = await TcpProxy.open(scope, mosquitto.port)
    let cuts = 0
    // SUBSCRIBE (MQTT 5 §3.8.1).
    proxy.tap = (bytes, direction) => (direction === 'up' && bytes[0] === 0x82 && cuts++ < 2 ? 'cut' : 'pass')
    const gateway = await startGateway(scope, { config: config(base, proxy.port) })
    await eventually(async () => cuts === 3, 'the third subscription')
    await isOpen(gateway)
    await say(people, base, ['there.'])
    await eventually(async () => has(people, 'there.'), 'the reply')
  })

  test('two gateways that share a subscription answer each message once', async (scope) => {
    const base = `shared${++count}`
    const people = await person(scope, base)
    const settings = { topic: `$share/gateways/${base}/in/#` }
    const gateways = [
      await startGateway(scope, { config: config(base, mosquitto.port, settings) }),
      await startGateway(scope, { config: config(base, mosquitto.port, settings) }),
    ]
    for (const gateway of gateways) await isOpen(gateway)
    const texts = Array.from({ length: 200 }, (_, at) => `user${at % 10}.${at}.`)
    await say(people, base, texts)
    await eventually(async () => people.replies.size >= texts.length, 'all replies', 60_000)
    const said = [...people.replies.values()].map((reply) => /You said: (\S+)/.exec(reply)?.[1] ?? '')
    assert.deepEqual(new Set(said), new Set(texts))
    assert.equal(said.length, texts.length)
    for (const gateway of gateways) {
      const metrics = await (await gateway.fetch('/api/metrics')).text()
      const line = /^openclaw_messages_total\{[^}]*channel="devices"[^}]*direction="in"[^}]*status="accepted"[^}]*\} (\d+)/m.exec(metrics)
      assert.ok(Number(line?.[1]) > 0, 'one of them was given none')
    }
  })

  test('a topic as long as may be and words that poison are taken like others', async (scope) => {
    const base = `odd${++count}`
    const people = await person(scope, base)
    await isOpen(await startGateway(scope, { config: config(base, mosquitto.port) }))
    const userProperties = {
      id: '__proto__',
      ['__PROTO__']: 'x',
      CONSTRUCTOR: 'y',
      user_id: ' odd ',
      ['x'.repeat(300)]: 'z'.repeat(3_000),
    }
    Object.defineProperty(userProperties, '__proto__', { value: 'p', enumerable: true })
    const properties = { responseTopic: `${base}/to/odd`, userProperties }
    await people.client.publishAsync(`${base}/in/${'long €'.repeat(6_000)}`, 'odd.', { qos: 1, properties })
    await people.client.publishAsync(`${base}/in//__proto__//`, 'odder.', { qos: 1, properties })
    await eventually(async () => has(people, 'odd.') && has(people, 'odder.'), 'the replies', 30_000)
  })
})
