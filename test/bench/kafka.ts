/**
 * Durable intake from Kafka: a topic that is full is read to its end by the gateway, and by bare consumers that only commit, in turns on the
 * same broker.
 */
import kafkajs from 'kafkajs'
import type { Admin, Producer } from 'kafkajs'
import { Kafka, javaPath } from '../support/kafka.ts'
import { against, barePerSecond, durableIntake, inTurns, orderText, personOf, progressPerSecond, startIntake } from './intake.ts'
import { median, type Bench, type BenchOptions, type Measure } from './measure.ts'

const PARTITIONS = 4

interface Rig {
  readonly kafka: Kafka
  readonly admin: Admin
  readonly producer: Producer
}

export const kafka: Bench = async (options) => {
  if (javaPath() === null) return [{ what: 'durable intake', value: null, unit: '/s', note: 'no Kafka broker on this machine' }]
  const rig = await openRig(options)
  const count = 2_000 * options.seconds
  const bareRate = async (topic: string, after: 'batch' | 'record'): Promise<number> =>
    barePerSecond('bare-kafka.ts', [rig.kafka.address, await fill(rig, topic, count), `group-${topic}`, String(count), after])
  const [ours = [], byBatch = [], byRecord = []] = await inTurns(options, [
    { name: 'gateway', run: async (topic) => gatewayRate(options, rig, await fill(rig, topic, count), count) },
    { name: 'bare consumer, a commit a batch', run: (topic) => bareRate(topic, 'batch') },
    { name: 'bare consumer, a commit a record', run: (topic) => bareRate(topic, 'record') },
  ])
  return [
    durableIntake(ours, count),
    { what: 'of a bare consumer that commits after each record', value: against(ours, byRecord), unit: '×', target: { atLeast: 0.5 } },
    { what: 'of a bare consumer that commits after each batch', value: against(ours, byBatch), unit: '×', note: 'which keeps nothing' },
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

async function fill({ admin, producer }: Rig, topic: string, count: number): Promise<string> {
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }] })
  for (let at = 0; at < count; at += 1_000) {
    const some = Array.from({ length: Math.min(1_000, count - at) }, (_, i) => at + i)
    await producer.send({ topic, messages: some.map((number) => ({ key: personOf(number), value: orderText(number) })) })
  }
  return topic
}

async function gatewayRate(options: BenchOptions, { kafka, admin }: Rig, topic: string, count: number): Promise<number> {
  const group = `group-${topic}`
  const gateway = await startIntake(options, { kind: 'kafka', brokers: [kafka.address], topic, group, from_beginning: true })
  const perSecond = await progressPerSecond(count, async () => {
    const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    return (offsets?.partitions ?? []).reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
  })
  const answer = await gateway.fetch('/v1/messages?limit=1')
  if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`)
  await gateway.kill9()
  return perSecond
}
