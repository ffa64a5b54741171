/** Nothing that WhatsApp was told to have arrived may be lost, whatever happens between the decryption and the receipt. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnavailableError } from '#contract'
import type { Accepted, Inbound, StateChanges } from '#contract'
import { linked, partTo, signal } from './linked.ts'
import type { Linked } from './linked.ts'

const texts = ({ host }: Linked): readonly string[] => host.handed.flatMap(({ payload }) => ('text' in payload ? [payload.text] : []))

/** Does something when the next message is stored, before the channel hears of it. */
function afterStored({ host }: Linked, run: () => void | Promise<void>): void {
  const accept = host.accept.bind(host)
  host.accept = async (message: Inbound, state?: StateChanges): Promise<Accepted> => {
    const accepted = await accept(message, state)
    host.accept = accept
    await run()
    return accepted
  }
}

test('a message whose connection is lost between decryption and receipt is in the inbox', async (t) => {
  const world = await linked(t)
  const { fake, host, alice, heard } = world
  await fake.say(alice, 'one')
  await heard(1)
  afterStored(world, () => fake.cut())
  const id = await fake.say(alice, 'two')
  await heard(2)
  await fake.until('it is offline', () => !fake.isOnline)
  assert.ok(fake.pending.has(id), 'no receipt went out')
  await host.clock.timerAt(host.clock.now() + 1_000)
  host.clock.advance(1_000)
  await fake.until('the server gave it up', () => !fake.pending.has(id))
  await fake.say(alice, 'three')
  await heard(3)
  assert.deepEqual(texts(world), ['one', 'two', 'three'])
})

test('a message whose process dies between decryption and receipt is in the inbox, and the next ones can be read', async (t) => {
  const world = await linked(t)
  const { fake, alice, heard, restart } = world
  await fake.say(alice, 'one')
  await heard(1)
  const stored = Promise.withResolvers<void>()
  afterStored(world, () => {
    fake.cut()
    stored.resolve()
    return new Promise(() => {})
  })
  await fake.say(alice, 'two')
  await stored.promise
  await restart()
  await fake.until('the server gave it up', () => fake.pending.size === 0)
  await fake.say(alice, 'three')
  await heard(3)
  assert.deepEqual(texts(world), ['one', 'two', 'three'])
})

test('a message that cannot be stored is not acknowledged in any way, and comes again', async (t) => {
  const world = await linked(t)
  const { fake, host, alice, heard } = world
  await fake.say(alice, 'one')
  await heard(1)
  await fake.until('its receipt', () => fake.pending.size === 0)
  const before = host.values.size
  host.failure = new UnavailableError('The store is locked.', { code: 'STORE_BUSY' })
  const since = fake.notes.length
  const id = await fake.say(alice, 'two')
  await heard(2)
  await fake.until('the connection is given up', () => fake.live === 0)
  assert.ok(fake.pending.has(id))
  assert.deepEqual(
    fake.notes.slice(since).filter(({ is }) => is === 'receipt' || is === 'ack'),
    [],
  )
  assert.equal(host.values.size, before)
  host.failure = null
  await host.clock.timerAt(host.clock.now() + 1_000)
  host.clock.advance(1_000)
  await fake.until('its receipt', () => fake.pending.size === 0)
  await fake.say(alice, 'three')
  await heard(4)
  assert.deepEqual(texts(world), ['one', 'two', 'two', 'three'])
})

test('what came while nobody was connected is taken in, in order', async (t) => {
  const world = await linked(t)
  const { fake, host, alice, bob, heard, channel, restart } = world
  await channel().stop()
  await fake.until('it is offline', () => fake.live === 0)
  host.clock.advance(60_000)
  for (const n of [1, 2, 3]) {
    await fake.say(alice, `a${n}`)
    await fake.say(bob, `b${n}`)
  }
  await restart()
  await heard(6)
  await fake.until('all receipts', () => fake.pending.size === 0)
  const lane = (jid: string): readonly unknown[] => host.handed.filter((message) => message.lane === jid).map(({ payload }) => payload)
  assert.deepEqual(lane(alice.jid), [{ text: 'a1' }, { text: 'a2' }, { text: 'a3' }])
  assert.deepEqual(lane(bob.jid), [{ text: 'b1' }, { text: 'b2' }, { text: 'b3' }])
})

test('what is delivered twice has one key', async (t) => {
  const { fake, host, alice, heard } = await linked(t)
  const id = await fake.say(alice, 'once')
  await heard(1)
  await fake.say(alice, 'once', { id, as: 'lid' })
  await heard(2)
  assert.equal(host.handed[0]?.key, host.handed[1]?.key)
  assert.ok(host.handed[0]?.key?.includes(id))
})

test('what waited for longer than max_age_days is dead on arrival, and what was said before the linking is not taken in', async (t) => {
  const { fake, host, alice, heard, channel, restart } = await linked(t, { maxAgeDays: 1 })
  await channel().stop()
  const linkedAt = host.clock.now()
  host.clock.advance(3 * 86_400_000)
  await fake.say(alice, 'ancient', { at: linkedAt / 1_000 - 3_600 })
  await fake.say(alice, 'old', { at: linkedAt / 1_000 + 3_600 })
  await fake.say(alice, 'new')
  await restart()
  await heard(2)
  await fake.until('all receipts', () => fake.pending.size === 0)
  assert.deepEqual(
    host.handed.map(({ payload, dead }) => [payload, dead?.code]),
    [
      [{ text: 'old' }, 'WHATSAPP_MESSAGE_STALE'],
      [{ text: 'new' }, undefined],
    ],
  )
})

test('during a pause nothing is taken in or acknowledged, sending goes on, and afterwards all of it comes', async (t) => {
  const world = await linked(t)
  const { fake, host, alice, heard, channel } = world
  await fake.say(alice, 'one')
  await heard(1)
  await fake.until('its receipt', () => fake.pending.size === 0)
  channel().pause()
  await fake.say(alice, 'two')
  await fake.say(alice, 'three')
  await channel().send(partTo({ chat: alice.jid }, 'still here'), signal())
  assert.equal(host.handed.length, 1)
  assert.equal(fake.pending.size, 2)
  channel().resume()
  await heard(3)
  await fake.until('all receipts', () => fake.pending.size === 0)
  assert.deepEqual(texts(world), ['one', 'two', 'three'])
})
