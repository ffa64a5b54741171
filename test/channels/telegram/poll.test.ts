/** The long poll: what is confirmed and when, what happens when Telegram, the network or the store say no. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { ChannelFault, UnavailableError } from '#contract'
import { channelKinds } from '../../../channels/registry.ts'
import { telegram } from '../../../channels/telegram/telegram.ts'
import { ANN, BOB, Given, TEAM } from './given.ts'

let given: Given
beforeEach(async () => {
  given = await Given.open()
})
afterEach(async () => {
  await given.close()
  assert.equal(given.host.clock.pending, 0)
})

const texts = (): readonly unknown[] => given.host.handed.map(({ payload }) => ('text' in payload ? payload.text : payload))

void test('is in the registry', async () => assert.equal(await channelKinds['telegram']?.(), telegram))

void test('confirms a message after it was accepted and not before', async () => {
  const { fake, host } = given
  await given.start()
  host.hold()
  fake.say({ from: ANN, text: 'hello' })
  await host.handedIn(1)
  assert.equal(fake.updates.pending.length, 1)
  const polls = fake.called('getUpdates').length
  host.release()
  await given.confirmed()
  assert.equal(fake.called('getUpdates').length, polls + 1)
})

void test('what could not be stored is fetched again, and nothing of its batch is confirmed', async () => {
  const { fake, host } = given
  host.failure = new UnavailableError('locked', { code: 'STORE_LOCKED' })
  fake.say({ from: ANN, text: 'one' })
  fake.say({ from: BOB, text: 'two' })
  await given.channel.start(host, new AbortController().signal)
  await host.handedIn(2)
  await given.pass(1_000)
  await host.clock.timerAt(host.clock.now() + 1_000)
  assert.deepEqual([fake.updates.pending.length, host.handed.length], [2, 4])
  host.failure = null
  await given.pass(1_000)
  await given.confirmed()
  assert.deepEqual(texts(), ['one', 'two', 'one', 'two', 'one', 'two'])
  assert.equal(host.states.at(-1), 'open')
})

void test('hands in the messages of a batch in their order, in one transaction with the offset', async () => {
  const { fake, host } = given
  const said = Array.from({ length: 30 }, (_, at) => `number ${at}`)
  for (const text of said) fake.say({ from: ANN, text })
  await given.start()
  await given.confirmed()
  assert.deepEqual(texts(), said)
  const stored = JSON.parse(new TextDecoder().decode(host.values.get('offset'))) as { offset: number }
  assert.equal(stored.offset, fake.called('getUpdates').at(-1)?.params['offset'])
})

void test('after a restart the first poll confirms what the last run stored', async () => {
  const { fake } = given
  await given.start()
  fake.say({ from: ANN, text: 'before' })
  await given.confirmed()
  const { offset } = fake.called('getUpdates').at(-1)?.params ?? {}
  const polls = fake.called('getUpdates').length
  await given.restart()
  assert.equal(fake.called('getUpdates')[polls]?.params['offset'], offset)
})

void test('an offset that is older than Telegram keeps anything is forgotten', async () => {
  const { fake, host } = given
  await given.start()
  fake.say({ from: ANN, text: 'before' })
  await given.confirmed()
  const polls = fake.called('getUpdates').length
  await given.channel.stop()
  host.clock.advance(86_400_000)
  await given.restart()
  assert.equal(fake.called('getUpdates')[polls]?.params['offset'], undefined)
})

void test('takes in what comes with a lower update id after a quiet time', async () => {
  const { fake } = given
  await given.start()
  fake.say({ from: ANN, text: 'before' })
  await given.confirmed()
  const polls = fake.called('getUpdates').length
  fake.updates.expire()
  await fake.until(() => fake.called('getUpdates').length > polls, 'the next poll')
  fake.updates.renumber(17)
  fake.say({ from: ANN, text: 'a week later' })
  await given.confirmed()
  assert.deepEqual(texts(), ['before', 'a week later'])
  assert.equal(fake.called('getUpdates')[polls]?.params['offset'], undefined)
})

void test('the same message has the same key under another update id, and an edit another', async () => {
  const { fake } = given
  await given.start()
  const message = fake.say({ from: ANN, text: 'once' })
  fake.updates.add('message', ANN, message)
  fake.edit(message, 'twice', 1_900_000_000)
  await given.confirmed()
  const key = `${ANN}:${message.message_id}`
  assert.deepEqual(
    given.host.handed.map((handed) => [handed.key, handed.event]),
    [
      [key, undefined],
      [key, undefined],
      [`${key}:1900000000`, 'edit'],
    ],
  )
})

void test('asks for messages and edits by name, and drops no webhook with what is waiting', async () => {
  const { fake } = given
  fake.updates.webhook = { url: 'http://127.0.0.1:1/', secret: null }
  const message = fake.say({ from: ANN, text: 'waiting' })
  await given.start()
  assert.equal(fake.react(message, ANN), null)
  await given.confirmed()
  assert.deepEqual(texts(), ['waiting'])
  assert.deepEqual(fake.called('deleteWebhook')[0]?.params, {})
  assert.deepEqual(fake.called('getUpdates')[0]?.params['allowed_updates'], ['message', 'edited_message'])
})

void test('with a second poller it is degraded, waits as long as a poll takes, and goes on', async () => {
  const { fake, host } = given
  await given.start()
  const other = fetch(`${fake.root}/bot${fake.token}/getUpdates?timeout=20`)
  await given.host.clock.timerAt(host.clock.now() + 30_000)
  assert.equal(host.states.at(-1), 'degraded')
  const polls = fake.called('getUpdates').length
  host.clock.advance(29_999)
  assert.equal(fake.called('getUpdates').length, polls)
  host.clock.advance(1)
  assert.equal((await other).status, 409)
  fake.say({ from: ANN, text: 'still here' })
  await given.confirmed()
  assert.equal(host.states.at(-1), 'open')
})

void test('a token that is refused at the start rejects, and is not tried again', async () => {
  const { fake, host } = given
  fake.isTokenRevoked = true
  await assert.rejects(
    given.start(),
    (error) => error instanceof ChannelFault && error.fault.is === 'auth' && !error.message.includes(fake.token),
  )
  assert.equal(fake.unauthorized, 1)
  assert.equal(host.clock.pending, 0)
})

void test('a token that is refused later stops the channel', async () => {
  const { fake, host } = given
  await given.start()
  fake.isTokenRevoked = true
  fake.updates.expire()
  await fake.until(() => fake.unauthorized > 0, 'the refusal')
  while (host.states.at(-1) !== 'stopped') await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([fake.unauthorized, host.clock.pending], [1, 0])
})

void test('starts without a network, and is there when it comes back', async () => {
  const { fake, host } = given
  await fake.down()
  let isStarted = false
  const started = given.start().then(() => (isStarted = true))
  for (let i = 0; i < 3; i++) await given.pass(1_000)
  assert.deepEqual([isStarted, host.states.at(-1)], [false, 'connecting'])
  await host.clock.timerAt(host.clock.now() + 1_000)
  await fake.start()
  host.clock.advance(1_000)
  await started
  assert.equal(host.states.at(-1), 'open')
})

void test('can be stopped while it waits for the network', async () => {
  await given.fake.down()
  const started = given.channel.start(given.host, new AbortController().signal)
  await given.host.clock.timerAt(given.host.clock.now() + 1_000)
  await given.channel.stop()
  await started
})

void test('after a cut it asks for an answer at once, and is open again with it', async () => {
  const { fake, host } = given
  await given.start()
  fake.cut()
  await host.clock.timerAt(host.clock.now() + 1_000)
  assert.equal(host.states.at(-1), 'connecting')
  const polls = fake.called('getUpdates').length
  host.clock.advance(1_000)
  await fake.until(() => fake.called('getUpdates').length > polls + 1, 'the next poll')
  assert.deepEqual(
    fake
      .called('getUpdates')
      .slice(polls)
      .map(({ params }) => params['timeout']),
    [0, 30],
  )
  assert.equal(host.states.at(-1), 'open')
})

void test('a server that fails makes it degraded, a rate limit is waited for', async () => {
  const { fake, host } = given
  await given.start()
  fake.fail('getUpdates', { do: 'page', code: 502 })
  fake.fail('getUpdates', { do: 'refuse', code: 429, description: 'Too Many Requests: retry after 7', parameters: { retry_after: 7 } })
  fake.updates.expire()
  await host.clock.timerAt(host.clock.now() + 1_000)
  assert.equal(host.states.at(-1), 'degraded')
  host.clock.advance(1_000)
  await given.pass(7_000)
  fake.say({ from: ANN, text: 'on it goes' })
  await given.confirmed()
  assert.equal(host.states.at(-1), 'open')
})

void test('paused it ends its poll and takes nothing in until it is resumed', async () => {
  const { fake, host } = given
  await given.start()
  given.channel.pause()
  await fake.until(() => !fake.updates.isPolled, 'the end of the poll')
  fake.say({ from: ANN, text: 'meanwhile' })
  const polls = fake.called('getUpdates').length
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([fake.called('getUpdates').length, host.handed.length], [polls, 0])
  given.channel.resume()
  await given.confirmed()
  assert.deepEqual(texts(), ['meanwhile'])
})

void test('stopped while a message is being stored, it waits for that and confirms nothing more', async () => {
  const { fake, host } = given
  await given.start()
  host.hold()
  fake.say({ from: ANN, text: 'in the middle' })
  await host.handedIn(1)
  const polls = fake.called('getUpdates').length
  let isStopped = false
  const stopped = given.channel.stop().then(() => (isStopped = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isStopped, false)
  host.release()
  await stopped
  assert.deepEqual([fake.called('getUpdates').length, fake.updates.pending.length], [polls, 1])
})

void test('what cannot be read becomes a dead letter and holds nothing up', async () => {
  const { fake } = given
  await given.start()
  fake.updates.add('message', ANN, { message_id: 5, text: 7, chat: null })
  fake.say({ from: ANN, text: 'next' })
  await given.confirmed()
  const [bad, good] = given.host.handed
  assert.equal(bad?.dead?.code, 'TELEGRAM_UPDATE_UNREADABLE')
  assert.deepEqual(good?.payload, { text: 'next' })
})

void test('service messages are confirmed and not handed in', async () => {
  const { fake, host } = given
  await given.start()
  fake.say({ chat: TEAM, from: ANN, more: { new_chat_members: [fake.world.person(BOB)] } })
  await given.confirmed()
  assert.equal(host.handed.length, 0)
})
