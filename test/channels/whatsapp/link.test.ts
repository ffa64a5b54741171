import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LinkStep } from '#contract'
import { linked, partTo, signal, unlinked } from './linked.ts'

const shown = (steps: readonly LinkStep[]): readonly string[] => steps.map(({ show }) => show)

test('an account that was never linked says so and opens no connection', async (t) => {
  const { fake, host } = await unlinked(t)
  assert.deepEqual(host.states, ['linking'])
  assert.equal(fake.live, 0)
})

test('a scanned QR code links the account, and messages go both ways', async (t) => {
  const { fake, host, alice, link, heard, channel } = await unlinked(t)
  const steps = await link()
  assert.deepEqual(shown(steps), ['qr', 'done'])
  assert.deepEqual(steps.at(-1), { show: 'done', as: '+15550001111' })
  assert.equal(host.states.at(-1), 'open')
  await fake.say(alice, 'hello gateway')
  await heard(1)
  const [message] = host.handed
  assert.ok(message)
  assert.deepEqual(message.payload, { text: 'hello gateway' })
  const { id } = await channel().send(partTo(message.reply, 'hello alice'), signal())
  assert.deepEqual(
    fake.delivered.map((sent) => [sent.id, sent.to, sent.text]),
    [[id, alice.jid, 'hello alice']],
  )
  assert.match(id ?? '', /^3EB0[0-9A-F]{18}$/)
})

test('a code typed into the phone links the account', async (t) => {
  const { fake, host, alice, link, heard } = await unlinked(t)
  const steps = await link({ phone: '15550001111' })
  assert.deepEqual(shown(steps), ['code', 'done'])
  await fake.say(alice, 'hello')
  await heard(1)
  assert.equal(host.handed[0]?.account, '15550001111')
})

test('a phone whose signature does not hold is not linked to', async (t) => {
  const { fake, host, channel } = await unlinked(t)
  const steps: LinkStep[] = []
  for await (const step of channel().link?.({ phone: null }, signal()) ?? []) {
    steps.push(step)
    if (step.show === 'qr') fake.scan(step.data, true)
  }
  assert.deepEqual(shown(steps), ['qr', 'blocked'])
  assert.equal(host.values.size, 0)
  assert.equal(fake.count('paired'), 0)
})

test('an account that needs a passkey says that it cannot be linked here', async (t) => {
  const { fake, channel } = await unlinked(t)
  const steps: LinkStep[] = []
  for await (const step of channel().link?.({ phone: null }, signal()) ?? []) {
    steps.push(step)
    if (step.show === 'qr') fake.askPasskey()
  }
  assert.deepEqual(shown(steps), ['qr', 'blocked'])
  assert.match(JSON.stringify(steps), /passkey/)
  await fake.until('the connection is closed', () => fake.live === 0)
})

test('linking that is called off leaves no connection behind', async (t) => {
  const { fake, channel } = await unlinked(t)
  const stop = new AbortController()
  const steps: LinkStep[] = []
  for await (const step of channel().link?.({ phone: null }, stop.signal) ?? []) {
    steps.push(step)
    stop.abort()
  }
  assert.deepEqual(shown(steps), ['qr'])
  await fake.until('the connection is closed', () => fake.live === 0)
})

test('an account that is linked is not linked again', async (t) => {
  const { fake, link } = await linked(t)
  assert.deepEqual(await link(), [{ show: 'done', as: '+15550001111' }])
  assert.equal(fake.count('registering'), 1)
})

test('a device that the phone removed waits for somebody, also across a restart, and can be linked again', async (t) => {
  const { fake, host, alice, link, restart, heard } = await linked(t)
  await fake.say(alice, 'before')
  await heard(1)
  fake.kick(401)
  await fake.until('the connection is closed', () => fake.live === 0 && host.states.at(-1) === 'stopped')
  await restart()
  assert.equal(host.states.at(-1), 'stopped')
  assert.equal(fake.live, 0)
  alice.forget(fake.jid)
  assert.deepEqual(shown(await link()), ['qr', 'done'])
  await fake.say(alice, 'after')
  await heard(2)
  assert.deepEqual(host.handed[1]?.payload, { text: 'after' })
})
