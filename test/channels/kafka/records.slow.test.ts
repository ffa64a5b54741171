/** What only Kafka has: offsets and where they begin, dead-letter topics, batches, sequence numbers, a group that expels the silent. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import kafkajs from 'kafkajs'
import type { KafkaMessage } from 'kafkajs'
import { kafka as kind } from '../../../channels/kafka/kafka.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { stagedTests } from './staged.ts'
import type { KafkaWorld } from './world.ts'

const staged = await stagedTests()
/** Longer than the group waits for a silent member. */
const LONGER_THAN_SESSION_MS = 8_000

const header = (record: KafkaMessage | undefined, name: string): string => String(record?.headers?.[name])
const memberOf = async (world: KafkaWorld): Promise<string | undefined> =>
  (await world.admin.describeGroups([world.topic])).groups[0]?.members[0]?.memberId
const setTopic = (world: KafkaWorld, name: string, maxBytes: number): Promise<unknown> =>
  world.admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name,
        configEntries: [{ name: 'max.message.bytes', value: String(maxBytes) }],
      },
    ],
  })

staged(
  'what can never be handled is written whole to the dead-letter topic, and says where it came from and why',
  async ({ stage, world }) => {
    await setTopic(world, world.topic, 4_000_000)
    await stage.start()
    await world.garbage()
    await world.write('bob', null, { note: 'nothing' })
    await world.write('bob', 'x'.repeat(900_000))
    await stage.ask('after them')
    await stage.until(() => world.unacknowledged().length === 0, 'all acknowledgements')
    const [garbage, empty] = await world.read(`${world.topic}.dlt`, 2)
    assert.equal(String(garbage?.value), '{"half": ')
    assert.deepEqual([String(garbage?.key), header(garbage, 'content-type')], ['ann', 'application/json'])
    assert.equal(header(garbage, 'openclaw-error'), 'MESSAGE_UNREADABLE')
    assert.equal(header(garbage, 'openclaw-original-topic'), world.topic)
    assert.match(header(garbage, 'openclaw-original-partition') + header(garbage, 'openclaw-original-offset'), /^\d\d$/)
    assert.ok(Math.abs(Number(header(garbage, 'openclaw-original-timestamp')) - Date.now()) < 60_000)
    assert.deepEqual([empty?.value, header(empty, 'note'), header(empty, 'openclaw-error')], [null, 'nothing', 'MESSAGE_EMPTY'])
  },
)

staged('a record that the dead-letter topic does not take either is a dead letter of the gateway, whole', async ({ stage, world }) => {
  await setTopic(world, world.topic, 4_000_000)
  await stage.start()
  await world.write('bob', 'x'.repeat(1_500_000))
  await stage.until(async () => (await stage.deadLetters()).length === 1, 'the dead letter')
  assert.equal((await stage.deadLetters())[0]?.reason.code, 'MESSAGE_TOO_LARGE')
  await stage.until(() => world.unacknowledged().length === 0, 'the acknowledgement')
})

staged('a new group begins with what comes from now on, and with what came while the gateway was away', async ({ stage, world }) => {
  await world.says('before the first start')
  await stage.start()
  await stage.gateway.stop()
  await world.says('while it was away')
  await stage.start()
  await stage.answered('while it was away')
  assert.deepEqual(await stage.texts(), ['while it was away'])
})

staged('a new group begins with the oldest where it is told so', async ({ stage, world }) => {
  await world.says('before the first start')
  await stage.start(undefined, { from_beginning: true })
  await stage.answered('before the first start')
})

staged('where records were deleted before they were read it goes on with the oldest that is left', async ({ stage, world }) => {
  await stage.start()
  await stage.ask('one')
  await stage.until(() => world.unacknowledged().length === 0, 'the acknowledgement')
  await stage.gateway.stop()
  for (const text of ['two', 'three', 'four']) await world.says(text)
  const [partition = 0, offset = 0] = (world.unacknowledged()[1] ?? '').split('-').map(Number)
  await world.admin.deleteTopicRecords({ topic: world.topic, partitions: [{ partition, offset: String(offset) }] })
  await stage.start()
  await stage.answered('three')
  await stage.answered('four')
  assert.deepEqual(await stage.texts(), ['one', 'three', 'four'])
})

staged('batches: killed after they were stored, the same records come in other groups and are taken in once', async ({ stage, world }) => {
  const over = { batchSize: 50, from_beginning: true }
  const records = (from: number): readonly { readonly key: string; readonly value: string }[] =>
    Array.from({ length: 30 }, (_, at) => ({ key: 'ann', value: `{"n":${from + at}}` }))
  await world.writeAll(records(0))
  const attach = world.attach.bind(world)
  world.attach = async () => {}
  await stage.start('after accept', over)
  await stage.died()
  await world.writeAll(records(30))
  world.attach = attach
  await stage.start(undefined, over)
  await stage.until(() => world.uncommitted(60) === 0, 'all acknowledgements')
  const groups = (await stage.inbox()).map(({ payload }) => (payload as { readonly json: readonly { readonly n: number }[] }).json)
  assert.deepEqual(
    groups.flat().map(({ n }) => n),
    Array.from({ length: 60 }, (_, at) => at),
  )
  assert.ok(groups.length <= 3, `${groups.length} messages`)
})

staged('an answer goes where the record asks for it if that is allowed, with its correlation', async ({ stage, world }) => {
  const answers = `${world.topic}-answers`
  await world.admin.createTopics({ topics: [{ topic: answers }] })
  await stage.start(undefined, { reply_allow: [`*-answers`] })
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await world.write('ann', 'elsewhere', { 'reply-topic': answers, 'correlation-id': 'c-1', traceparent })
  await world.write('ann', 'not there', { 'reply-topic': `${world.topic}-others`, 'correlation-id': 'c-2' })
  const [elsewhere] = await world.read(answers, 1)
  assert.equal(String(elsewhere?.value).trim(), 'You said: elsewhere')
  assert.deepEqual([String(elsewhere?.key), header(elsewhere, 'correlation-id')], ['ann', 'c-1'])
  assert.match(header(elsewhere, 'openclaw-delivery'), /^dlv-/)
  assert.equal(header(elsewhere, 'traceparent'), traceparent)
  await stage.answered('not there')
  assert.equal(String(world.arrived()[0]?.headers['correlation-id']), 'c-2')
})

staged('what a producer wrote twice under one id is one message; other words under it are put aside', async ({ stage, world }) => {
  await stage.start()
  for (const text of ['once', 'once', 'something else']) await world.write('ann', text, { id: 'order-1' })
  await stage.ask('the next')
  assert.deepEqual(await stage.texts(), ['once', 'the next'])
  const [reused] = await world.read(`${world.topic}.dlt`, 1)
  assert.deepEqual([String(reused?.value), header(reused, 'openclaw-error')], ['something else', 'IDEMPOTENCY_KEY_REUSED'])
})

staged('when the answers to a reply are lost again and again, the next reply is not taken for its repeat', async ({ stage, world }) => {
  await stage.start()
  // More often than the library tries by itself.
  world.mishap('lost', 5)
  await world.says('lost again and again')
  await world.write('bob', 'the next')
  await stage.until(() => world.arrived().length >= 2, 'both answers')
  assert.deepEqual(
    world
      .arrived()
      .map(({ chat }) => chat)
      .toSorted(),
    ['ann', 'bob'],
  )
  assert.deepEqual(await stage.deadLetters(), [])
})

staged('a reply that its topic does not take is a dead letter that says so', async ({ stage, world }) => {
  await setTopic(world, world.replyTopic, 300)
  await stage.start()
  await world.says('x'.repeat(1_000))
  await stage.until(async () => (await stage.deadLetters()).length === 1, 'the dead letter')
  assert.equal((await stage.deadLetters())[0]?.reason.code, 'KAFKA_TOO_LARGE')
  await stage.ask('short')
})

staged('a reply without a topic is a dead letter that says so', async ({ stage, world }) => {
  await stage.start(undefined, { reply_topic: undefined })
  await world.says('nowhere to go')
  await stage.until(async () => (await stage.deadLetters()).length === 1, 'the dead letter')
  assert.equal((await stage.deadLetters())[0]?.reason.code, 'KAFKA_NO_REPLY_TOPIC')
})

staged('while the store is locked for long the gateway stays the member that it was', async ({ stage, world }) => {
  await stage.start()
  await stage.ask('before')
  const member = await memberOf(world)
  const other = new DatabaseSync(join(stage.gateway.dir, 'sessions.db'), { timeout: 5_000 })
  other.exec('BEGIN IMMEDIATE')
  await world.says('while locked')
  await stage.never(async () => (await memberOf(world)) !== member, 'it was expelled', LONGER_THAN_SESSION_MS)
  other.exec('ROLLBACK')
  other.close()
  await stage.answered('while locked')
  assert.ok(member)
  assert.equal(await memberOf(world), member)
})

staged('paused it takes in nothing and stays the member that it was; resumed it takes what came', async ({ stage, world, kafka }) => {
  const host = new MemoryHost('wire')
  const { kind: _, ...settings } = world.settings
  const channel = kind.create('wire', settings)
  const signal = new AbortController()
  try {
    await channel.start(host, signal.signal)
    await world.says('before')
    await host.handedIn(1)
    const member = await memberOf(world)
    channel.pause()
    await world.says('while paused')
    const isDisturbed = async (): Promise<boolean> => host.handed.length > 1 || (await memberOf(world)) !== member
    await stage.never(isDisturbed, 'it took something, or was expelled', LONGER_THAN_SESSION_MS)
    channel.resume()
    await host.handedIn(2)
    assert.equal(host.handed[1]?.payload && 'text' in host.handed[1].payload && host.handed[1].payload.text, 'while paused')
  } finally {
    signal.abort()
    await channel.stop()
  }
  assert.equal(await memberOf(world), undefined)
  await kafka.proxy.settled(0, 5_000)
})
