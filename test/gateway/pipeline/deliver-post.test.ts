import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT, newDeliveryId } from '#contract'
import type { Dialect } from '#contract'
import { FakeClock } from '../../support/fake-clock.ts'
import { startHub } from '../../support/hub.ts'
import { counted, failing, withHub } from './delivering.ts'

const same = (inner: string): string => inner
const starred: Dialect = {
  text: (plain) => `*${plain}*`,
  strong: same,
  emphasis: same,
  strike: same,
  code: same,
  fence: same,
  link: same,
  heading: same,
  quote: same,
  item: same,
}
const TO = { channel: 'wire', lane: 'ann', to: { chat: 'ann' } }

withHub(
  'posts words without a message, rendered and split like a reply, after what the lane holds',
  { isChannelAway: true, capabilities: { text: { max: 8, unit: 'utf16', dialect: null } } },
  async (hub) => {
    await hub.became(await hub.say('a'), 'done')
    const id = await hub.deliver.post({ ...TO, text: '1234567890' })
    assert.equal((await hub.store.outbox.get(DEFAULT_TENANT, id))?.status, 'pending')
    hub.setChannelStatus('open')
    await counted(hub, { sent: 3 })
    assert.deepEqual(
      hub.sent.map(({ rendered, messageId, index, of }) => [rendered.text, messageId === null, index, of]),
      [
        ['re: a', false, 0, 1],
        ['12345678', true, 0, 2],
        ['90', true, 1, 2],
      ],
    )
    const view = await hub.store.outbox.get(DEFAULT_TENANT, id)
    assert.deepEqual([view?.status, view?.platformId, view?.doneAt], ['sent', `p-${id}`, hub.clock.now()])
  },
)

withHub(
  'posts what is rendered already as it is, and at once',
  { capabilities: { text: { max: 8, unit: 'utf16', dialect: starred } } },
  async (hub) => {
    // The look at the start is over, and the next is far away.
    await hub.say('a')
    await counted(hub, { sent: 1 })
    await hub.deliver.post({ ...TO, rendered: { text: '*long as it is*', extra: { template: 'x' } } })
    await counted(hub, { sent: 2 })
    assert.deepEqual(hub.sent[1]?.rendered, { text: '*long as it is*', extra: { template: 'x' } })
  },
)

test('posts the same once by its id, also over a restart', async () => {
  const clock = new FakeClock()
  const id = newDeliveryId(clock.now())
  const first = await startHub({ clock })
  assert.equal(await first.deliver.post({ ...TO, id, text: 'notice' }), id)
  await counted(first, { sent: 1 })
  await first.stop(true)
  const second = await startHub({ dir: first.dir, clock })
  try {
    assert.equal(await second.deliver.post({ ...TO, id, text: 'notice' }), id)
    await counted(second, { sent: 1 })
    assert.equal(second.sent.length, 0)
  } finally {
    await second.stop()
  }
})

{
  const { send, tries } = failing({ is: 'permanent' })
  withHub('gives up what was posted like a reply, and brings it back like one', { send }, async (hub) => {
    const id = await hub.deliver.post({ ...TO, text: 'notice' })
    await counted(hub, { dead: 1 })
    const [letter] = await hub.store.deadLetters.list({ tenant: DEFAULT_TENANT }, null, 9)
    assert.ok(letter)
    assert.deepEqual([letter.kind, letter.ref, letter.session], ['delivery', id, null])
    assert.equal((await hub.deadLetters.replay(DEFAULT_TENANT, letter.id, { text: 'edited' })).status, 'replayed')
    await counted(hub, { sent: 1 })
    assert.deepEqual(
      tries.map(({ rendered, attempt }) => [rendered.text, attempt]),
      [
        ['notice', 1],
        ['edited', 1],
      ],
    )
  })
}

withHub('posts nothing where there is no such channel, or nothing to say', {}, async (hub) => {
  await assert.rejects(hub.deliver.post({ ...TO, channel: 'none', text: 'x' }), { name: 'NotFoundError', code: 'CHANNEL_UNKNOWN' })
  await assert.rejects(hub.deliver.post({ ...TO, text: '' }), { name: 'InvalidError', code: 'POSTING_EMPTY' })
})

withHub('posts nothing where replies are fetched', { capabilities: { delivery: 'collect' } }, async (hub) => {
  await assert.rejects(hub.deliver.post({ ...TO, text: 'x' }), { name: 'InvalidError', code: 'CHANNEL_COLLECTED' })
})
