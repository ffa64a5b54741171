import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linked } from './linked.ts'

test('after a cut it comes back by itself, with a new connection', async (t) => {
  const { fake, host, alice, heard } = await linked(t)
  for (const end of [() => fake.cut(), () => fake.kick(503)]) {
    const logins = fake.count('login')
    end()
    await host.clock.timerAt(host.clock.now() + 1_000)
    assert.equal(host.states.at(-1), 'connecting')
    host.clock.advance(1_000)
    await fake.until('a login', () => fake.count('login') > logins)
  }
  await fake.say(alice, 'still there?')
  await heard(1)
  assert.equal(fake.live, 1)
})

test('when WhatsApp asks for a restart it comes back at once', async (t) => {
  const { fake } = await linked(t)
  const logins = fake.count('login')
  fake.kick(515)
  await fake.until('a login', () => fake.count('login') > logins)
})

for (const [code, why] of [
  [440, /Another program/],
  [401, /Link it again/],
  [403, /banned/],
] as const) {
  test(`after ${code} it stops with a reason and does not come back`, { timeout: 20_000 }, async (t) => {
    const { fake, host } = await linked(t)
    const reasons: (string | undefined)[] = []
    const stopped = Promise.withResolvers<void>()
    host.status = (state, reason?: string) => {
      reasons.push(reason)
      if (state === 'stopped') stopped.resolve()
    }
    const logins = fake.count('login')
    fake.kick(code)
    await stopped.promise
    assert.match(reasons.at(-1) ?? '', why)
    host.clock.advance(120_000)
    await fake.until('it is gone', () => fake.live === 0)
    assert.equal(fake.count('login'), logins)
  })
}

test('a version that WhatsApp refuses is said, and not tried again', async (t) => {
  const { fake, host, restart } = await linked(t)
  fake.failure = '405'
  await restart()
  assert.equal(host.states.at(-1), 'stopped')
  await fake.until('it is gone', () => fake.live === 0)
})

test('ten restarts leave one connection and one timer', async (t) => {
  const { fake, host, alice, restart, heard } = await linked(t)
  for (let n = 0; n < 10; n++) await restart()
  await fake.until('one connection', () => fake.live === 1)
  await fake.say(alice, 'once')
  await heard(1)
  assert.equal(host.clock.pending, 0)
  assert.equal(fake.live, 1)
})

test('while the server is away it waits longer and longer, and stops when asked', async (t) => {
  const { fake, host, channel } = await linked(t)
  const attempts: number[] = []
  const wait = host.backoff.bind(host)
  host.backoff = (attempt, signal) => {
    attempts.push(attempt)
    return wait(attempt, signal)
  }
  await fake.close()
  for (let n = 0; n < 3; n++) {
    await host.clock.timerAt(host.clock.now() + 1_000)
    host.clock.advance(1_000)
  }
  await host.clock.timerAt(host.clock.now() + 1_000)
  assert.deepEqual(attempts, [1, 2, 3, 4])
  await channel().stop()
  assert.equal(host.clock.pending, 0)
})
