/** What Telegram says as the hub gets it: conversations, groups, topics, albums, files, groups that move. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { NotFoundError, UnavailableError } from '#contract'
import { ANN, BOB, FORUM, Given, NEVER, TEAM } from './given.ts'

let given: Given
beforeEach(async () => {
  given = await Given.open()
  await given.start()
})
afterEach(async () => {
  await given.close()
  assert.equal(given.host.clock.pending, 0)
})

const team = (text: string, more: object = {}): unknown => given.fake.say({ chat: TEAM, from: ANN, text, ...more })
const addressed = (): readonly unknown[] => given.host.handed.map(({ isAddressed }) => isAddressed)

void test('a direct message', async () => {
  const message = given.fake.say({ from: ANN, text: 'grüße 👩‍👩‍👧‍👦', at: 1_900_000_000 })
  const { metadata, ...rest } = await given.handed(1)
  assert.deepEqual(rest, {
    key: `${ANN}:${message.message_id}`,
    fingerprint: null,
    lane: String(ANN),
    account: '4242',
    peer: { kind: 'direct', id: String(ANN), thread: null },
    sender: String(ANN),
    aliases: ['@AnnA'],
    author: 'person',
    isAddressed: true,
    at: 1_900_000_000_000,
    payload: { text: 'grüße 👩‍👩‍👧‍👦' },
    agent: null,
    reply: { chat: String(ANN), kind: 'direct' },
  })
  assert.deepEqual(metadata, { sender_name: 'Ann' })
})

void test('an edit says which message it is news of', async () => {
  const message = given.fake.say({ from: ANN, text: 'wrods' })
  given.fake.edit(message, 'words', 1_900_000_000)
  const { event, payload, metadata, at } = await given.handed(2)
  assert.deepEqual([event, payload, at], ['edit', { text: 'words' }, 1_900_000_000_000])
  assert.deepEqual([metadata.event, metadata.of], ['edit', (await given.handed(1)).key])
})

void test('in a group it is addressed by its name, a command to it, or an answer to it, and by nothing else', async () => {
  const { world } = given.fake
  const ours = world.make({ chat: TEAM, from: world.bot.id, text: 'I said' })
  const theirs = world.make({ chat: TEAM, from: BOB, text: 'Bob said' })
  team('among ourselves')
  team('@gate_bot you')
  team('👩‍👩‍👧‍👦 hey @GATE_BOT')
  team('@gate_bot_2 you')
  team('mail me at x@gate_bot')
  team('/help@gate_bot')
  team('/help@other_bot')
  team('/help')
  team('you', { entities: [{ type: 'text_mention', offset: 0, length: 3, user: world.bot }] })
  team('an answer', { replyTo: ours })
  team('an answer', { replyTo: theirs })
  given.fake.say({ chat: TEAM, from: ANN, text: 'look @gate_bot', photo: [world.file('x')] })
  await given.host.handedIn(12)
  assert.deepEqual(addressed(), [false, true, true, false, false, true, false, false, true, true, false, true])
  const { peer, reply, lane, metadata } = await given.handed(11)
  assert.deepEqual([peer, lane], [{ kind: 'group', id: String(TEAM), thread: null }, String(TEAM)])
  assert.deepEqual([reply.kind, metadata['chat_title'], metadata['reply_to']], ['group', 'Team', `${TEAM}:${theirs.message_id}`])
})

void test('a topic is a conversation of its own, and answering in it is not answering us', async () => {
  const topic = given.fake.world.topic(FORUM)
  given.fake.say({ chat: FORUM, from: ANN, text: 'in the topic', thread: topic.message_id })
  // In other groups a chain of replies has a thread id too, and is none.
  given.fake.say({ chat: TEAM, from: ANN, text: 'a chain', thread: 99 })
  const { lane, peer, reply, isAddressed, metadata } = await given.handed(1)
  assert.equal(lane, `${FORUM}/${topic.message_id}`)
  assert.deepEqual([peer.thread, reply.thread], [String(topic.message_id), String(topic.message_id)])
  assert.deepEqual([isAddressed, metadata['reply_to']], [false, undefined])
  const { peer: other, reply: answer } = await given.handed(2)
  assert.deepEqual([other.thread, answer.thread], [null, undefined])
})

void test('knows bots, itself, and those who speak as a chat', async () => {
  const { world } = given.fake
  world.person(80, { isBot: true })
  given.fake.say({ chat: TEAM, from: 80, text: 'a bot' })
  given.fake.say({ chat: TEAM, from: world.bot.id, text: 'ourselves' })
  // Anonymous administrators come as a bot that is named like this.
  world.person(1_087_968_824, { isBot: true, username: 'GroupAnonymousBot' })
  given.fake.say({ chat: TEAM, from: 1_087_968_824, text: 'the chair', more: { sender_chat: world.chat(TEAM) } })
  await given.host.handedIn(3)
  assert.deepEqual(
    given.host.handed.map(({ author, sender }) => [author, sender]),
    [
      ['bot', '80'],
      ['self', '4242'],
      ['person', String(TEAM)],
    ],
  )
})

void test('an album is one message with all its pictures, and is confirmed as a whole', async () => {
  const { fake, host } = given
  const photo = (name: string): [ReturnType<typeof fake.world.file>] => [fake.world.file(name)]
  fake.say({ from: ANN, text: 'before' })
  const first = fake.say({ from: ANN, text: 'our trip', photo: photo('a'), album: 'A1' })
  await host.clock.timerAt(host.clock.now() + 1_000)
  // The rest comes a moment later.
  fake.say({ from: ANN, photo: photo('b'), album: 'A1' })
  host.clock.advance(1_000)
  await given.pass(1_000)
  fake.say({ from: BOB, text: 'between' })
  await given.confirmed()
  await given.handed(3)
  assert.deepEqual(
    host.handed.map(({ key, payload, metadata }) => [key, payload, metadata.media?.length]),
    [
      [`${ANN}:${first.message_id - 1}`, { text: 'before' }, undefined],
      [`${ANN}:${first.message_id}`, { text: 'our trip' }, 2],
      [`${BOB}:${first.message_id + 2}`, { text: 'between' }, undefined],
    ],
  )
})

void test('an album that may still grow is not confirmed, nor what came after it', async () => {
  const { fake, host } = given
  fake.say({ from: ANN, photo: [fake.world.file('a')], album: 'A1' })
  fake.say({ from: BOB, text: 'after' })
  await host.clock.timerAt(host.clock.now() + 1_000)
  assert.deepEqual([host.handed.length, fake.updates.pending.length], [0, 2])
  // The gateway dies here; the next one finds all of it.
  await given.restart()
  await given.pass(1_000)
  await given.confirmed()
  assert.equal(host.handed.length, 2)
})

void test('an album that could not be stored comes again as the same album', async () => {
  const { fake, host } = given
  given.channel.pause()
  await fake.until(() => !fake.updates.isPolled, 'the end of the poll')
  for (const name of ['a', 'b', 'c']) fake.say({ from: ANN, photo: [fake.world.file(name)], album: 'A1' })
  given.channel.resume()
  host.failure = new UnavailableError('locked', { code: 'STORE_LOCKED' })
  await given.pass(1_000)
  await host.handedIn(1)
  await host.clock.timerAt(host.clock.now() + 1_000)
  host.failure = null
  host.clock.advance(1_000)
  await given.confirmed()
  assert.deepEqual(
    host.handed.map(({ key, metadata }) => [key === host.handed[0]?.key, metadata.media?.length]),
    [
      [true, 3],
      [true, 3],
    ],
  )
})

void test('the bytes of a file are fetched when they are asked for, and are gone when Telegram says so', async () => {
  const { fake } = given
  const small = fake.world.file('small', { size: 10 })
  const large = fake.world.file('large', { size: 1_000 })
  fake.say({ from: ANN, text: 'see', photo: [small, large, fake.world.file('huge', { size: 30_000_000 })] })
  fake.say({ from: ANN, document: fake.world.file('%PDF', { name: 'plan.pdf', mediaType: 'application/pdf' }) })
  const { metadata } = await given.handed(1)
  assert.deepEqual(metadata.media, [{ id: large.file_id, media_type: 'image/jpeg', bytes: 1_000 }])
  const [plan] = (await given.handed(2)).metadata.media ?? []
  assert.ok(plan)
  assert.deepEqual([plan.name, plan.media_type, (await given.handed(2)).payload], ['plan.pdf', 'application/pdf', { text: '' }])
  assert.equal(fake.called('getFile').length, 0)
  const { bytes, mediaType } = (await given.channel.media?.(plan, NEVER)) ?? {}
  assert.deepEqual([Buffer.from(bytes ?? []).toString(), mediaType], ['%PDF', 'application/pdf'])
  fake.world.files.clear()
  await assert.rejects(async () => given.channel.media?.(plan, NEVER), NotFoundError)
})

void test('places, contacts and polls come as the Bot API has them', async () => {
  given.fake.say({ from: ANN, more: { location: { latitude: 1, longitude: 2 } } })
  assert.deepEqual((await given.handed(1)).payload, { json: { location: { latitude: 1, longitude: 2 } } })
})

void test('a group that becomes a supergroup stays the same conversation, also after a restart', async () => {
  const { fake } = given
  team('@gate_bot before')
  const moved = fake.migrate(TEAM)
  fake.say({ chat: moved, from: ANN, text: '@gate_bot after' })
  const [before, after] = [await given.handed(1), await given.handed(2)]
  assert.deepEqual([after.lane, after.peer, after.reply.chat], [before.lane, before.peer, before.reply.chat])
  assert.ok(after.key?.startsWith(`${moved}:`))
  const to = after.reply
  await given.channel.send(given.part(to, { text: 'an answer' }), NEVER)
  await given.confirmed()
  await given.restart()
  fake.say({ chat: moved, from: ANN, text: '@gate_bot later' })
  assert.equal((await given.handed(3)).lane, before.lane)
  await given.channel.send(given.part(to, { text: 'another' }), NEVER)
  assert.deepEqual(
    fake.sent.map(({ chat }) => chat),
    [moved, moved],
  )
})
