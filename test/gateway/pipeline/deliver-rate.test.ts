import { DEFAULT_TENANT } from '#contract'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../support/fake-clock.ts'
import { reply, startHub } from '../../support/hub.ts'
import type { Hub } from '../../support/hub.ts'
import { counted, failing, fault, withHub } from './delivering.ts'

const texts = (hub: Hub): string[] => hub.sent.map((part) => part.rendered.text)
/** The metric's line. */
const metric = async (hub: Hub, name: string): Promise<string | undefined> =>
  (await hub.metrics.text()).split('\n').find((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))

withHub(
  'sends to a chat no faster than its platform allows; waiting is no attempt, writes nothing, and holds nobody else',
  { capabilities: { rate: { chat: { count: 2, perMs: 1_000 } } } },
  async (hub) => {
    const from = hub.clock.now()
    for (const text of ['1', '2', '3']) await hub.became(await hub.say(text), 'done')
    await hub.delivered(2)
    await hub.clock.timerAt(from + 1_000)
    const [waiting] = await hub.store.outbox.lane('wire', 'ann', 9)
    assert.ok(waiting)
    assert.deepEqual([waiting.rendered.text, waiting.status, waiting.attempt, waiting.dueAt], ['re: 3', 'pending', 0, from])
    assert.equal((await hub.store.outbox.get(DEFAULT_TENANT, waiting.id))?.error, null)
    assert.equal(await metric(hub, 'openclaw_delivery_rate_waiting'), 'openclaw_delivery_rate_waiting{channel="wire"} 1')
    await hub.became(await hub.say('4', { lane: 'bob' }), 'done')
    await hub.delivered(3)
    hub.clock.advance(999)
    await counted(hub, { sent: 3, pending: 1 })
    hub.clock.advance(1)
    await counted(hub, { sent: 4 })
    assert.deepEqual(texts(hub), ['re: 1', 're: 2', 're: 4', 're: 3'])
    assert.ok(hub.sent.every((part) => part.attempt === 1))
    assert.equal(await metric(hub, 'openclaw_retries_total{stage="delivery"}'), 'openclaw_retries_total{stage="delivery"} 0')
  },
)

withHub(
  'keeps to the rate of the whole account over all its lanes, in the order in which they came',
  { capabilities: { rate: { account: { count: 3, perMs: 1_000 } } } },
  async (hub) => {
    const from = hub.clock.now()
    for (let i = 0; i < 8; i++) {
      await hub.became(await hub.say(`${i}`, { lane: `l${i}` }), 'done')
      if (i < 3) await hub.delivered(i + 1)
      else await counted(hub, { sent: 3 })
    }
    await hub.clock.timerAt(from + 1_000)
    hub.clock.advance(1_000)
    await hub.delivered(6)
    await hub.clock.timerAt(from + 2_000)
    await counted(hub, { sent: 6, pending: 2 })
    hub.clock.advance(1_000)
    await counted(hub, { sent: 8 })
    assert.deepEqual(
      [texts(hub).slice(3, 6).toSorted(), texts(hub).slice(6).toSorted()],
      [
        ['re: 3', 're: 4', 're: 5'],
        ['re: 6', 're: 7'],
      ],
    )
  },
)

withHub(
  'counts what goes to a group by the rate of groups, over all its lanes',
  { capabilities: { rate: { chat: { count: 9, perMs: 1_000 }, group: { count: 1, perMs: 3_000 } } } },
  async (hub) => {
    const from = hub.clock.now()
    const reply = { chat: 'g', kind: 'group' } as const
    await hub.became(await hub.say('1', { lane: 'g:1', reply }), 'done')
    await hub.delivered(1)
    await hub.became(await hub.say('2', { lane: 'g:2', reply: { ...reply, thread: '2' } }), 'done')
    await hub.clock.timerAt(from + 3_000)
    await hub.became(await hub.say('3'), 'done')
    await hub.delivered(2)
    assert.deepEqual(texts(hub), ['re: 1', 're: 3'])
    hub.clock.advance(3_000)
    await counted(hub, { sent: 3 })
  },
)

{
  const { send, tries } = failing({ is: 'rate', afterMs: 5_000, scope: 'chat' })
  withHub('waits as long as the platform says, no longer and no less, with that chat only', { send }, async (hub) => {
    const from = hub.clock.now()
    await hub.became(await hub.say('1'), 'done')
    await counted(hub, { pending: 1 })
    assert.equal(tries.length, 1)
    await hub.became(await hub.say('2', { lane: 'ann:thread', reply: { chat: 'ann', thread: 't' } }), 'done')
    await hub.clock.timerAt(from + 5_000)
    await hub.became(await hub.say('3', { lane: 'bob' }), 'done')
    await counted(hub, { sent: 1, pending: 2 })
    hub.clock.advance(4_999)
    await counted(hub, { sent: 1, pending: 2 })
    assert.equal(tries.length, 2)
    hub.clock.advance(1)
    await counted(hub, { sent: 3 })
    assert.deepEqual(
      tries.map((part) => part.attempt),
      [1, 1, 1, 1],
    )
    assert.equal(await metric(hub, 'openclaw_retries_total{stage="delivery"}'), 'openclaw_retries_total{stage="delivery"} 0')
  })
}

{
  let left = 1
  const send = async (): Promise<{ readonly id: string }> => {
    if (left-- > 0) throw fault({ is: 'rate', afterMs: 1_000, scope: 'account' })
    return { id: 'x' }
  }
  withHub(
    'keeps a lane in order through rates of its own and of the platform',
    {
      send,
      think: async () => reply('123456'),
      capabilities: { text: { max: 1, unit: 'utf16', dialect: null }, rate: { chat: { count: 2, perMs: 700 } } },
    },
    async (hub) => {
      await hub.say('a')
      while (hub.sent.length < 6) {
        await counted(hub, {})
        hub.clock.advance(100)
      }
      assert.deepEqual(texts(hub), ['1', '2', '3', '4', '5', '6'])
    },
  )
}

test('goes on with more lanes than it looks at in one go, at the pace of the account', async () => {
  const clock = new FakeClock()
  const first = await startHub({ clock, isChannelAway: true })
  const to = { chat: 'x' }
  for (let i = 0; i < 1_200; i++) await first.deliver.post({ channel: 'wire', lane: `l${i}`, to, text: `${i}` })
  await first.stop(true)
  const second = await startHub({ dir: first.dir, clock, capabilities: { rate: { account: { count: 500, perMs: 1_000 } } } })
  try {
    for (const count of [500, 1_000, 1_200]) {
      await second.delivered(count)
      await counted(second, { sent: count })
      clock.advance(1_000)
    }
  } finally {
    await second.stop()
  }
})
