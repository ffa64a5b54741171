import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT } from '#contract'
import type { Confirmation, OutboxItem, Part } from '#contract'
import { FakeClock } from '../../support/fake-clock.ts'
import { startHub } from '../../support/hub.ts'
import type { Hub, HubOptions } from '../../support/hub.ts'
import { counted, failing, fault, withHub } from './delivering.ts'

const LOST = new Error('socket hang up')
const CONFIRM = { resend: 'confirm' } as const

/** Answers as told, one after the other, then that it has it. */
function answering(...answers: readonly (Confirmation | Error)[]): {
  readonly confirm: NonNullable<HubOptions['confirm']>
  readonly asked: Part[]
} {
  const left = [...answers]
  const asked: Part[] = []
  return {
    asked,
    confirm: async (part) => {
      asked.push(part)
      const next = left.shift() ?? { outcome: 'sent', id: 'confirmed-id' }
      if (next instanceof Error) throw next
      return next
    },
  }
}

async function head(hub: Hub, lane = 'ann'): Promise<OutboxItem> {
  const [item] = await hub.store.outbox.lane('wire', lane, 1)
  assert.ok(item)
  return item
}
const letter = async (hub: Hub): Promise<string | undefined> =>
  (await hub.store.deadLetters.list({ tenant: DEFAULT_TENANT, kind: 'delivery' }, null, 10))[0]?.reason.code

{
  const { send, tries } = failing(LOST)
  const { confirm, asked } = answering()
  withHub(
    'asks a second after a send without an answer what became of it, and believes it',
    { send, confirm, capabilities: CONFIRM },
    async (hub) => {
      const from = hub.clock.now()
      await hub.became(await hub.say('a'), 'done')
      await counted(hub, { sending: 1 })
      await hub.became(await hub.say('b'), 'done')
      const { id } = await head(hub)
      await hub.clock.timerAt(from + 1_000)
      hub.clock.advance(999)
      await counted(hub, { sending: 1, pending: 1 })
      assert.equal(asked.length, 0)
      hub.clock.advance(1)
      await counted(hub, { sent: 2 })
      assert.deepEqual([asked.length, asked[0]?.id], [1, id])
      assert.deepEqual(
        tries.map((part) => part.rendered.text),
        ['re: a', 're: b'],
      )
      assert.equal((await hub.store.outbox.get(DEFAULT_TENANT, id))?.platformId, 'confirmed-id')
    },
  )
}

{
  const { send, tries } = failing(LOST, LOST)
  const { confirm, asked } = answering({ outcome: 'absent' }, { outcome: 'absent' })
  withHub(
    'sends again what the platform does not have, which is another attempt',
    { send, confirm, capabilities: CONFIRM },
    async (hub) => {
      await hub.became(await hub.say('a'), 'done')
      await counted(hub, { sending: 1 })
      for (const status of ['pending', 'sending', 'pending', 'sent'] as const) {
        hub.clock.advance(2_000)
        await counted(hub, { [status]: 1 })
      }
      assert.deepEqual([tries.map((part) => part.attempt), asked.length], [[1, 2, 3], 2])
    },
  )
}

{
  const { send, tries } = failing(LOST)
  const { confirm } = answering({ outcome: 'unknown' })
  withHub(
    'gives up, visibly, what the platform cannot tell, and goes on with the next',
    { send, confirm, capabilities: CONFIRM },
    async (hub) => {
      await hub.became(await hub.say('a'), 'done')
      await counted(hub, { sending: 1 })
      await hub.became(await hub.say('b'), 'done')
      hub.clock.advance(1_000)
      await counted(hub, { unknown: 1, sent: 1 })
      assert.equal(await letter(hub), 'DELIVERY_UNKNOWN')
      assert.equal(tries.length, 2)
    },
  )
}

{
  const { send, tries } = failing(LOST)
  const { confirm, asked } = answering(...Array.from({ length: 9 }, () => LOST))
  withHub('asks no more than five times', { send, confirm, capabilities: CONFIRM }, async (hub) => {
    await hub.became(await hub.say('a'), 'done')
    await counted(hub, { sending: 1 })
    for (let count = 1; count <= 5; count++) {
      hub.clock.advance(180_000)
      while (asked.length < count) await new Promise(setImmediate)
      await counted(hub, {})
    }
    await counted(hub, { unknown: 1 })
    hub.clock.advance(600_000)
    await counted(hub, { unknown: 1 })
    assert.deepEqual([asked.length, tries.length], [5, 1])
  })
}

{
  const { send } = failing(LOST)
  const { confirm, asked } = answering(fault({ is: 'rate', afterMs: 5_000, scope: 'account' }))
  withHub('keeps the peace a platform asks for also when it is asked', { send, confirm, capabilities: CONFIRM }, async (hub) => {
    await hub.became(await hub.say('a'), 'done')
    await counted(hub, { sending: 1 })
    hub.clock.advance(1_000)
    while (asked.length < 1) await new Promise(setImmediate)
    await hub.became(await hub.say('b', { lane: 'bob' }), 'done')
    await counted(hub, { sending: 1, pending: 1 })
    hub.clock.advance(4_999)
    await counted(hub, { sending: 1, pending: 1 })
    hub.clock.advance(1)
    await counted(hub, { sent: 2 })
    assert.equal(asked.length, 2)
  })
}

{
  const { send } = failing(LOST)
  const { confirm, asked } = answering()
  withHub('asks nothing while the channel is away', { send, confirm, capabilities: CONFIRM }, async (hub) => {
    await hub.became(await hub.say('a'), 'done')
    await counted(hub, { sending: 1 })
    hub.setChannelStatus('connecting')
    hub.clock.advance(600_000)
    await counted(hub, { sending: 1 })
    assert.equal(asked.length, 0)
    hub.setChannelStatus('degraded')
    await counted(hub, { sent: 1 })
  })
}

{
  const { confirm, asked } = answering()
  const begun = Promise.withResolvers<void>()
  const send = (): Promise<never> => {
    begun.resolve()
    return new Promise(() => undefined)
  }
  withHub(
    'cuts a send that hangs, whatever the channel does with the signal, and then asks',
    { send, confirm, capabilities: CONFIRM },
    async (hub) => {
      await hub.say('a')
      await begun.promise
      hub.clock.advance(31_000)
      await counted(hub, { sending: 1 })
      assert.equal((await hub.store.outbox.get(DEFAULT_TENANT, (await head(hub)).id))?.error?.code, 'DELIVERY_TIMEOUT')
      hub.clock.advance(1_000)
      await counted(hub, { sent: 1 })
      assert.equal(asked.length, 1)
    },
  )
}

withHub('takes a channel that cannot be asked for one that cannot confirm', { ...failing(LOST), capabilities: CONFIRM }, async (hub) => {
  await hub.say('a')
  await counted(hub, { unknown: 1 })
  assert.equal(await letter(hub), 'DELIVERY_UNKNOWN')
})

for (const [resend, expected, tried] of [
  ['confirm', 'sent', 0],
  ['id', 'sent', 1],
  ['none', 'unknown', 0],
] as const) {
  test(`after a crash in the middle of a send it does what ${resend} says, a second after its start if it has to ask`, async () => {
    const clock = new FakeClock()
    const first = await startHub({ clock, isChannelAway: true })
    await first.became(await first.say('a'), 'done')
    await first.store.outbox.sending((await head(first)).id, clock.now())
    await first.stop(true)
    const { send, tries } = failing()
    const { confirm, asked } = answering()
    const second = await startHub({ dir: first.dir, clock, send, confirm, capabilities: { resend } })
    try {
      if (resend === 'confirm') {
        await clock.timerAt(clock.now() + 1_000)
        await counted(second, { sending: 1 })
        clock.advance(1_000)
      }
      await counted(second, { [expected]: 1 })
      assert.deepEqual([asked.length, tries.length], [resend === 'confirm' ? 1 : 0, tried])
    } finally {
      await second.stop()
    }
  })
}

test('goes on asking in its next life', async () => {
  const clock = new FakeClock()
  const first = await startHub({ clock, ...failing(LOST), ...answering(LOST), capabilities: CONFIRM })
  await first.became(await first.say('a'), 'done')
  await counted(first, { sending: 1 })
  clock.advance(1_000)
  while ((await head(first)).asked < 1) await new Promise(setImmediate)
  await first.stop(true)
  const { send, tries } = failing()
  const { confirm, asked } = answering()
  const second = await startHub({ dir: first.dir, clock, send, confirm, capabilities: CONFIRM })
  try {
    await counted(second, { sending: 1 })
    clock.advance(180_000)
    await counted(second, { sent: 1 })
    assert.deepEqual([asked.length, tries.length], [1, 0])
  } finally {
    await second.stop()
  }
})

withHub(
  'does not send what nobody wants any more, and sends it all the same when it is brought back',
  { isChannelAway: true },
  async (hub) => {
    const expiresAt = hub.clock.now() + 1_000
    await hub.became(await hub.say('a', { reply: { chat: 'ann', expiresAt } }), 'done')
    await hub.became(await hub.say('b', { reply: { chat: 'ann', expiresAt: expiresAt + 1 } }), 'done')
    hub.clock.advance(1_000)
    hub.setChannelStatus('open')
    await counted(hub, { sent: 1, dead: 1 })
    assert.equal(hub.sent[0]?.rendered.text, 're: b')
    const [gone] = await hub.store.deadLetters.list({ tenant: DEFAULT_TENANT, kind: 'delivery' }, null, 10)
    assert.ok(gone)
    assert.deepEqual([gone.reason.code, gone.attempts], ['DELIVERY_EXPIRED', 0])
    hub.clock.advance(600_000)
    assert.equal((await hub.deadLetters.replay(DEFAULT_TENANT, gone.id, null)).status, 'replayed')
    await counted(hub, { sent: 2 })
    assert.equal(hub.sent[1]?.rendered.text, 're: a')
  },
)
