/** Socket Mode: acknowledged after it was taken in, given again otherwise, and one socket at a time, whatever happens to it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { ChannelFault, UnavailableError } from '#contract'
import { slack } from '../../../channels/slack/slack.ts'
import { openHarness } from './harness.ts'
import type { Harness } from './harness.ts'

let given: Harness
beforeEach(async () => (given = await openHarness()))
afterEach(() => given.close())

const textsOf = ({ host }: Harness): readonly unknown[] => host.said.map(({ payload }) => ('text' in payload ? payload.text : payload))

describe('acknowledgement', () => {
  test('comes after the message is durable and not before', async () => {
    const { fake, host, start } = given
    await start()
    host.hold()
    fake.say({ channel: 'D1', user: 'U1', text: 'hi' })
    await host.handedIn(1)
    // What comes after it is acknowledged first, because nobody wants it.
    fake.socket.push('events_api', { event: { type: 'reaction_added' } })
    await fake.until(() => fake.socket.acked.length > 0, 'an acknowledgement')
    assert.equal(fake.socket.unacked.length, 1)
    host.release()
    await fake.until(() => fake.socket.acked.length === 2, 'the acknowledgement')
    assert.equal(fake.socket.unacked.length, 0)
  })

  test('does not come while nothing can be stored, and the message comes again until it can', async () => {
    const { fake, host, start } = given
    await start()
    host.failure = new UnavailableError('The store is locked.', { code: 'STORE_LOCKED' })
    fake.say({ channel: 'D1', user: 'U1', text: 'hi' })
    await host.handedIn(3)
    assert.equal(fake.socket.acked.length, 0)
    host.failure = null
    await fake.until(() => fake.socket.unacked.length === 0, 'the acknowledgement')
    assert.equal(fake.socket.acked.length, 1)
    assert.equal(new Set(host.handed.map(({ key }) => key)).size, 1)
  })

  test('of what nobody wants comes at once', async () => {
    const { fake, host, start } = given
    await start()
    fake.say({ channel: 'C1', user: 'U1', text: 'joined', subtype: 'channel_join' })
    fake.socket.push('interactive', { type: 'block_actions' })
    fake.socket.push('events_api', { event: { type: 'reaction_added' } })
    await fake.until(() => fake.socket.acked.length === 3, 'three acknowledgements')
    assert.equal(host.handed.length, 0)
  })

  test('frames that are no envelopes neither end the process nor the connection', async () => {
    const { fake, host, start } = given
    await start()
    for (const frame of ['{', 'null', '17', '"x"', '[]', '{"type":"events_api","payload":null,"envelope_id":"e"}']) fake.socket.say(frame)
    fake.say({ channel: 'D1', user: 'U1', text: 'still there' })
    await host.handedIn(1)
    assert.deepEqual(textsOf(given), ['still there'])
    assert.equal(fake.socket.connected, 1)
  })

  test('a message event without a channel or a time is kept whole as a dead letter', async () => {
    const { fake, host, start } = given
    await start()
    fake.happen({ type: 'event_callback', event_id: 'Ev1', event: { type: 'message', text: 'who said this' } })
    await fake.until(() => fake.socket.acked.length === 1, 'the acknowledgement')
    const [message] = host.handed
    assert.equal(message?.dead?.code, 'SLACK_UNREADABLE')
    assert.ok(message !== undefined && 'json' in message.payload)
  })
})

describe('the socket', () => {
  test('is made again after a cut, and what was said meanwhile comes by the new one, in order', async () => {
    const { fake, host, start } = given
    await start()
    fake.socket.cut()
    for (const text of ['one', 'two', 'three']) fake.say({ channel: 'D1', user: 'U1', text })
    await host.handedIn(3)
    await fake.until(() => fake.socket.unacked.length === 0, 'the acknowledgements')
    assert.deepEqual(textsOf(given), ['one', 'two', 'three'])
    assert.deepEqual([fake.socket.live, fake.socket.peak, fake.socket.connected], [1, 1, 2])
    assert.deepEqual(host.waits, [1])
  })

  for (const reason of ['warning', 'refresh_requested'] as const) {
    test(`is replaced when Slack says ${reason}, with never two alive`, async () => {
      const { fake, host, start } = given
      await start()
      for (let round = 2; round <= 4; round++) {
        fake.socket.disconnect(reason)
        await fake.until(() => fake.socket.connected === round, 'the next socket')
      }
      fake.say({ channel: 'D1', user: 'U1', text: 'hi' })
      await host.handedIn(1)
      assert.deepEqual([fake.socket.live, fake.socket.peak], [1, 1])
    })
  }

  test('is left only after what is being taken in was acknowledged', async () => {
    const { fake, host, start } = given
    await start()
    host.hold()
    fake.say({ channel: 'D1', user: 'U1', text: 'hi' })
    await host.handedIn(1)
    fake.socket.disconnect('warning')
    await fake.socket.heard()
    assert.deepEqual([fake.socket.live, fake.socket.acked.length], [1, 0])
    host.release()
    await fake.until(() => fake.socket.connected === 2, 'the next socket')
    assert.equal(fake.socket.acked.length, 1)
    assert.equal(host.handed.length, 1)
  })

  test('that another program has too is told as degraded, with the reason', async () => {
    const { fake, host, start } = given
    fake.socket.others = 1
    await start()
    assert.equal(host.state, 'degraded')
    assert.match(host.told.at(-1)?.reason ?? '', /1 more open socket .* app token/)
    fake.socket.others = 0
    fake.socket.cut()
    await host.reached('open')
  })

  test('waits longer and longer where Slack does not answer', async () => {
    const { fake, host, start } = given
    fake.mishap('apps.connections.open', { do: 'status', status: 503 }, 2)
    fake.mishap('apps.connections.open', { do: 'cut' }, 1)
    await start()
    assert.deepEqual(host.waits, [1, 2, 3])
    assert.deepEqual(host.states, ['connecting', 'connecting', 'connecting', 'open'])
  })

  test('is closed while the channel is paused, and what was said meanwhile comes when it is resumed', async () => {
    const { fake, host, channel, start } = given
    await start()
    channel.pause()
    await fake.until(() => fake.socket.live === 0, 'the socket closed')
    fake.say({ channel: 'D1', user: 'U1', text: 'meanwhile' })
    assert.equal(fake.socket.unacked.length, 1)
    channel.resume()
    await host.handedIn(1)
    await fake.until(() => fake.socket.unacked.length === 0, 'the acknowledgement')
    assert.equal(host.state, 'open')
  })

  test('brings in nothing more from the moment the channel is paused, and what is under way is acknowledged', async () => {
    const { fake, host, channel, start } = given
    await start()
    host.hold()
    fake.say({ channel: 'D1', user: 'U1', text: 'before' })
    await host.handedIn(1)
    channel.pause()
    fake.say({ channel: 'D1', user: 'U1', text: 'after' })
    await fake.socket.heard()
    host.release()
    await fake.until(() => fake.socket.live === 0, 'the socket closed')
    assert.equal(host.handed.length, 1)
    assert.equal(fake.socket.unacked.length, 1)
  })

  test('that says nothing is given up after half a minute', async () => {
    const { fake, host, start } = given
    fake.socket.isMute = true
    const started = start()
    await fake.until(() => fake.socket.connected === 1, 'the silent socket')
    fake.socket.isMute = false
    host.clock.advance(30_000)
    await started
    assert.deepEqual([fake.socket.live, fake.socket.peak, fake.socket.connected], [1, 1, 2])
  })

  test('is not made any more once the channel is stopped, at whatever moment', async () => {
    const { fake, channel, start } = given
    const started = start()
    await fake.until(() => fake.calls.some(({ method }) => method === 'apps.connections.open'), 'the ticket')
    await channel.stop()
    await started
    await fake.until(() => fake.socket.live === 0, 'no socket')
  })
})

describe('credentials', () => {
  test('that Slack refuses at the start stop it, and nothing is tried again', async () => {
    for (const token of ['botToken', 'appToken'] as const) {
      const { fake, host, start, close } = await openHarness()
      fake.revoked.add(fake[token])
      await assert.rejects(start(), (error) => {
        assert.ok(error instanceof ChannelFault)
        assert.equal(error.fault.is, 'auth')
        assert.match(error.message, token === 'botToken' ? /channels\.support\.bot_token/ : /channels\.support\.app_token/)
        assert.ok(!error.message.includes(fake[token]))
        return true
      })
      assert.deepEqual(host.waits, [])
      await close()
    }
  })

  test('that are revoked later stop it with the reason', async () => {
    const { fake, host, start } = given
    await start()
    fake.revoked.add(fake.appToken)
    fake.socket.cut()
    assert.match((await host.reached('stopped')) ?? '', /token_revoked/)
    assert.equal(fake.calls.filter(({ method }) => method === 'apps.connections.open').length, 2)
  })

  test('of both ways of events, or of none, are a fault of the configuration', () => {
    const both = { bot_token: 'xoxb-1', app_token: 'xapp-1', signing_secret: 'and this' }
    assert.throws(() => slack.create('support', both), { code: 'CONFIG_INVALID' })
    assert.throws(() => slack.create('support', { bot_token: 'xoxb-1' }), { code: 'CONFIG_INVALID' })
  })
})
