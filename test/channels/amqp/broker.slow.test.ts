/** The channel against a real RabbitMQ, without the hub: what it makes there, what it acknowledges, where replies may go. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test as plainTest, type TestContext } from 'node:test'
import { connect } from 'amqplib'
import type { ChannelModel, ConfirmChannel, GetMessage } from 'amqplib'
import { ChannelFault, UnavailableError, newDeliveryId } from '#contract'
import type { Address, Channel, JsonObject, Part } from '#contract'
import { amqp } from '../../../channels/amqp/amqp.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { Rabbitmq, rabbitmqPath } from '../../support/rabbitmq.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { eventually } from '../../support/eventually.ts'
import { Wire } from './wire.ts'

const test = (name: string, run: (t: TestContext) => Promise<void>): void => void plainTest(name, { timeout: 60_000 }, run)
const hooks: (() => Promise<void>)[] = []
const skip = rabbitmqPath() === null ? 'there is no RabbitMQ here; set RABBITMQ_SERVER_PATH' : false

void describe('amqp with a broker', { skip }, () => {
  let rabbitmq: Rabbitmq
  let model: ChannelModel
  let client: ConfirmChannel
  let host: MemoryHost
  let queue = ''
  /** Message ids, as they pass by on the wire. */
  let delivered: string[] = []
  let settled: string[] = []
  let requeued: string[] = []
  let count = 0

  before(async () => {
    rabbitmq = await Rabbitmq.start({ after: (run) => void hooks.push(run) })
    model = await connect(rabbitmq.url())
    model.on('error', () => {})
  })
  after(async () => {
    await model.close().catch(() => {})
    for (const run of hooks) await run()
  })
  beforeEach(async () => {
    queue = `q-${++count}`
    host = new MemoryHost('orders')
    delivered = []
    settled = []
    requeued = []
    client = await model.createConfirmChannel()
    client.on('error', () => {})
  })

  async function open(t: TestContext, settings: JsonObject = {}): Promise<Channel> {
    const proxy = await TcpProxy.open({ after: (run) => t.after(run) }, rabbitmq.port)
    const wires = new Map<number, Wire>()
    proxy.tap = (bytes, direction, line) => {
      const wire = wires.get(line) ?? new Wire()
      wires.set(line, wire)
      for (const seen of wire.read(bytes, direction)) {
        if (seen.is === 'delivered') delivered.push(...seen.ids)
        if (seen.is === 'settled') settled.push(...seen.ids)
        if (seen.is === 'requeued') requeued.push(...seen.ids)
      }
      return 'pass'
    }
    const url = (typeof settings['url'] === 'string' ? settings['url'] : rabbitmq.url()).replace(`:${rabbitmq.port}`, `:${proxy.port}`)
    const channel = amqp.create('orders', { queue, ...settings, url })
    t.after(() => {
      host.release()
      return channel.stop()
    })
    await channel.start(host, new AbortController().signal)
    return channel
  }

  async function say(text: string, messageId: string | undefined = `m-${text}`): Promise<void> {
    client.sendToQueue(queue, Buffer.from(text), { persistent: true, ...(messageId === undefined ? {} : { messageId }) })
    await client.waitForConfirms()
  }

  const acknowledged = (...ids: readonly string[]): Promise<void> =>
    eventually(async () => ids.every((id) => settled.includes(id)), `the acknowledgement of ${ids.join(', ')}`)

  async function got(from: string, noAck = true): Promise<GetMessage> {
    let message: GetMessage | false = false
    await eventually(async () => (message = await client.get(from, { noAck })) !== false, `a message in ${from}`)
    assert.ok(message)
    return message
  }

  const part = (to: Address, text = 'answer'): Part => ({
    id: newDeliveryId(host.clock.now()),
    seq: 1,
    messageId: null,
    lane: 'l',
    to,
    rendered: { text },
    index: 0,
    of: 1,
    attempt: 1,
  })
  const isFault =
    (code: string, is: ChannelFault['fault']['is']) =>
    (error: unknown): boolean =>
      error instanceof ChannelFault && error.code === code && error.fault.is === is
  const never = new AbortController().signal
  const locked = new UnavailableError('The database is locked.', { code: 'STORE_LOCKED' })

  test('makes a quorum queue, reads it, and tells that it is open', async (t) => {
    await open(t)
    await say('hello')
    await host.handedIn(1)
    assert.deepEqual(host.states, ['connecting', 'open'])
    const [row] = (await rabbitmq.list('queues', 'name', 'type', 'arguments')).filter(({ name }) => name === queue)
    assert.equal(row?.['type'], 'quorum')
    await acknowledged('m-hello')
  })

  test('binds to a topic exchange by several keys', async (t) => {
    await open(t, { exchange: `x-${queue}`, routing_key: ['order.*.created', 'audit.#'] })
    for (const key of ['order.eu.created', 'order.eu.paid', 'audit.a.b']) client.publish(`x-${queue}`, key, Buffer.from(key))
    await client.waitForConfirms()
    await host.handedIn(2)
    assert.deepEqual(
      host.handed.map(({ metadata }) => metadata.topic),
      ['order.eu.created', 'audit.a.b'],
    )
  })

  test('binds to a headers exchange by what must match', async (t) => {
    await open(t, { exchange: `x-${queue}`, exchange_type: 'headers', headers: { 'x-match': 'any', tier: 'gold', vip: true } })
    for (const headers of [{ tier: 'silver' }, { tier: 'gold' }, { vip: true }])
      client.publish(`x-${queue}`, '', Buffer.from(JSON.stringify(headers)), { headers })
    await client.waitForConfirms()
    await host.handedIn(2)
    assert.deepEqual(
      host.handed.map(({ payload }) => payload),
      [{ json: { tier: 'gold' } }, { json: { vip: true } }],
    )
  })

  test('stops and says what differs when the queue exists with other arguments', async (t) => {
    await client.assertQueue(queue, { durable: true })
    await assert.rejects(open(t), (error) => isFault('AMQP_SETTINGS', 'config')(error) && /x-queue-type/.test(String(error)))
    assert.equal(host.states.at(-1), 'stopped')
    assert.equal(host.clock.pending, 0)
  })

  test('uses the queue as it is where it is told not to declare, and makes none', async (t) => {
    await assert.rejects(open(t, { declare: false }), isFault('AMQP_SETTINGS', 'config'))
    await client.assertQueue(queue, { durable: false, maxLength: 9 })
    await open(t, { declare: false })
    await say('hello')
    await host.handedIn(1)
  })

  test('a user who may only read is enough for a queue that is there', async (t) => {
    await client.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
    await rabbitmq.ctl('add_user', `reader-${queue}`, 'pass')
    await rabbitmq.ctl('set_permissions', `reader-${queue}`, '^$', '^$', '.*')
    await open(t, { url: `amqp://reader-${queue}:pass@127.0.0.1:${rabbitmq.port}` })
    await say('hello')
    await host.handedIn(1)
  })

  test('a user who may not read stops the channel', async (t) => {
    await client.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
    await rabbitmq.ctl('add_user', `nobody-${queue}`, 'pass')
    await rabbitmq.ctl('set_permissions', `nobody-${queue}`, '^$', '^$', '^$')
    await assert.rejects(open(t, { url: `amqp://nobody-${queue}:pass@127.0.0.1:${rabbitmq.port}` }), isFault('AMQP_SETTINGS', 'config'))
    assert.equal(host.states.at(-1), 'stopped')
  })

  test('while it is not accepted nothing is acknowledged, and the prefetch holds the rest back', async (t) => {
    await open(t, { prefetch: 2 })
    host.hold()
    for (const text of ['1', '2', '3', '4', '5']) await say(text)
    await eventually(async () => delivered.length === 2, 'two of them')
    assert.deepEqual(settled, [])
    assert.equal((await client.checkQueue(queue)).messageCount, 3)
    host.release()
    await acknowledged('m-1', 'm-2', 'm-3', 'm-4', 'm-5')
    assert.deepEqual(
      host.handed.map(({ payload }) => payload),
      [1, 2, 3, 4, 5].map((number) => ({ text: String(number) })),
    )
  })

  test('what cannot be accepted now is tried again after the backoff, first and in order', async (t) => {
    await open(t)
    host.failure = locked
    await say('1')
    await host.clock.timerAt(host.clock.now() + 1_000)
    await say('2')
    assert.equal(host.states.at(-1), 'degraded')
    assert.deepEqual(settled, [])
    host.failure = null
    host.clock.advance(1_000)
    await acknowledged('m-1', 'm-2')
    assert.equal(host.states.at(-1), 'open')
    assert.deepEqual(
      host.handed.map(({ key }) => key),
      [`${queue}:::m-1`, `${queue}:::m-1`, `${queue}:::m-2`],
    )
  })

  test('paused it gives back what it has not accepted, and takes it when it is resumed', async (t) => {
    const channel = await open(t)
    host.failure = locked
    await say('1')
    await host.clock.timerAt(host.clock.now() + 1_000)
    channel.pause()
    await eventually(async () => requeued.length === 1, 'the return')
    host.failure = null
    const other = await got(queue, false)
    assert.equal(other.properties.messageId, 'm-1')
    client.nack(other)
    await say('2')
    assert.equal(host.handed.length, 1)
    channel.resume()
    await acknowledged('m-1', 'm-2')
    assert.equal(host.states.at(-1), 'open')
  })

  test('what can never be handled goes to the dead letter exchange, which is made with a queue', async (t) => {
    await open(t, { deadLetterExchange: `dead-${queue}` })
    client.sendToQueue(queue, Buffer.from('{"half'), { contentType: 'application/json', messageId: 'bad' })
    await say('good')
    const { properties } = await got(`dead-${queue}`)
    assert.equal(properties.messageId, 'bad')
    assert.equal(properties.headers?.['x-death']?.[0]?.reason, 'rejected')
    await acknowledged('bad', 'm-good')
    assert.equal(host.handed.length, 1)
  })

  test('one that comes last leaves those before it acknowledged, and the connection alive', async (t) => {
    await open(t, { deadLetterExchange: `dead-${queue}` })
    host.hold()
    await say('first')
    await host.handedIn(1)
    await say('good')
    client.sendToQueue(queue, Buffer.from('{"half'), { contentType: 'application/json', messageId: 'bad' })
    await eventually(async () => delivered.length === 3, 'all three')
    host.release()
    await acknowledged('m-first', 'm-good', 'bad')
    await say('next')
    await acknowledged('m-next')
    assert.deepEqual(host.states, ['connecting', 'open'])
  })

  test('without one it is handed in as dead', async (t) => {
    await open(t)
    client.sendToQueue(queue, Buffer.from('{"half'), { contentType: 'application/json', messageId: 'bad' })
    await acknowledged('bad')
    assert.equal(host.handed[0]?.dead?.code, 'MESSAGE_UNREADABLE')
  })

  test('a message id that is used for other content is a dead letter and no repeat', async (t) => {
    await open(t)
    await say('one', 'same')
    await host.handedIn(1)
    await say('two', 'same')
    await host.handedIn(3)
    assert.deepEqual([host.handed[2]?.key, host.handed[2]?.dead?.code], [null, 'AMQP_MESSAGE_ID_REUSED'])
    await eventually(async () => settled.length === 2, 'both acknowledgements')
  })

  test('beyond its redeliveries the broker puts a message aside', async (t) => {
    const channel = await open(t, { deadLetterExchange: `dead-${queue}`, retryCount: 1 })
    host.failure = locked
    await say('never')
    for (const round of [1, 2]) {
      await host.handedIn(round)
      await host.clock.timerAt(host.clock.now() + 1_000)
      channel.pause()
      await eventually(async () => requeued.length === round, 'the return')
      channel.resume()
    }
    assert.equal(host.handed[1]?.metadata.headers?.['x-delivery-count'], '1')
    const { properties } = await got(`dead-${queue}`)
    assert.equal(properties.headers?.['x-death']?.[0]?.reason, 'delivery_limit')
  })

  test('acknowledged when read, it is gone from the broker before it is accepted, but no more than fits', async (t) => {
    await open(t, { ack: false, prefetch: 2 })
    host.hold()
    for (const text of ['1', '2', '3', '4', '5', '6']) await say(text)
    await acknowledged('m-1', 'm-2')
    assert.equal((await client.checkQueue(queue)).messageCount, 2)
    host.release()
    await acknowledged('m-3', 'm-4', 'm-5', 'm-6')
    await host.handedIn(6)
  })

  test('a reply is persistent, has the part as its id, the correlation of the request, and its trace', async (t) => {
    const channel = await open(t, { reply_allow: ['to-*'] })
    await client.assertQueue(`to-${queue}`)
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const answer = { ...part({ chat: `to-${queue}`, correlation: 'c-1', expiresAt: host.clock.now() + 60_000 }), traceparent }
    assert.deepEqual(await channel.send(answer, never), { id: answer.id })
    const { content, properties } = await got(`to-${queue}`)
    assert.equal(content.toString(), 'answer')
    const { messageId, correlationId, deliveryMode, expiration, appId, headers } = properties
    assert.deepEqual([messageId, correlationId, deliveryMode, expiration, appId], [answer.id, 'c-1', 2, '60000', 'openclaw'])
    assert.equal(headers?.['x-openclaw-delivery'], answer.id)
    assert.equal(headers?.['traceparent'], traceparent)
  })

  test('replies go only where they may, only in time, and only to a queue that is there', async (t) => {
    const channel = await open(t, { reply_allow: ['to-*'] })
    await client.assertQueue('elsewhere')
    await assert.rejects(channel.send(part({ chat: 'elsewhere' }), never), isFault('AMQP_REPLY_REFUSED', 'permanent'))
    await assert.rejects(channel.send(part({ chat: 'to-nobody' }), never), isFault('AMQP_NO_ROUTE', 'permanent'))
    await assert.rejects(
      channel.send(part({ chat: 'to-x', expiresAt: host.clock.now() }), never),
      isFault('AMQP_REPLY_EXPIRED', 'permanent'),
    )
    assert.deepEqual(await channel.send(part({ chat: '' }), never), { id: null })
    assert.equal(await client.get('elsewhere'), false)
  })

  test('what names no queue goes to the configured one', async (t) => {
    await client.assertExchange(`replies-${queue}`, 'topic')
    await client.assertQueue(`all-${queue}`)
    await client.bindQueue(`all-${queue}`, `replies-${queue}`, 'answers.#')
    const channel = await open(t, { reply_exchange: `replies-${queue}`, reply_routing_key: 'answers.shop' })
    await channel.send(part({ chat: '' }), never)
    assert.equal((await got(`all-${queue}`)).fields.routingKey, 'answers.shop')
    await client.deleteExchange(`replies-${queue}`)
    await assert.rejects(channel.send(part({ chat: '' }), never), isFault('AMQP_REFUSED', 'permanent'))
    assert.equal(
      (await channel.send(part({ chat: `amq.rabbitmq.reply-to.x` }), never).catch((error: unknown) => error)) instanceof Error,
      false,
    )
  })

  test('an exchange for replies that does not exist stops the channel', async (t) => {
    await assert.rejects(open(t, { reply_exchange: 'nope' }), isFault('AMQP_SETTINGS', 'config'))
  })

  test('a direct reply-to request is answered once', async (t) => {
    const channel = await open(t)
    const replies: string[] = []
    await client.consume('amq.rabbitmq.reply-to', (message) => replies.push(message?.properties.correlationId ?? ''), { noAck: true })
    client.sendToQueue(queue, Buffer.from('what time is it'), { replyTo: 'amq.rabbitmq.reply-to', correlationId: 'rpc-1' })
    await host.handedIn(1)
    const [request] = host.handed
    assert.ok(request)
    await channel.send(part(request.reply), never)
    await eventually(async () => replies.length > 0, 'the reply')
    assert.deepEqual(replies, ['rpc-1'])
  })

  test('our own reply that comes back is known as our own, also after a restart', async (t) => {
    const settings = { reply_routing_key: queue }
    const first = await open(t, settings)
    await first.send(part({ chat: '' }), never)
    await host.handedIn(1)
    assert.equal(host.handed[0]?.author, 'self')
    await first.stop()
    const second = await open(t, settings)
    await second.send(part({ chat: '' }), never)
    await host.handedIn(2)
    assert.equal(host.handed[1]?.author, 'self')
  })

  test('while the broker takes nothing the channel is degraded, and replies wait', async (t) => {
    const channel = await open(t, { reply_allow: ['to-*'] })
    await client.assertQueue(`to-${queue}`)
    await rabbitmq.ctl('set_vm_memory_high_watermark', 'absolute', '1')
    t.after(() => rabbitmq.ctl('set_vm_memory_high_watermark', '0.4'))
    // The broker tells whoever publishes, and not before.
    const sending = channel.send(part({ chat: `to-${queue}` }), never)
    await eventually(async () => host.states.at(-1) === 'degraded', 'the news')
    const waiting = channel.send(part({ chat: `to-${queue}` }, 'second'), never)
    await host.clock.timerAt(host.clock.now() + 10_000)
    host.clock.advance(10_000)
    await assert.rejects(waiting, isFault('AMQP_UNREACHABLE', 'rate'))
    const later = channel.send(part({ chat: `to-${queue}` }, 'third'), never)
    await rabbitmq.ctl('set_vm_memory_high_watermark', '0.4')
    await Promise.all([sending, later])
    assert.equal(host.states.at(-1), 'open')
  })

  test('a queue that is deleted is made again, and read', async (t) => {
    await open(t)
    await client.deleteQueue(queue)
    await host.clock.timerAt(host.clock.now() + 1_000)
    assert.equal(host.states.at(-1), 'connecting')
    host.clock.advance(1_000)
    await eventually(async () => host.states.at(-1) === 'open', 'the reconnect')
    await say('again')
    await host.handedIn(1)
  })
})
