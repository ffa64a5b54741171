/** What Slack's events become: one key a post, its lane, who said it to whom, and what was changed later. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Inbound } from '#contract'
import { openHarness, part, never } from './harness.ts'
import type { Harness } from './harness.ts'

let given: Harness
beforeEach(async () => {
  given = await openHarness()
  await given.start()
})
afterEach(() => given.close())

/** All that was handed in once everything is acknowledged. */
async function handed(): Promise<readonly Inbound[]> {
  await given.fake.until(() => given.fake.socket.unacked.length === 0, 'all acknowledgements')
  return given.host.handed
}
async function last(): Promise<Inbound> {
  const message = (await handed()).at(-1)
  assert.ok(message !== undefined)
  return message
}

test('a direct message', async () => {
  const { ts } = given.fake.say({ channel: 'D0ANN', user: 'U0ANN', text: 'hello &amp; welcome' })
  assert.deepEqual(await last(), {
    key: `T0FAKE:D0ANN:${ts}`,
    fingerprint: null,
    lane: 'D0ANN',
    account: 'T0FAKE',
    peer: { kind: 'direct', id: 'D0ANN', thread: null },
    sender: 'U0ANN',
    author: 'person',
    isAddressed: true,
    at: Math.floor(Number(ts) * 1_000),
    payload: { text: 'hello & welcome' },
    metadata: {},
    agent: null,
    reply: { chat: 'D0ANN', kind: 'direct' },
  })
})

test('message and app_mention of one post have one key and one meaning', async () => {
  given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: '<@U0BOT> hello' })
  const [first, second] = await handed()
  assert.ok(first !== undefined && second !== undefined)
  assert.deepEqual(first, second)
  assert.deepEqual([first.payload, first.isAddressed], [{ text: 'hello' }, true])
})

describe('where it was said', () => {
  test('a post in a channel begins a thread, and answers go into it', async () => {
    const { ts } = given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'hello' })
    const first = await last()
    assert.equal(first.lane, `C0TEAM/${ts}`)
    assert.deepEqual(first.peer, { kind: 'channel', id: 'C0TEAM', thread: ts })
    assert.deepEqual(first.reply, { chat: 'C0TEAM', kind: 'channel', thread: ts })
    given.fake.say({ channel: 'C0TEAM', user: 'U0BOB', text: 'and', thread: ts })
    assert.equal((await last()).lane, first.lane)
  })

  test('a thread in a direct chat is a conversation of its own', async () => {
    given.fake.say({ channel: 'D0ANN', user: 'U0ANN', text: 'hi', thread: '1700000000.000100' })
    const message = await last()
    assert.equal(message.lane, 'D0ANN/1700000000.000100')
    assert.equal(message.reply.thread, '1700000000.000100')
  })
})

describe('to whom it was said', () => {
  const cases: readonly (readonly [what: string, text: string, isAddressed: boolean])[] = [
    ['a mention anywhere', 'what says <@U0BOT>?', true],
    ['a mention of somebody else', '<@U0ANN> hello', false],
    ['no mention', 'hello', false],
  ]
  for (const [what, text, isAddressed] of cases) {
    test(`in a channel: ${what}`, async () => {
      given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text })
      assert.equal((await last()).isAddressed, isAddressed)
    })
  }

  test('in a thread under a post of ours: to us', async () => {
    const ours = await given.channel.send(
      part('news', { chat: given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'x' }).channel }),
      never,
    )
    given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'thanks', thread: ours.id ?? '' })
    assert.equal((await last()).isAddressed, true)
  })

  test('in a thread where we have spoken: to us, after a restart too', async () => {
    const { ts } = given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'question' })
    assert.equal((await last()).isAddressed, false)
    await given.channel.send(part('answer', { chat: 'C0TEAM', thread: ts }), never)
    given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'and?', thread: ts })
    assert.equal((await last()).isAddressed, true)

    const values = given.host.values
    await given.close()
    given = await openHarness()
    for (const [key, value] of values) given.host.values.set(key, value)
    await given.start()
    given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'still there?', thread: ts })
    assert.equal((await last()).isAddressed, true)
  })
})

describe('who said it', () => {
  test('what we said ourselves comes back as ours', async () => {
    given.fake.place('D0ANN')
    await given.channel.send(part('hi', { chat: 'D0ANN' }), never)
    assert.equal((await last()).author, 'self')
  })

  test('other apps and their hooks are bots', async () => {
    given.fake.say({ channel: 'C0TEAM', user: 'U0OTHER', bot: 'B0OTHER', text: 'beep' })
    assert.deepEqual([(await last()).author, (await last()).sender], ['bot', 'U0OTHER'])
    given.fake.say({ channel: 'C0TEAM', bot: 'B0HOOK', text: 'alert', subtype: 'bot_message' })
    assert.deepEqual([(await last()).author, (await last()).sender], ['bot', 'B0HOOK'])
  })
})

describe('what kind of message', () => {
  test('files come as references, with and without words', async () => {
    const file = given.fake.file('a.png', 'image/png', Buffer.from('pixels'))
    given.fake.say({ channel: 'D0ANN', user: 'U0ANN', text: '', subtype: 'file_share', files: [file] })
    const message = await last()
    assert.deepEqual(message.payload, { text: '' })
    assert.deepEqual(message.metadata.media, [{ id: file.id, media_type: 'image/png', bytes: 6, name: 'a.png' }])
  })

  test('an answer that is shown in the channel too is a message of its thread', async () => {
    const { ts } = given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'x' })
    given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'y', thread: ts, subtype: 'thread_broadcast' })
    assert.equal((await last()).lane, `C0TEAM/${ts}`)
  })

  test('what Slack says about the channel is passed over', async () => {
    for (const subtype of ['channel_join', 'channel_topic', 'pinned_item', 'message_replied', 'me_message_x']) {
      given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'x', subtype })
    }
    assert.equal((await handed()).length, 0)
  })

  test('an edit and a deletion are news of the message', async () => {
    const said = given.fake.say({ channel: 'D0ANN', user: 'U0ANN', text: 'wrods' })
    const edited = given.fake.edit(said, 'words')
    given.fake.delete(edited)
    const [message, edit, deletion] = await handed()
    assert.ok(message !== undefined && edit !== undefined && deletion !== undefined)
    assert.deepEqual([edit.event, edit.payload, edit.metadata], ['edit', { text: 'words' }, { event: 'edit', of: message.key }])
    assert.deepEqual([deletion.event, deletion.metadata], ['delete', { event: 'delete', of: message.key }])
    assert.equal(new Set([message.key, edit.key, deletion.key]).size, 3)
    assert.deepEqual([edit.lane, edit.sender, deletion.lane, deletion.sender], ['D0ANN', 'U0ANN', 'D0ANN', 'U0ANN'])
  })

  test('a preview that is added to a message is no edit, and an emptied first post is a deletion', async () => {
    const said = given.fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'see <https://example.org>' })
    given.fake.edit(said, said.text)
    assert.equal((await handed()).length, 1)
    const { channel, ...previous_message } = said
    const message = { type: 'message', subtype: 'tombstone', user: 'USLACKBOT', text: 'This message was deleted.', ts: said.ts }
    const event = { type: 'message', subtype: 'message_changed', channel, message, previous_message, event_ts: '1800000000.000001' }
    given.fake.happen({ type: 'event_callback', event_id: 'Ev2', event })
    const deletion = await last()
    assert.deepEqual([deletion.event, deletion.sender, deletion.metadata.of], ['delete', 'U0ANN', `T0FAKE:C0TEAM:${said.ts}`])
  })
})
