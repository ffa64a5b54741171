import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelFault } from '#contract'
import type { SendFault } from '#contract'
import { linked, partTo, signal } from './linked.ts'

const is = (expected: SendFault, code: string) => (error: unknown) => {
  assert.ok(error instanceof ChannelFault)
  assert.deepEqual(error.fault, expected)
  assert.equal(error.code, code)
  return true
}

for (const [error, fault, code] of [
  ['463', { is: 'permanent' }, 'WHATSAPP_RESTRICTED'],
  ['404', { is: 'permanent' }, 'WHATSAPP_REFUSED'],
  ['429', { is: 'rate', afterMs: 60_000, scope: 'account' }, 'WHATSAPP_RATE_LIMITED'],
  ['479', { is: 'transient', maybeSent: false }, 'WHATSAPP_UNREACHABLE'],
  ['503', { is: 'transient', maybeSent: false }, 'WHATSAPP_UNREACHABLE'],
] as const) {
  test(`an acknowledgement with error ${error} is a fault: ${fault.is}`, async (t) => {
    const { fake, alice, channel } = await linked(t)
    fake.verdicts.push({ error })
    await assert.rejects(channel().send(partTo({ chat: alice.jid }, 'hello'), signal()), is(fault, code))
    assert.deepEqual(fake.delivered, [])
  })
}

test('without an acknowledgement nothing counts as sent, and the next try has the same id', async (t) => {
  const { fake, host, alice, channel } = await linked(t)
  fake.verdicts.push({ isAcked: false })
  const part = partTo({ chat: alice.jid }, 'hello')
  const sending = assert.rejects(channel().send(part, signal()), is({ is: 'transient', maybeSent: true }, 'WHATSAPP_UNREACHABLE'))
  await fake.until('it is there', () => fake.count('sent') === 1)
  host.clock.advance(20_000)
  await sending
  const { id } = await channel().send(part, signal())
  assert.deepEqual(
    fake.delivered.map((sent) => sent.id),
    [id, id],
  )
})

test('a connection that is lost while sending leaves it open whether it was sent', async (t) => {
  const { fake, alice, channel } = await linked(t)
  fake.verdicts.push({ isCut: true })
  await assert.rejects(
    channel().send(partTo({ chat: alice.jid }, 'hello'), signal()),
    is({ is: 'transient', maybeSent: true }, 'WHATSAPP_UNREACHABLE'),
  )
  await assert.rejects(
    channel().send(partTo({ chat: alice.jid }, 'hello'), signal()),
    is({ is: 'transient', maybeSent: false }, 'WHATSAPP_UNREACHABLE'),
  )
})

test('typing is shown and taken back', async (t) => {
  const { fake, alice, channel } = await linked(t)
  await channel().typing?.({ chat: alice.jid }, true)
  await channel().typing?.({ chat: alice.jid }, false)
  await fake.until('both', () => fake.notes.filter((note) => note.is === 'presence' && note.to === alice.jid).length === 2)
  const states = fake.notes.flatMap((note) => (note.is === 'presence' && note.to === alice.jid ? [note.state] : []))
  assert.deepEqual(states, ['composing', 'paused'])
})

test('what became of a message later is told', async (t) => {
  const { fake, host, alice, channel } = await linked(t)
  const { id } = await channel().send(partTo({ chat: alice.jid }, 'hello'), signal())
  const told = (): Promise<void> =>
    new Promise((resolve) => {
      host.update = (platformId, news) => {
        host.news.push({ platformId, news })
        resolve()
        return Promise.resolve()
      }
    })
  for (const type of [undefined, 'read'] as const) {
    const next = told()
    fake.receipt(alice, id ?? '', type)
    await next
  }
  assert.deepEqual(host.news, [
    { platformId: id, news: { state: 'delivered' } },
    { platformId: id, news: { state: 'read' } },
  ])
})
