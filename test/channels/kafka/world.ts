/** The outside of the Kafka channel: people who write records and read those that come back, on a real broker, by a client of their own. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import type { Admin, Consumer, IHeaders, KafkaMessage, Producer } from 'kafkajs'
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Mishap, Saying } from '../../contract/channel-world.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import { eventually } from '../../support/eventually.ts'
import { KafkaLine, PRODUCE_ERROR } from '../../support/kafka-line.ts'
import type { Kafka } from '../../support/kafka.ts'
import { News } from '../../support/news.ts'
import { attached } from '../attached.ts'

const LOOK_MS = 50
const UP_LIMIT_MS = 30_000

/** One broker for all tests of a file: it takes seconds to come up. */
export interface KafkaSite {
  readonly kafka: Kafka
  readonly line: KafkaLine
}

/** The proxy leads to the line that reads along, and that to the broker. */
export async function openSite(scope: Scope, kafka: Kafka): Promise<KafkaSite> {
  const line = await KafkaLine.open(scope, kafka.ports.proxied)
  kafka.proxy.target = line.port
  return { kafka, line }
}

interface Parts {
  readonly site: KafkaSite
  readonly topic: string
  readonly producer: Producer
  readonly consumer: Consumer
  readonly admin: Admin
}

interface Place {
  readonly partition: number
  readonly offset: bigint
}

export interface Received extends Arrived {
  readonly headers: IHeaders
}

export class KafkaWorld implements ChannelWorld {
  readonly strangers: boolean = false
  readonly resend = 'id' as const
  readonly maxText: null = null
  readonly lacks: ChannelWorld['lacks'] = {
    rate: 'a broker that has too much to do answers later and refuses nothing',
    split: 'a record takes a million bytes',
    groups: 'there are none',
    edits: 'there are none',
  }
  readonly #news = new News()
  readonly #parts: Parts
  readonly #said = new Map<string, Place>()
  /** By `openclaw-delivery`, by which consumers drop repeats. */
  readonly #received = new Map<string, Received>()
  #committed = new Map<number, bigint>()
  #members = 0
  #password: string
  #signInsBefore = 0
  #isOver = false

  private constructor(parts: Parts) {
    this.#parts = parts
    this.#password = parts.site.kafka.password
  }

  static async open(scope: Scope, site: KafkaSite): Promise<KafkaWorld> {
    const topic = `in-${randomUUID()}`
    const client = newClient(site.kafka.address)
    const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    const consumer = client.consumer({ groupId: `people-${topic}`, maxWaitTimeInMs: 100 })
    const admin = client.admin()
    const world = new KafkaWorld({ site, topic, producer, consumer, admin })
    await Promise.all([producer.connect(), consumer.connect(), admin.connect()])
    await admin.createTopics({
      topics: [
        { topic, numPartitions: 3 },
        { topic: world.replyTopic, numPartitions: 1 },
      ],
    })
    const watching = world.#watch()
    scope.after(async () => {
      world.#isOver = true
      await watching
      await Promise.all([producer.disconnect(), consumer.disconnect(), admin.disconnect()])
    })
    await consumer.subscribe({ topic: world.replyTopic, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message: { key, value, offset, headers = {} } }) => world.#receive(key, value, offset, headers),
    })
    return world
  }

  get topic(): string {
    return this.#parts.topic
  }
  get replyTopic(): string {
    return `${this.#parts.topic}-replies`
  }

  get settings(): JsonObject {
    const { kafka } = this.#parts.site
    return {
      kind: 'kafka',
      brokers: [kafka.proxied],
      topic: this.topic,
      group: this.topic,
      reply_topic: this.replyTopic,
      sasl: { mechanism: 'plain', username: kafka.user, password: this.#password },
    }
  }
  get secrets(): readonly string[] {
    return [this.#password]
  }

  attach(gateway: GatewayProcess): Promise<void> {
    return attached(gateway)
  }

  async says(text: string, { from = 'ann' }: Saying = {}): Promise<string> {
    return this.write(from, text)
  }

  async write(key: string | null, value: string | Buffer | null, headers: IHeaders = {}): Promise<string> {
    const [written] = await this.#parts.producer.send({ topic: this.topic, messages: [{ key, value, headers }] })
    const { partition = 0, baseOffset = '0' } = written ?? {}
    const id = `${partition}-${baseOffset}`
    this.#said.set(id, { partition, offset: BigInt(baseOffset) })
    this.#news.tell()
    return id
  }

  /** As one burst, in this order. */
  async writeAll(records: readonly { readonly key: string; readonly value: string }[]): Promise<void> {
    await this.#parts.producer.send({ topic: this.topic, messages: [...records] })
  }

  /** Everything in a topic of this world, from its beginning, until there are so many. */
  async read(topic: string, count: number): Promise<readonly KafkaMessage[]> {
    const consumer = newClient(this.#parts.site.kafka.address).consumer({ groupId: randomUUID(), maxWaitTimeInMs: 100 })
    const found: KafkaMessage[] = []
    const all = Promise.withResolvers<void>()
    const bound = setTimeout(() => all.reject(new Error(`${found.length} records of ${count} came in ${topic}`)), UP_LIMIT_MS)
    try {
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      const eachMessage = async ({ message }: { readonly message: KafkaMessage }): Promise<void> => {
        if (found.push(message) >= count) all.resolve()
      }
      await consumer.run({ eachMessage })
      await all.promise
      return found
    } finally {
      clearTimeout(bound)
      await consumer.disconnect()
    }
  }

  get admin(): Admin {
    return this.#parts.admin
  }

  /** As an operator does who has records read again: the group has to be empty, then its offset is set back. */
  async redeliver(key: string): Promise<void> {
    const { site, topic } = this.#parts
    const place = this.#said.get(key)
    if (place === undefined) throw new Error(`nobody said ${key}`)
    site.kafka.proxy.refuse()
    site.kafka.proxy.cut()
    await eventually(() => this.#members === 0, 'the empty group', UP_LIMIT_MS)
    const { partition, offset } = place
    const operator = newClient(site.kafka.address).consumer({ groupId: topic, maxWaitTimeInMs: 100 })
    await operator.connect()
    await operator.subscribe({ topic })
    const running = operator.run({ autoCommit: false, eachMessage: async () => {} })
    operator.pause([{ topic }])
    await running
    await operator.commitOffsets([{ topic, partition, offset: String(offset) }])
    await operator.disconnect()
    site.kafka.proxy.heal()
  }

  unacknowledged(): readonly string[] {
    const isCommitted = ({ partition, offset }: Place): boolean => offset < (this.#committed.get(partition) ?? 0n)
    return [...this.#said].filter(([, place]) => !isCommitted(place)).map(([key]) => key)
  }

  /** Of so many records in the topic. */
  uncommitted(count: number): number {
    return count - [...this.#committed.values()].reduce((sum, offset) => sum + Math.max(0, Number(offset)), 0)
  }

  arrived(): readonly Received[] {
    return [...this.#received.values()]
  }

  changed(): Promise<void> {
    return this.#news.changed()
  }

  mishap(kind: Mishap, times = 1, after = 0): void {
    const { line } = this.#parts.site
    const spoil =
      kind === 'lost'
        ? 'lose the answer'
        : { error: kind === 'permanent' ? PRODUCE_ERROR.MESSAGE_TOO_LARGE : PRODUCE_ERROR.NOT_ENOUGH_REPLICAS }
    line.plan((topic) => topic === this.replyTopic, [...Array<null>(after).fill(null), ...Array<typeof spoil>(times).fill(spoil)])
  }

  async cut(): Promise<void> {
    this.#parts.site.kafka.proxy.cut()
  }

  /** Members of the group, which is what the account is to the platform. */
  connections(): number {
    return this.#members
  }

  async echo({ id }: Arrived): Promise<void> {
    const received = this.#received.get(id)
    if (received !== undefined) await this.write(received.chat, received.raw, received.headers)
  }

  async garbage(): Promise<void> {
    await this.write('ann', '{"half": ', { 'content-type': 'application/json' })
  }

  async refuseCredentials(): Promise<void> {
    this.#password = 'a wrong password'
    this.#signInsBefore = this.#parts.site.line.signIns
  }
  refusals(): number {
    return this.#parts.site.line.signIns - this.#signInsBefore
  }
  async edit(): Promise<void> {}

  #receive(key: Buffer | null, value: Buffer | null, offset: string, headers: IHeaders): void {
    const id = String(headers['openclaw-delivery'] ?? offset)
    const raw = String(value)
    if (!this.#received.has(id)) this.#received.set(id, { id, chat: String(key), text: raw, raw, at: Date.now(), headers })
    this.#news.tell()
  }

  /** Nobody tells a client what a group has committed, so it asks again and again. */
  async #watch(): Promise<void> {
    const { admin, topic } = this.#parts
    for (; !this.#isOver; await delay(LOOK_MS)) {
      try {
        const [offsets] = await admin.fetchOffsets({ groupId: topic, topics: [topic] })
        const { groups } = await admin.describeGroups([topic])
        const committed = new Map(offsets?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
        const isNews = [...committed].some(([partition, offset]) => this.#committed.get(partition) !== offset)
        this.#committed = committed
        this.#members = groups[0]?.members.length ?? 0
        if (isNews) this.#news.tell()
      } catch {
        // The broker is away for the moment.
      }
    }
  }
}

const newClient = (broker: string): kafkajs.Kafka =>
  new kafkajs.Kafka({ clientId: 'people', brokers: [broker], logLevel: kafkajs.logLevel.NOTHING })
