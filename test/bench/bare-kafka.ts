/**
 * A consumer that does nothing but commit, with the same library and the same timing as the channel, in a process of its own: what
 * durable intake is held against. Arguments: broker, topic, group, how many records there are, and `batch` or `record`, after each of
 * which it commits. Says how many it read a second, from its becoming a member to its last commit.
 */
import kafkajs from 'kafkajs'

const [broker = '', topic = '', groupId = '', count = '0', after = 'batch'] = process.argv.slice(2)
const client = new kafkajs.Kafka({ clientId: 'bare', brokers: [broker], logLevel: kafkajs.logLevel.NOTHING })
const consumer = client.consumer({ groupId, maxWaitTimeInMs: 200 })
const next = (offset: string): string => String(BigInt(offset) + 1n)

let begunAt = 0
consumer.on(consumer.events.GROUP_JOIN, () => void (begunAt = performance.now()))
let read = 0

await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: true,
  partitionsConsumedConcurrently: 4,
  eachBatch: async (payload) => {
    const { partition, messages } = payload.batch
    const committed = after === 'record' ? messages : messages.slice(-1)
    for (const { offset } of committed)
      await payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: next(offset) }] }] })
    read += messages.length
    if (read === Number(count)) console.log(`read ${Math.round((read / (performance.now() - begunAt)) * 1_000)} a second`)
  },
})
