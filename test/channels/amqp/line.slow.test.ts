/** The gateway with its RabbitMQ when things break: the broker killed, the line cut, deaf, half-closed, the gateway killed in a burst. */
import assert from 'node:assert/strict'
import { before, describe } from 'node:test'
import { connect } from 'amqplib'
import type { ChannelModel, ConfirmChannel } from 'amqplib'
import type { JsonObject } from '#contract'
import { startGateway, temporaryFolder, type GatewayProcess, type Scope } from '../../support/gateway-process.ts'
import { Rabbitmq, rabbitmqPath } from '../../support/rabbitmq.ts'
import { suiteScope } from '../../support/suite-scope.ts'
import { sweptTest } from '../../support/swept-test.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { eventually } from '../../support/eventually.ts'
import { BURST, assertAnswered, configOf, has, stateOf } from '../broker-line.ts'
import { Wire } from './wire.ts'

const skip = rabbitmqPath() === null ? 'there is no RabbitMQ here; set RABBITMQ_SERVER_PATH' : false
const LIMIT_MS = 120_000
const ACCOUNT = 'orders'

void describe('amqp on a bad line', { skip }, () => {
  const suite = suiteScope()
  let rabbitmq: Rabbitmq
  let count = 0

  before(async () => {
    rabbitmq = await Rabbitmq.start(suite)
  })

  const test = (name: string, run: (scope: Scope) => Promise<void>): void => sweptTest(name, LIMIT_MS, run)

  interface Client {
    readonly model: ChannelModel
    readonly channel: ConfirmChannel
    /** Texts of the replies by their message ids. */
    readonly replies: Map<string, string>
  }

  async function client(scope: Scope, queue: string): Promise<Client> {
    const model = await connect(rabbitmq.url())
    model.on('error', () => {})
    scope.after(() => model.close().catch(() => {}))
    const channel = await model.createConfirmChannel()
    channel.on('error', () => {})
    await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
    await channel.assertQueue(`to-${queue}`, { arguments: { 'x-queue-type': 'quorum' } })
    const replies = new Map<string, string>()
    await channel.consume(
      `to-${queue}`,
      (message) => {
        if (message !== null) replies.set(String(message.properties.messageId), message.content.toString())
      },
      { noAck: true },
    )
    return { model, channel, replies }
  }

  async function say(
    { channel }: Client,
    queue: string,
    texts: readonly string[],
    user = (text: string) => text.split('.')[0],
  ): Promise<void> {
    for (const text of texts)
      channel.sendToQueue(queue, Buffer.from(text), {
        persistent: true,
        messageId: text,
        replyTo: `to-${queue}`,
        headers: { 'x-user-id': user(text) },
      })
    await channel.waitForConfirms()
  }

  const config = (queue: string, port: number, settings: JsonObject = {}): JsonObject =>
    configOf(ACCOUNT, { kind: 'amqp', url: rabbitmq.url(port), queue, reply_allow: ['to-*'], ...settings })

  test('a burst of 2,000 and a gateway killed in its middle: none is lost, one reply each, in the order of each sender', async (scope) => {
    const queue = `burst-${++count}`
    const sender = await client(scope, queue)
    const proxy = await TcpProxy.open(scope, rabbitmq.port)
    const dir = temporaryFolder(scope)
    const wire = new Wire()
    let delivered = 0
    let first: GatewayProcess | null = null
    proxy.tap = (bytes, direction) => {
      for (const seen of wire.read(bytes, direction)) if (seen.is === 'delivered') delivered += seen.ids.length
      // With what is in its hands accepted, or not, and not acknowledged.
      if (delivered >= 600) first?.signal('SIGKILL')
      return 'pass'
    }
    first = await startGateway(scope, { dir, config: config(queue, proxy.port) })
    const saying = say(sender, queue, BURST)
    await first.ended
    await saying
    assert.ok(delivered < BURST.length, 'it was killed too late')
    proxy.tap = null
    await startGateway(scope, { dir, config: config(queue, proxy.port) })
    await eventually(async () => sender.replies.size >= BURST.length, 'all replies', 90_000)
    assertAnswered(sender.replies.values())
    assert.equal((await sender.channel.checkQueue(queue)).messageCount, 0)
  })

  test('a broker that is stopped, or killed and brought back, is read again, and has lost nothing', async (scope) => {
    const queue = `killed-${++count}`
    const gateway = await startGateway(scope, { config: config(queue, rabbitmq.port) })
    const one = await client(scope, queue)
    await say(one, queue, ['one.'])
    await eventually(async () => has(one, 'one.'), 'the first reply')
    // In good order first: RabbitMQ 3.10 writes down a new quorum queue some seconds late, and without that no kill -9 is survived.
    for (const [end, text] of [
      ['stop', 'two.'],
      ['kill9', 'three.'],
    ] as const) {
      await rabbitmq[end]()
      await eventually(async () => (await stateOf(gateway, ACCOUNT)) === 'connecting', 'the news')
      await rabbitmq.up()
      const next = await client(scope, queue)
      await say(next, queue, [text])
      await eventually(async () => has(next, text), 'the next reply', 60_000)
    }
    assert.equal(await stateOf(gateway, ACCOUNT), 'open')
    assert.equal((await rabbitmq.list('consumers', 'queue_name')).filter((row) => row['queue_name'] === queue).length, 1)
  })

  test('a line that swallows everything is found dead by the heartbeat and replaced', async (scope) => {
    const queue = `deaf-${++count}`
    const sender = await client(scope, queue)
    const proxy = await TcpProxy.open(scope, rabbitmq.port)
    await startGateway(scope, { config: config(queue, proxy.port, { url: `${rabbitmq.url(proxy.port)}?heartbeat=1` }) })
    await say(sender, queue, ['before.'])
    await eventually(async () => has(sender, 'before.'), 'the reply')
    proxy.swallow()
    const gone = proxy.settled(0, 20_000)
    await say(sender, queue, ['meanwhile.'])
    await gone
    proxy.heal()
    await eventually(async () => has(sender, 'meanwhile.'), 'the reply', 60_000)
    assert.equal(sender.replies.size, 2)
  })

  test('a half-closed, a delayed and a refused line lose nothing', async (scope) => {
    const queue = `bad-${++count}`
    const sender = await client(scope, queue)
    const proxy = await TcpProxy.open(scope, rabbitmq.port)
    const gateway = await startGateway(scope, { config: config(queue, proxy.port) })
    await say(sender, queue, ['one.'])
    await eventually(async () => has(sender, 'one.'), 'the first reply')
    proxy.halfClose('down')
    await say(sender, queue, ['two.'])
    await eventually(async () => has(sender, 'two.'), 'the reply after the half close', 60_000)
    proxy.delay(200)
    await say(sender, queue, ['three.'])
    await eventually(async () => has(sender, 'three.'), 'the delayed reply')
    proxy.refuse()
    proxy.cut()
    await eventually(async () => (await stateOf(gateway, ACCOUNT)) === 'connecting', 'the news')
    await say(sender, queue, ['four.'])
    proxy.heal()
    await eventually(async () => has(sender, 'four.'), 'the last reply', 60_000)
    assert.equal(sender.replies.size, 4)
  })

  test('ten restarts leave one connection and one consumer', async (scope) => {
    const queue = `often-${++count}`
    const dir = temporaryFolder(scope)
    let gateway: GatewayProcess | null = null
    for (let round = 0; round < 10; round++) {
      gateway = await startGateway(scope, { dir, config: config(queue, rabbitmq.port) })
      if (round % 2 === 0) await gateway.kill9()
      else await gateway.stop()
    }
    gateway = await startGateway(scope, { dir, config: config(queue, rabbitmq.port) })
    const sender = await client(scope, queue)
    await say(sender, queue, ['there.'])
    await eventually(async () => has(sender, 'there.'), 'the reply')
    const consumers = await rabbitmq.list('consumers', 'queue_name')
    assert.equal(consumers.filter((row) => row['queue_name'] === queue).length, 1)
    const names = await rabbitmq.list('connections', 'client_properties')
    assert.equal(names.filter((row) => JSON.stringify(row).includes('openclaw/orders')).length, 1)
  })
})
