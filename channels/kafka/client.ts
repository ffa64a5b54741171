/**
 * kafkajs behind our seam, the one file that knows it: produce, consume, commit, pause and resume. What goes wrong
 * comes out as the library threw it; `fault.ts` says what it means. When to connect again is `kafka.ts`. Why this library, and what of
 * it is worked around here: docs/decisions/kafka-client.md.
 */
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import type { Admin, EachBatchPayload, IHeaders, Kafka, KafkaMessage, Producer, SASLOptions } from 'kafkajs'
import type { Batch, ClientOptions, ConsumeOptions, Consumption, KafkaRecord, NewRecord, RecordHeader, Sasl } from './seam.ts'
import { Sockets } from './socket.ts'

/** One fifth of a second is what a paused consumer may take to notice that it is not. */
const FETCH_WAIT_MS = 200
const HEARTBEAT_MS = 2_000
/** A member that was silent for so long is taken for dead: what a killed gateway's partitions wait. */
const SESSION_MS = 6_000
const REBALANCE_MS = 30_000
const REQUEST_MS = 10_000
const CONNECT_MS = 5_000
const PARTITIONS_AT_ONCE = 4
/** The library's own tries, for what passes at once; everything longer is ours to pace. */
const RETRY = { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000, restartOnFailure: (): Promise<boolean> => Promise.resolve(false) }

export class KafkaClient {
  readonly #options: ClientOptions
  #writer: Writer | null = null
  #lastSend: Promise<unknown> = Promise.resolve()

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** Resolves when we are a member of the group; rejects with whatever prevented it. */
  async consume({ group, topics, fromBeginning, take, signal }: ConsumeOptions): Promise<Consumption> {
    const sockets = new Sockets()
    const client = openKafka(this.#options, sockets)
    const consumer = client.consumer({
      groupId: group,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: REBALANCE_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      retry: RETRY,
    })
    let seenAt = this.#options.now()
    const { FETCH, HEARTBEAT, REBALANCING, GROUP_JOIN, CRASH } = consumer.events
    for (const event of [FETCH, HEARTBEAT] as const) consumer.on(event, () => void (seenAt = this.#options.now()))
    // It is kept waiting, without a sign, until every member has said what it has left to do.
    consumer.on(REBALANCING, () => void (seenAt = this.#options.now() + REBALANCE_MS))
    const ended = Promise.withResolvers<unknown>()
    const crashes: Error[] = []
    consumer.on(CRASH, ({ payload }) => {
      crashes.push(payload.error)
      ended.resolve(payload.error)
    })
    let assigned: { readonly [topic: string]: readonly number[] } = {}
    consumer.on(GROUP_JOIN, ({ payload }) => {
      assigned = payload.memberAssignment
      seenAt = this.#options.now()
    })
    const anchored = Promise.withResolvers<void>()
    anchored.promise.catch(() => {})
    const stop = (): Promise<void> => sockets.close(() => consumer.disconnect())
    const cut = (): void => sockets.cut()
    const everything = topics.map((topic) => ({ topic }))
    signal.throwIfAborted()
    signal.addEventListener('abort', cut, { once: true })
    try {
      await consumer.connect()
      // Always from the oldest: it is also what the library does where records that were not read yet have been deleted, or partitions added.
      await consumer.subscribe({ topics: [...topics], fromBeginning: true })
      const ends = fromBeginning ? [] : await endsOfUnread(client.admin(), group, topics)
      const running = consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
        eachBatch: async (payload) => {
          await anchored.promise
          await take(batchOf(payload))
        },
      })
      for (const end of ends) consumer.seek(end)
      await running
      // `run` resolves after a crash as well.
      if (crashes[0] !== undefined) throw crashes[0]
      // Where we begin is committed before anything is read: else what comes while we are away for the first time would be passed over.
      const ours = ends.filter(({ topic, partition }) => assigned[topic]?.includes(partition))
      if (ours.length > 0) await consumer.commitOffsets(ours)
      anchored.resolve()
    } catch (error) {
      anchored.reject(error)
      await stop()
      throw error
    } finally {
      signal.removeEventListener('abort', cut)
    }
    return {
      ended: ended.promise,
      seenAt: () => seenAt,
      pause: () => whileItLives(() => consumer.pause(everything)),
      resume: () => whileItLives(() => consumer.resume(everything)),
      stop,
    }
  }

  /**
   * Resolves with where the record lies when all in-sync replicas have it. One at a time: the library gives a sequence number that failed to
   * the next record, and a broker that has the first after all would drop the second as its repeat. For the same reason a
   * producer whose send failed is never used again.
   */
  produce(record: NewRecord, signal: AbortSignal): Promise<string> {
    const sent = this.#lastSend.then(() => this.#produce(record, signal))
    this.#lastSend = sent.catch(() => {})
    return sent
  }

  /** Nothing more goes out. */
  async close(): Promise<void> {
    await this.#lastSend
    const writer = this.#writer
    this.#writer = null
    await writer?.sockets.close(async () => (await writer.connected).disconnect())
  }

  async #produce({ topic, key, value, headers }: NewRecord, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const { sockets, connected } = (this.#writer ??= connectProducer(this.#options))
    const cut = (): void => sockets.cut()
    signal.addEventListener('abort', cut, { once: true })
    try {
      const producer = await connected
      const messages = [{ key, value, headers: headersOf(headers) }]
      const [written] = await producer.send({ topic, acks: -1, messages })
      return `${topic}-${written?.partition ?? '?'}-${written?.baseOffset ?? '?'}`
    } catch (error) {
      this.#writer = null
      cut()
      throw error
    } finally {
      signal.removeEventListener('abort', cut)
    }
  }
}

/** Between a crash and our hearing of it the library has no group, and says so by throwing. */
function whileItLives(act: () => void): void {
  try {
    act()
  } catch {
    // The next membership begins as it should be.
  }
}

function openKafka({ name, brokers, ssl, sasl, log }: ClientOptions, sockets: Sockets): Kafka {
  readZstd()
  return new kafkajs.Kafka({
    clientId: name,
    brokers: [...brokers],
    ssl,
    ...(sasl === null ? {} : { sasl: signIn(sasl) }),
    connectionTimeout: CONNECT_MS,
    authenticationTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    retry: RETRY,
    logLevel: kafkajs.logLevel.WARN,
    // What matters of it is told by the channel's status; these are for whoever looks closer.
    logCreator:
      () =>
      ({ namespace, log: { message } }) =>
        log.debug({ library: 'kafkajs', namespace }, message),
    socketFactory: (destination) => sockets.connect(destination),
  })
}

function signIn({ mechanism, username, password }: Sasl): SASLOptions {
  switch (mechanism) {
    case 'plain':
      return { mechanism, username, password }
    case 'scram-sha-256':
      return { mechanism, username, password }
    case 'scram-sha-512':
      return { mechanism, username, password }
  }
}

/** The codecs of the library are one table of its module. Node has this one by itself; Snappy and LZ4 would need packages. */
function readZstd(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { readonly buffer: Buffer }) => promisify(zstdCompress)(encoder.buffer),
    decompress: (buffer: Buffer) => promisify(zstdDecompress)(buffer),
  })
}

interface Writer {
  readonly sockets: Sockets
  readonly connected: Promise<Producer>
}

function connectProducer(options: ClientOptions): Writer {
  const sockets = new Sockets()
  const producer = openKafka(options, sockets).producer({
    // Its own repeats are dropped by the broker.
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  })
  const connected = producer.connect().then(() => producer)
  return { sockets, connected }
}

interface Position {
  readonly topic: string
  readonly partition: number
  readonly offset: string
}

/** The ends of those topics of which the group never committed anything. */
async function endsOfUnread(admin: Admin, groupId: string, topics: readonly string[]): Promise<readonly Position[]> {
  try {
    await admin.connect()
    const committed = await admin.fetchOffsets({ groupId, topics: [...topics] })
    const unread = committed.filter(({ partitions }) => partitions.every(({ offset }) => offset === '-1'))
    const ends = unread.map(async ({ topic }) =>
      (await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => ({ topic, partition, offset: high })),
    )
    return (await Promise.all(ends)).flat()
  } finally {
    await admin.disconnect()
  }
}

/** Kafka keeps several headers of one name, and so do we. */
function headersOf(headers: NewRecord['headers']): IHeaders {
  const named = Map.groupBy(headers, ([name]) => name)
  return Object.fromEntries([...named].map(([name, same]) => [name, same.map(([, value]) => value)]))
}

function batchOf(payload: EachBatchPayload): Batch {
  const { batch } = payload
  const { topic, partition, messages } = batch
  const last = messages.at(-1)?.offset
  return {
    topic,
    partition,
    records: messages.map((message) => recordOf(topic, partition, message)),
    isOver: () => !payload.isRunning() || payload.isStale(),
    beat: () => payload.heartbeat(),
    commit: async ({ offset }) => {
      // Behind the last may lie what is not for us: marks of transactions.
      const end = offset === last ? batch.lastOffset() : offset
      await payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: String(BigInt(end) + 1n) }] }] })
      payload.resolveOffset(offset)
    },
  }
}

function recordOf(topic: string, partition: number, { offset, timestamp, key, value, headers = {} }: KafkaMessage): KafkaRecord {
  return {
    topic,
    partition,
    offset,
    timestamp: Number(timestamp),
    key,
    value,
    headers: Object.entries(headers).flatMap(([name, values]) =>
      [values].flat().flatMap((given): RecordHeader[] => (given === undefined ? [] : [[name, Buffer.from(given)]])),
    ),
  }
}
