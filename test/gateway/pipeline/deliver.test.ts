import assert from 'node:assert/strict'
import { DEFAULT_TENANT } from '#contract'
import type { Dialect, Part, SendFault } from '#contract'
import { reply } from '../../support/hub.ts'
import type { HubOptions } from '../../support/hub.ts'
import { counted, failing, fault, withHub } from './delivering.ts'

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

{
  const { send, tries } = failing({ is: 'transient', maybeSent: false }, { is: 'transient', maybeSent: false })
  withHub('tries a part again with growing waits when the platform is away', { send }, async (hub) => {
    await hub.became(await hub.say('hello'), 'done')
    await counted(hub, { pending: 1 })
    assert.equal(tries.length, 1)
    hub.clock.advance(999)
    assert.equal(tries.length, 1)
    hub.clock.advance(1)
    while (tries.length < 2) await new Promise(setImmediate)
    await counted(hub, { pending: 1 })
    hub.clock.advance(2_000)
    await counted(hub, { sent: 1 })
    assert.deepEqual(
      tries.map((part) => part.attempt),
      [1, 2, 3],
    )
    assert.equal(new Set(tries.map((part) => part.id)).size, 1)
  })
}

{
  const { send, tries } = failing(...Array.from({ length: 9 }, (): SendFault => ({ is: 'transient', maybeSent: false })))
  withHub('gives a part up after five attempts, as a letter that can be sent again', { send }, async (hub) => {
    await hub.became(await hub.say('hello'), 'done')
    for (let attempt = 1; attempt <= 5; attempt++) {
      while (tries.length < attempt) await new Promise(setImmediate)
      await counted(hub, {})
      hub.clock.advance(180_000)
    }
    await counted(hub, { dead: 1 })
    const [letter] = await hub.store.deadLetters.list({ tenant: DEFAULT_TENANT, kind: 'delivery' }, null, 10)
    assert.ok(letter)
    assert.equal(letter.attempts, 5)
    tries.length = 0
    for (let left = 4; left > 0; left--) await failingLeft(send)
    assert.equal((await hub.deadLetters.replay(DEFAULT_TENANT, letter.id, { text: 'edited' })).status, 'replayed')
    await counted(hub, { sent: 1 })
    assert.equal(hub.sent[0]?.rendered.text, 'edited')
  })
}
/** Uses up a scripted failure. */
const failingLeft = (send: NonNullable<HubOptions['send']>): Promise<unknown> =>
  send({} as Part, new AbortController().signal).catch(() => undefined)

{
  const { send, tries } = failing({ is: 'rate', afterMs: 5_000, scope: 'account' })
  withHub('keeps quiet on the whole account as long as the platform asks, and counts no attempt', { send }, async (hub) => {
    await hub.became(await hub.say('a'), 'done')
    await counted(hub, { pending: 1 })
    await hub.became(await hub.say('b', { lane: 'bob' }), 'done')
    await counted(hub, { pending: 2 })
    assert.equal(tries.length, 1)
    hub.clock.advance(5_000)
    await counted(hub, { sent: 2 })
    assert.deepEqual(
      tries.map((part) => part.attempt),
      [1, 1, 1],
    )
  })
}

{
  const { send, tries } = failing({ is: 'permanent' })
  withHub('gives up at once what the platform will never take, and goes on with the next', { send }, async (hub) => {
    await hub.say('a')
    await hub.became(await hub.say('b'), 'done')
    await counted(hub, { dead: 1, sent: 1 })
    assert.deepEqual(
      tries.map((part) => part.rendered.text),
      ['re: a', 're: b'],
    )
  })
}

{
  const { send, tries } = failing({ is: 'format' })
  withHub(
    'sends the plain form when the markup is refused',
    { send, capabilities: { text: { max: 100, unit: 'utf16', dialect: starred } } },
    async (hub) => {
      await hub.say('a')
      await counted(hub, { sent: 1 })
      assert.deepEqual(
        tries.map((part) => part.rendered.text),
        ['*re: a*', 're: a'],
      )
    },
  )
}

{
  const { send, tries } = failing({ is: 'moved', chat: 'new-chat' })
  withHub('follows a conversation that moved', { send }, async (hub) => {
    await hub.say('a')
    await counted(hub, { sent: 1 })
    assert.deepEqual(
      tries.map((part) => part.to.chat),
      ['ann', 'new-chat'],
    )
    assert.deepEqual(
      tries.map((part) => part.attempt),
      [1, 1],
    )
  })
}

{
  const { send, tries } = failing(new Error('socket hang up'))
  withHub('sends nothing a second time when nobody knows whether it went out, and shows it', { send }, async (hub) => {
    const id = await hub.say('a')
    await counted(hub, { unknown: 1 })
    const [letter] = await hub.store.deadLetters.list({ tenant: DEFAULT_TENANT, kind: 'delivery' }, null, 10)
    assert.equal(letter?.reason.code, 'DELIVERY_UNKNOWN')
    const { turn } = await hub.message(id)
    assert.ok(turn)
    assert.equal((await hub.store.inbox.repliesOfTurn(turn))[0]?.status, 'unknown')
    hub.clock.advance(600_000)
    await hub.became(await hub.say('b'), 'done')
    await counted(hub, { sent: 1 })
    assert.equal(tries.length, 2)
  })
}

{
  const { send, tries } = failing(new Error('socket hang up'))
  withHub('sends again under the same id where the platform drops the repeat', { send, capabilities: { resend: 'id' } }, async (hub) => {
    await hub.say('a')
    await counted(hub, { pending: 1 })
    hub.clock.advance(1_000)
    await counted(hub, { sent: 1 })
    assert.equal(tries[0]?.id, tries[1]?.id)
  })
}

withHub(
  'goes on at the part where it failed',
  {
    ...failing({ is: 'transient', maybeSent: false }),
    think: async () => reply('123'),
    capabilities: { text: { max: 1, unit: 'utf16', dialect: null } },
  },
  async (hub) => {
    await hub.say('a')
    await counted(hub, { pending: 3 })
    hub.clock.advance(1_000)
    await counted(hub, { sent: 3 })
    assert.deepEqual(
      hub.sent.map((part) => `${part.rendered.text} ${part.index}/${part.of}`),
      ['1 0/3', '2 1/3', '3 2/3'],
    )
  },
)

withHub('waits for a channel that is not there, which is no attempt', { isChannelAway: true }, async (hub) => {
  await hub.became(await hub.say('a'), 'done')
  hub.clock.advance(3_600_000)
  await counted(hub, { pending: 1 })
  hub.setChannelStatus('open')
  await counted(hub, { sent: 1 })
  assert.equal(hub.sent[0]?.attempt, 1)
})

{
  const { send, tries } = failing({ is: 'auth' })
  withHub('stops a channel whose credentials are refused and keeps its deliveries', { send }, async (hub) => {
    await hub.say('a')
    await counted(hub, { pending: 1 })
    await hub.saw((event) => event.type === 'event' && event.data['state'] === 'stopped')
    hub.clock.advance(600_000)
    await counted(hub, { pending: 1 })
    assert.equal(tries.length, 1)
    hub.setChannelStatus('open')
    await counted(hub, { sent: 1 })
  })
}

withHub(
  'lets no failing conversation delay another',
  { send: async (part) => (part.lane === 'poison' ? Promise.reject(fault({ is: 'transient', maybeSent: false })) : { id: 'x' }) },
  async (hub) => {
    for (let i = 0; i < 20; i++) await hub.say(`p${i}`, { lane: 'poison' })
    await hub.became(await hub.say('hello', { lane: 'ann' }), 'done')
    await counted(hub, { sent: 1 })
  },
)

withHub('looks again in a second when the store cannot be had', {}, async (hub) => {
  await hub.became(await hub.say('a'), 'done')
  await counted(hub, { sent: 1 })
  await hub.store.stop()
  const from = hub.clock.now()
  hub.deliver.scan()
  await hub.clock.timerAt(from + 1_000)
  hub.clock.advance(1_000)
  await hub.clock.timerAt(from + 2_000)
  hub.deliver.hint('wire', 'ann')
  while (hub.deliver.running > 0) await new Promise(setImmediate)
})
