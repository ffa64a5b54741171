/**
 * Durable intake from RabbitMQ: a quorum queue that is full is read to its end by the gateway, and by a bare consumer that only acknowledges, in
 * turns on the same node. The agents are held by a model that never answers, so that what is measured is acceptance alone. And what a reply
 * through an agent takes longer than a bare echo.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'amqplib'
import type { ConfirmChannel } from 'amqplib'
import { startChild } from '../support/child.ts'
import { startGateway, type GatewayProcess } from '../support/gateway-process.ts'
import { Rabbitmq, rabbitmqPath } from '../support/rabbitmq.ts'
import { Histogram } from './histogram.ts'
import { median, type Bench, type BenchOptions, type Measure } from './measure.ts'
import { startSilentModel } from './model.ts'

const ROUNDS = 3
const USERS = 1_000
/** About what a service writes about an order. */
const BODY = { order: 'A-10492', items: [{ sku: 'blue-shirt-m', count: 2 }], total: '59.80', note: 'Leave it at the door, please.' }
const LOOK_MS = 25
const WITHIN_MS = 180_000
const WARMUP = 20

interface Rig {
  readonly rabbitmq: Rabbitmq
  readonly channel: ConfirmChannel
}

export const amqp: Bench = async (options) => {
  if (rabbitmqPath() === null) return [{ what: 'durable intake', value: null, unit: '/s', note: 'no RabbitMQ on this machine' }]
  const { seconds, say } = options
  const rig = await openRig(options)
  const messages = 2_000 * seconds
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}: gateway`)
    ours.push(await gatewayRate(options, rig, await fill(rig, `gateway-${round}`, messages), messages))
    say(`round ${round} of ${ROUNDS}: bare consumer`)
    bare.push(await bareRate(rig, await fill(rig, `bare-${round}`, messages), messages))
  }
  say('replies')
  const [echo, reply] = await replies(options, rig)
  const note = `median of ${ROUNDS} rounds in turns, ${messages} messages each`
  return [
    { what: 'durable intake', value: median(ours), unit: '/s', target: { atLeast: 3_000 }, note },
    {
      what: 'of a bare consumer that acknowledges',
      value: median(ours.map((our, round) => our / (bare[round] ?? Number.NaN))),
      unit: '×',
      target: { atLeast: 0.5 },
      note: 'which keeps nothing',
    },
    { what: 'bare consumer', value: median(bare), unit: '/s' },
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
    channel.sendToQueue(queue, Buffer.from(JSON.stringify({ ...BODY, number: at })), {
      persistent: true,
      messageId: `m-${at}`,
      contentType: 'application/json',
      headers: { 'x-user-id': `user-${at % USERS}` },
    })
    if (at % 1_000 === 999) await channel.waitForConfirms()
  }
  await channel.waitForConfirms()
  return queue
}

async function gatewayRate(options: BenchOptions, { rabbitmq, channel }: Rig, queue: string, count: number): Promise<number> {
  const { config } = await startSilentModel(options)
  const gateway = await startGateway(options, { config: { ...config, channels: { bench: { kind: 'amqp', url: rabbitmq.url(), queue } } } })
  const perSecond = await rate(gateway, count)
  await delay(LOOK_MS)
  await gateway.kill9()
  // What is not acknowledged is back in the queue when its reader is dead.
  const { messageCount } = await channel.checkQueue(queue)
  if (messageCount > 0) throw new Error(`${messageCount} messages were accepted and not acknowledged`)
  return perSecond
}

/** From the first acceptance that is seen to the last. */
async function rate(gateway: GatewayProcess, count: number): Promise<number> {
  let first: { readonly at: number; readonly accepted: number } | null = null
  for (const deadline = Date.now() + WITHIN_MS; Date.now() < deadline; await delay(LOOK_MS)) {
    const text = await (await gateway.fetch('/api/metrics')).text()
    const line = /^openclaw_messages_total\{[^}]*channel="bench"[^}]*direction="in"[^}]*status="accepted"[^}]*\} (\d+)/m.exec(text)
    const accepted = Number(line?.[1] ?? 0)
    const at = performance.now()
    if (accepted > 0) first ??= { at, accepted }
    if (accepted >= count && first !== null) return ((count - first.accepted) / (at - first.at)) * 1_000
  }
  throw new Error(`${count} messages were not accepted within ${WITHIN_MS} ms`)
}

async function bareRate({ rabbitmq }: Rig, queue: string, count: number): Promise<number> {
  const child = startChild([join(import.meta.dirname, 'bare-amqp.ts'), rabbitmq.url(), queue, String(count)])
  try {
    const [, perSecond] = await child.said(/read (\d+) a second/, WITHIN_MS)
    return Number(perSecond)
  } finally {
    await child.kill9()
  }
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
