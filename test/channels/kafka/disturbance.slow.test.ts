/** A real broker that dies, a line that swallows everything, a gateway that is killed, a second member: nothing lost, nothing twice. */
import assert from 'node:assert/strict'
import kafkajs from 'kafkajs'
import { stagedTests } from './staged.ts'

const KEYS = 20

/** `count` records over twenty keys; each says its key and its number. */
const burst = (count: number): readonly { readonly key: string; readonly value: string }[] =>
  Array.from({ length: count }, (_, at) => ({ key: `key-${at % KEYS}`, value: `key-${at % KEYS} number ${at}.` }))

const numberIn = (text: string): number => Number(/number (\d+)/.exec(text)?.[1])

const staged = await stagedTests()

staged('a gateway killed in the middle of two thousand records answers each once, in the order of its key', async ({ stage, world }) => {
  const count = 2_000
  await stage.start()
  await world.writeAll(burst(count))
  await stage.until(() => world.arrived().length > 300, 'the first answers')
  await stage.gateway.kill9()
  assert.ok(world.arrived().length < count, 'it was killed too late')
  await stage.start()
  await stage.until(() => world.arrived().length >= count, 'all answers', 120_000)
  await stage.until(() => world.uncommitted(count) === 0, 'all acknowledgements')
  assert.equal(new Set(world.arrived().map(({ text }) => text)).size, count)
  assert.equal(world.arrived().length, count)
  for (const [key, answers] of Map.groupBy(world.arrived(), ({ chat }) => chat)) {
    const numbers = answers.map(({ text }) => numberIn(text))
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
      key,
    )
  }
  assert.equal((await stage.inbox()).length, count)
})

staged('a second member that joins in mid-burst takes its share, and no record is taken by both', async ({ stage, world, kafka }) => {
  const count = 2_000
  await stage.start()
  const other = new kafkajs.Kafka({ clientId: 'other', brokers: [kafka.address], logLevel: kafkajs.logLevel.NOTHING })
  const consumer = other.consumer({ groupId: world.topic, maxWaitTimeInMs: 100, heartbeatInterval: 500 })
  const theirs: number[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic: world.topic })
    const half = burst(count).slice(0, count / 2)
    await world.writeAll(half)
    await stage.until(() => world.arrived().length > 50, 'the first answers')
    const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve))
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        theirs.push(numberIn(String(message.value)))
        await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(message.offset) + 1n) }])
      },
    })
    await joined
    await world.writeAll(burst(count).slice(count / 2))
    const seen = (): Set<number> => new Set([...theirs, ...world.arrived().map(({ text }) => numberIn(text))])
    await stage.until(() => seen().size >= count, 'every record at one of the two', 120_000)
    const ours = (await stage.texts()).map(numberIn)
    assert.equal(new Set(ours).size, ours.length)
    assert.deepEqual(
      theirs.filter((number) => ours.includes(number)),
      [],
    )
    assert.ok(theirs.length > 0 && ours.length > count / 2, `${ours.length} and ${theirs.length}`)
  } finally {
    await consumer.disconnect()
  }
})

staged('a line that swallows everything is noticed, and when it is well again nothing was lost', async ({ stage, world, kafka }) => {
  await stage.start()
  await stage.ask('before')
  kafka.proxy.swallow()
  await world.says('while the line was dead')
  await stage.until(async () => (await stage.status()).state === 'connecting', 'the notice', 45_000)
  assert.match((await stage.status()).reason ?? '', /Kafka at .* cannot be used now/)
  assert.equal((await stage.gateway.fetch('/readyz')).status, 200)
  kafka.proxy.heal()
  await stage.answered('while the line was dead')
  await stage.ask('after')
  assert.deepEqual(await stage.texts(), ['before', 'while the line was dead', 'after'])
  assert.deepEqual(await stage.deadLetters(), [])
})

staged(
  'a broker that is killed and comes back finds the gateway waiting, and replies that waited go out',
  async ({ stage, world, kafka }) => {
    await stage.start()
    await stage.ask('before')
    await world.writeAll(burst(200))
    await stage.until(async () => (await stage.inbox()).length > 50, 'some of the burst')
    await kafka.kill9()
    await stage.until(async () => (await stage.status()).state === 'connecting', 'the notice')
    await kafka.up()
    await stage.until(() => world.arrived().length >= 201, 'all answers', 60_000)
    await stage.ask('after')
    assert.equal(world.arrived().length, 202)
    assert.deepEqual(await stage.deadLetters(), [])
  },
)

staged('without a broker the gateway starts and says what it waits for, and begins when there is one', async ({ stage, world, kafka }) => {
  await kafka.stop()
  const attach = world.attach.bind(world)
  world.attach = async () => {}
  await stage.start()
  await stage.until(async () => (await stage.status()).reason !== null, 'the reason')
  const { state, reason } = await stage.status()
  assert.equal(state, 'connecting')
  assert.match(reason ?? '', /Kafka at 127\.0\.0\.1:\d+ cannot be used now by channel "wire"/)
  await kafka.up()
  await attach(stage.gateway)
  await stage.ask('now there is')
})

staged('a line that breaks while the gateway signs in is no refusal', async ({ stage, line }) => {
  line.brokenSignIns = 3
  await stage.start()
  assert.equal(line.brokenSignIns, 0)
  await stage.ask('in spite of it')
})
