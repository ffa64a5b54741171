/**
 * Durable intake from RabbitMQ: a quorum queue that is full is read to its end by the gateway, by a bare consumer that only acknowledges, and by one
 * that keeps what it reads in a table, in turns on the same node. And what a reply through an agent takes longer than a bare echo.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'amqplib'
import type { ConfirmChannel } from 'amqplib'
import { startChild } from '../support/child.ts'
import { startGateway, temporaryFolder } from '../support/gateway-process.ts'
import { Rabbitmq, rabbitmqPath } from '../support/rabbitmq.ts'
import { Histogram } from './histogram.ts'
import { WITHIN_MS, acceptedPerSecond, against, barePerSecond, durableIntake, inTurns, orderText, personOf, startIntake } from './intake.ts'
import { median, type Bench, type BenchOptions, type Measure } from './measure.ts'

/** The last acknowledgements are on their way. */
const SETTLED_MS = 25
const WARMUP = 20
/** Read before anything is counted, by each side: a gateway runs for months, and is measured when its code is compiled. */
const UNCOUNTED = 20_000

interface Rig {
  readonly rabbitmq: Rabbitmq
  readonly channel: ConfirmChannel
}

export const amqp: Bench = async (options) => {
  if (rabbitmqPath() === null) return [{ what: 'durable intake', value: null, unit: '/s', note: 'no RabbitMQ on this machine' }]
  const rig = await openRig(options)
  const { rabbitmq } = rig
  const dir = temporaryFolder(options)
  const count = UNCOUNTED + 4_000 * options.seconds
  const bareRate = async (queue: string, ...file: readonly string[]): Promise<number> =>
    barePerSecond('bare-amqp.ts', [rabbitmq.url(), await fill(rig, queue, count), String(count), String(UNCOUNTED), ...file])
  const [ours = [], bare = [], keeping = []] = await inTurns(options, [
    { name: 'gateway', run: async (queue) => gatewayRate(options, rig, await fill(rig, queue, count), count) },
    { name: 'bare consumer', run: (queue) => bareRate(queue) },
    { name: 'bare consumer that keeps', run: (queue) => bareRate(queue, join(dir, `${queue}.db`)) },
  ])
  options.say('replies')
  const [echo, reply] = await replies(options, rig)
  return [
    durableIntake(ours, count - UNCOUNTED, `, after ${UNCOUNTED}`),
    {
      what: 'of a bare consumer that acknowledges',
      value: against(ours, bare),
      unit: '×',
      target: { atLeast: 0.5 },
      note: 'which keeps nothing',
    },
    { what: 'of a bare consumer with a table', value: against(ours, keeping), unit: '×', note: 'which keeps them, and no more' },
    { what: 'bare consumer', value: median(bare), unit: '/s' },
    { what: 'bare consumer with a table', value: median(keeping), unit: '/s' },
    { what: 'reply through an agent, p50, 1 sender', value: reply, unit: 'ms' },
    { what: 'of which added to a bare echo', value: reply - echo, unit: 'ms' },
  ] satisfies readonly Measure[]
}

async function openRig(options: BenchOptions): Promise<Rig> {
  const rabbitmq = await Rabbitmq.start(options)
  const connection = await connect(rabbitmq.url(), { noDelay: true })
  // It ends with the node.
  connection.on('error', () => {})
  return { rabbitmq, channel: await connection.createConfirmChannel() }
}

async function fill({ channel }: Rig, queue: string, count: number): Promise<string> {
  await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
  for (let at = 0; at < count; at++) {
    channel.sendToQueue(queue, Buffer.from(orderText(at)), {
      persistent: true,
      messageId: `m-${at}`,
      contentType: 'application/json',
      headers: { 'x-user-id': personOf(at) },
    })
    if (at % 1_000 === 999) await channel.waitForConfirms()
  }
  await channel.waitForConfirms()
  return queue
}

async function gatewayRate(options: BenchOptions, { rabbitmq, channel }: Rig, queue: string, count: number): Promise<number> {
  const gateway = await startIntake(options, { kind: 'amqp', url: rabbitmq.url(), queue })
  const perSecond = await acceptedPerSecond(gateway, count, UNCOUNTED)
  await delay(SETTLED_MS)
  await gateway.kill9()
  // What is not acknowledged is back in the queue when its reader is dead.
  const { messageCount } = await channel.checkQueue(queue)
  if (messageCount > 0) throw new Error(`${messageCount} messages were accepted and not acknowledged`)
  return perSecond
}

/** Medians of a round trip: of a bare echo, and through the builtin model. */
async function replies(options: BenchOptions, rig: Rig): Promise<readonly [echo: number, reply: number]> {
  const { rabbitmq, channel } = rig
  await fill(rig, 'echo', 0)
  await fill(rig, 'agent', 0)
  const child = startChild([join(import.meta.dirname, 'bare-amqp.ts'), rabbitmq.url(), 'echo'])
  options.after(async () => void (await child.kill9()))
  await child.said(/consuming/, WITHIN_MS)
  await startGateway(options, { config: { channels: { bench: { kind: 'amqp', url: rabbitmq.url(), queue: 'agent' } } } })
  const { queue: replyTo } = await channel.assertQueue('', { exclusive: true })
  let arrived: () => void = () => {}
  await channel.consume(replyTo, () => arrived(), { noAck: true })
  const medianOf = async (queue: string): Promise<number> => {
    const latencies = new Histogram()
    const end = performance.now() + (options.seconds * 1_000) / 2
    for (let count = 0; performance.now() < end; count++) {
      const { promise, resolve } = Promise.withResolvers<void>()
      arrived = resolve
      const sentAt = performance.now()
      channel.sendToQueue(queue, Buffer.from(`hello ${count}`), {
        replyTo,
        persistent: true,
        messageId: `${queue}-${count}`,
        headers: { 'x-user-id': `user-${Math.floor(count / 100)}` },
      })
      await promise
      if (count >= WARMUP) latencies.record(Math.round((performance.now() - sentAt) * 1_000))
    }
    return latencies.quantile(0.5) / 1_000
  }
  return [await medianOf('echo'), await medianOf('agent')]
}
