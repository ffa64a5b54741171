/**
 * Intake over a second cluster, librdkafka's own mock, which needs no Java: taken in, acknowledged, not taken twice. Replies are read through the API,
 * because kafkajs can write nothing to that cluster; how they go out is `disturbance.slow.test.ts`, on a real broker.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { everyMessage, type MessageDocument } from '../../support/conversation.ts'
import { eventually } from '../../support/eventually.ts'
import { startGateway, temporaryFolder, type GatewayProcess, type Scope } from '../../support/gateway-process.ts'
import { kcatPath, startKafkaMock, type KafkaMock } from '../../support/kafka-mock.ts'

const SUBJECT = new URL('../../contract/channel-subject.ts', import.meta.url).pathname
const TOPIC = 'orders'
const GROUP = 'openclaw-wire'
const WITHIN_MS = 60_000
/** Each look is a connection of its own. */
const LOOK_MS = 100
const kcat = kcatPath()

interface Given {
  readonly mock: KafkaMock
  /** The gateway, or the next one in the same folder. */
  readonly start: (killAt?: string) => Promise<GatewayProcess>
}

function mocked(name: string, run: (given: Given) => Promise<void>): void {
  test(name, { timeout: 180_000, skip: kcat === null ? 'no kcat on this machine' : false }, async () => {
    assert.ok(kcat !== null)
    const hooks: (() => Promise<void>)[] = []
    const scope: Scope = { after: (hook) => void hooks.push(hook) }
    try {
      const mock = await startKafkaMock(scope, kcat)
      const dir = temporaryFolder(scope)
      const wire = { kind: 'kafka', brokers: [mock.address], topic: TOPIC, from_beginning: true, reply_topic: 'replies' }
      const start = (killAt?: string): Promise<GatewayProcess> =>
        startGateway(scope, {
          dir,
          entry: SUBJECT,
          env: killAt === undefined ? {} : { OPENCLAW_TEST_KILL: killAt },
          config: { agents: { assistant: { queue: { cap: 1 } } }, channels: { wire } },
        })
      await run({ mock, start })
    } finally {
      for (const hook of hooks.toReversed()) await hook()
    }
  })
}

const records = (from: number, count: number): readonly { readonly key: string; readonly value: string }[] =>
  Array.from({ length: count }, (_, at) => ({ key: `key-${at % 5}`, value: `number ${from + at}` }))

const textsOf = (messages: readonly MessageDocument[]): readonly string[] => messages.map(({ payload }) => payload.text ?? '').toSorted()
const valuesOf = (given: ReturnType<typeof records>): readonly string[] => given.map(({ value }) => value).toSorted()

/** How many records the group has acknowledged. Neither cluster nor gateway tells a change, so both are asked again, with a bound. */
async function committed(mock: KafkaMock): Promise<number> {
  const admin = new kafkajs.Kafka({ clientId: 'asks', brokers: [mock.address], logLevel: kafkajs.logLevel.NOTHING }).admin()
  try {
    await admin.connect()
    const [topic] = await admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })
    return (topic?.partitions ?? []).reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
  } finally {
    await admin.disconnect()
  }
}

const came = (holds: () => Promise<boolean>, what: string, gateway: GatewayProcess): Promise<void> =>
  eventually(holds, () => `${what} (the gateway said:\n${gateway.output()})`, WITHIN_MS, LOOK_MS)

mocked('records are taken in, answered and acknowledged, and a restart takes none of them twice', async ({ mock, start }) => {
  const [first, second] = [records(0, 20), records(20, 5)]
  await mock.write(TOPIC, first)
  const gateway = await start()
  await came(async () => (await committed(mock)) === first.length, 'all acknowledgements', gateway)
  assert.deepEqual(textsOf(await everyMessage(gateway)), valuesOf(first))
  const isAnswered = ({ payload, replies }: MessageDocument): boolean => replies.some(({ text }) => text.endsWith(payload.text ?? '?'))
  await came(async () => (await everyMessage(gateway)).every(isAnswered), 'all answers', gateway)
  await gateway.stop()
  const again = await start()
  await mock.write(TOPIC, second)
  await came(async () => (await committed(mock)) === first.length + second.length, 'the acknowledgements of the second five', again)
  assert.deepEqual(textsOf(await everyMessage(again)), valuesOf([...first, ...second]))
})

mocked(
  'killed after a record was stored and before it is acknowledged, the same records come again and are one message each',
  async (given) => {
    const { mock, start } = given
    const killed = await start('after accept')
    await mock.write(TOPIC, records(0, 20))
    assert.equal((await killed.ended).signal, 'SIGKILL')
    assert.equal(await committed(mock), 0)
    const gateway = await start()
    await came(async () => (await committed(mock)) === 20, 'all acknowledgements', gateway)
    assert.deepEqual(textsOf(await everyMessage(gateway)), valuesOf(records(0, 20)))
  },
)
