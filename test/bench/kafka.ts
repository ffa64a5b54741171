/**
 * Durable intake from Kafka: a topic that is full is read to its end by the gateway, and by a bare consumer that only commits, in turns on the
 * same broker. The agents are held by a model that never answers, so that what is measured is acceptance alone.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import type { Admin, Producer } from 'kafkajs'
import { startChild } from '../support/child.ts'
import { startGateway } from '../support/gateway-process.ts'
import { Kafka, javaPath } from '../support/kafka.ts'
import { median, type Bench, type BenchOptions, type Measure } from './measure.ts'
import { startSilentModel } from './model.ts'

const ROUNDS = 3
const PARTITIONS = 4
const KEYS = 1_000
/** About what a service writes about an order. */
const BODY = { order: 'A-10492', items: [{ sku: 'blue-shirt-m', count: 2 }], total: '59.80', note: 'Leave it at the door, please.' }
const LOOK_MS = 10
const WITHIN_MS = 180_000

interface Rig {
  readonly kafka: Kafka
  readonly admin: Admin
  readonly producer: Producer
}

export const kafka: Bench = async (options) => {
  if (javaPath() === null) return [{ what: 'durable intake', value: null, unit: '/s', note: 'no Kafka broker on this machine' }]
  const { seconds, say } = options
  const rig = await openRig(options)
  const records = 2_000 * seconds
  const ours: number[] = []
  const byBatch: number[] = []
  const byRecord: number[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    const topic = await fill(rig, records)
    say(`round ${round} of ${ROUNDS}: gateway`)
    ours.push(await gatewayRate(options, rig, topic, records))
    say(`round ${round} of ${ROUNDS}: bare consumer`)
    byBatch.push(await bareRate(rig, topic, records, 'batch'))
    byRecord.push(await bareRate(rig, topic, records, 'record'))
  }
  const ratio = (bare: readonly number[]): number => median(ours.map((our, round) => our / (bare[round] ?? NaN)))
  const note = `median of ${ROUNDS} rounds in turns, ${records} records each`
  return [
    { what: 'durable intake', value: median(ours), unit: '/s', target: { atLeast: 3_000 }, note },
    { what: 'of a bare consumer that commits after each record', value: ratio(byRecord), unit: '×', target: { atLeast: 0.5 } },
    { what: 'of a bare consumer that commits after each batch', value: ratio(byBatch), unit: '×', note: 'which keeps nothing' },
    { what: 'bare consumer, a commit a record', value: median(byRecord), unit: '/s' },
    { what: 'bare consumer, a commit a batch', value: median(byBatch), unit: '/s' },
  ] satisfies readonly Measure[]
}

async function openRig(options: BenchOptions): Promise<Rig> {
  const broker = await Kafka.start(options)
  const client = new kafkajs.Kafka({ clientId: 'bench', brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING })
  const admin = client.admin()
  const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await Promise.all([admin.connect(), producer.connect()])
  options.after(async () => void (await Promise.all([admin.disconnect(), producer.disconnect()])))
  return { kafka: broker, admin, producer }
}

async function fill({ admin, producer }: Rig, count: number): Promise<string> {
  const topic = `bench-${randomUUID()}`
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }] })
  for (let at = 0; at < count; at += 1_000) {
    const messages = Array.from({ length: Math.min(1_000, count - at) }, (_, i) => ({
      key: `customer-${(at + i) % KEYS}`,
      value: JSON.stringify({ ...BODY, number: at + i }),
    }))
    await producer.send({ topic, messages })
  }
  return topic
}

async function gatewayRate(options: BenchOptions, rig: Rig, topic: string, count: number): Promise<number> {
  const { config } = await startSilentModel(options)
  const group = `gateway-${topic}`
  const account = { kind: 'kafka', brokers: [rig.kafka.address], topic, group, from_beginning: true }
  const gateway = await startGateway(options, { config: { ...config, channels: { bench: account } } })
  const perSecond = await rate(rig.admin, { group, topic, count })
  const answer = await gateway.fetch('/v1/messages?limit=1')
  if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`)
  await gateway.kill9()
  return perSecond
}

async function bareRate(rig: Rig, topic: string, count: number, after: 'batch' | 'record'): Promise<number> {
  const args = [rig.kafka.address, topic, `bare-${after}-${topic}`, String(count), after]
  const child = startChild([join(import.meta.dirname, 'bare-kafka.ts'), ...args])
  try {
    const [, perSecond] = await child.said(/read (\d+) a second/, WITHIN_MS)
    return Number(perSecond)
  } finally {
    await child.kill9()
  }
}

/** From the first commit that is seen to the last. */
async function rate(admin: Admin, of: { readonly group: string; readonly topic: string; readonly count: number }): Promise<number> {
  let first: { readonly at: number; readonly committed: number } | null = null
  for (const deadline = Date.now() + WITHIN_MS; Date.now() < deadline; await delay(LOOK_MS)) {
    const [offsets] = await admin.fetchOffsets({ groupId: of.group, topics: [of.topic] })
    const committed = (offsets?.partitions ?? []).reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
    const at = performance.now()
    if (committed > 0) first ??= { at, committed }
    if (committed >= of.count && first !== null) return ((of.count - first.committed) / (at - first.at)) * 1_000
  }
  throw new Error(`${of.count} records were not read within ${WITHIN_MS} ms`)
}
