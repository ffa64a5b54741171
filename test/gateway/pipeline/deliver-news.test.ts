import assert from 'node:assert/strict'
import { DEFAULT_TENANT } from '#contract'
import type { DeliveryNews } from '#contract'
import { withHub, counted } from './delivering.ts'
import type { Hub } from '../../support/hub.ts'

const FAILED: DeliveryNews = { state: 'failed', failure: { code: 'PLATFORM_UNDELIVERABLE', message: 'The phone is off for good.' } }

const told = async (hub: Hub, state: string): Promise<number> => {
  const line = (await hub.metrics.text())
    .split('\n')
    .find((each) => each.startsWith(`openclaw_delivery_news_total{channel="wire",state="${state}"}`))
  return Number(line?.split(' ')[1] ?? 0)
}

/** A send that ends when the test says so. */
function held() {
  const begun = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<{ readonly id: string | null }>()
  const send = async (): Promise<{ readonly id: string | null }> => {
    begun.resolve()
    return answer.promise
  }
  return { begun: begun.promise, answer: answer.resolve, send }
}

withHub('notes that a part was delivered and read, each once, whatever the order', { send: async () => ({ id: 'm-1' }) }, async (hub) => {
  const id = await hub.deliver.post({ channel: 'wire', lane: 'ann', to: { chat: 'ann' }, text: 'x' })
  await counted(hub, { sent: 1 })
  for (const state of ['delivered', 'delivered', 'read', 'delivered'] as const) await hub.host.update('m-1', { state })
  const view = await hub.store.outbox.get(DEFAULT_TENANT, id)
  assert.deepEqual([view?.status, view?.news], ['sent', 'read'])
  assert.deepEqual([await told(hub, 'delivered'), await told(hub, 'read')], [1, 1])
})

withHub(
  'makes one dead letter of a part that failed after it was sent, which can be sent again',
  { send: async () => ({ id: 'm-1' }) },
  async (hub) => {
    await hub.became(await hub.say('a'), 'done')
    await counted(hub, { sent: 1 })
    await hub.host.update('m-1', FAILED)
    await hub.host.update('m-1', FAILED)
    await counted(hub, { dead: 1, sent: 0 })
    const letters = await hub.store.deadLetters.list({ tenant: DEFAULT_TENANT, kind: 'delivery' }, null, 9)
    assert.deepEqual(
      letters.map((letter) => letter.reason.code),
      ['PLATFORM_UNDELIVERABLE'],
    )
    assert.equal(await told(hub, 'failed'), 1)
    const [letter] = letters
    assert.ok(letter)
    await hub.deadLetters.replay(DEFAULT_TENANT, letter.id, null)
    await counted(hub, { sent: 1, dead: 0 })
    assert.equal(hub.sent.length, 2)
  },
)

{
  const { begun, answer, send } = held()
  withHub('loses no failure that is told before its own send has ended', { send }, async (hub) => {
    await hub.say('a')
    await begun
    await hub.host.update('m-1', FAILED)
    await hub.host.update('m-1', { state: 'delivered' })
    assert.equal(await told(hub, 'failed'), 0)
    hub.clock.advance(5_000)
    answer({ id: 'm-1' })
    await counted(hub, { dead: 1 })
    assert.deepEqual([await told(hub, 'failed'), await told(hub, 'delivered')], [1, 0])
  })
}

{
  const { begun, answer, send } = held()
  withHub('takes early news for no other part', { send }, async (hub) => {
    await hub.host.update('m-2', FAILED)
    await hub.say('a')
    await begun
    await hub.host.update('m-1', { state: 'delivered' })
    answer({ id: 'm-1' })
    await counted(hub, { sent: 1 })
    assert.deepEqual([await told(hub, 'failed'), await told(hub, 'delivered')], [0, 1])
  })
}

withHub('forgets after a while what nobody knew', { send: async () => ({ id: 'm-1' }) }, async (hub) => {
  await hub.host.update('m-1', FAILED)
  hub.clock.advance(60_000)
  await hub.say('a')
  await counted(hub, { sent: 1 })
  await hub.host.update('m-2', FAILED)
  assert.equal(await told(hub, 'failed'), 0)
})

withHub('keeps only so much that nobody knows, the newest', { send: async (part) => ({ id: part.rendered.text }) }, async (hub) => {
  await Promise.all(Array.from({ length: 1_001 }, (_, at) => hub.host.update(`m-${at}`, FAILED)))
  for (const text of ['m-0', 'm-1', 'm-1000']) await hub.deliver.post({ channel: 'wire', lane: text, to: { chat: text }, text })
  await counted(hub, { sent: 1, dead: 2 })
})

withHub('has nothing to do with news where platforms give no ids', { send: async () => ({ id: null }) }, async (hub) => {
  await hub.say('a')
  await counted(hub, { sent: 1 })
  await hub.host.update('', FAILED)
  await counted(hub, { sent: 1 })
})
