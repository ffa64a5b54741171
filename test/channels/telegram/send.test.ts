/** What is sent: one call for a part, in Telegram's HTML, and what each of its refusals means. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { ChannelFault } from '#contract'
import type { Address, SendFault } from '#contract'
import type { Misfortune } from '../../fakes/telegram.ts'
import { dialect } from '../../../channels/telegram/dialect.ts'
import { ANN, FORUM, Given, NEVER, TEAM } from './given.ts'

let given: Given
beforeEach(async () => {
  given = await Given.open()
  await given.start()
})
afterEach(async () => given.close())

const ann: Address = { chat: String(ANN), kind: 'direct' }
const team: Address = { chat: String(TEAM), kind: 'group' }
const written = (plain: string): { text: string; plain: string } => ({ text: dialect.text(plain), plain })

async function fault(to: Address, text = 'hello', signal: AbortSignal = NEVER): Promise<ChannelFault> {
  const calls = given.fake.called('sendMessage').length
  const error: unknown = await given.channel.send(given.part(to, written(text)), signal).then(
    () => null,
    (error: unknown) => error,
  )
  assert.ok(error instanceof ChannelFault)
  assert.ok(given.fake.called('sendMessage').length <= calls + 1, 'more than one call was made')
  assert.ok(!error.message.includes(given.fake.token) && !error.message.includes(text), error.message)
  assert.equal(error.cause, undefined, 'a cause would carry the whole request')
  return error
}

const refuse = (code: number, description: string, parameters?: object): Misfortune => ({
  do: 'refuse',
  code,
  description,
  ...(parameters === undefined ? {} : { parameters }),
})

void test('text arrives as it was, whatever it looks like', async () => {
  const hostile = ['<b>x</b> & <!channel>', '&lt;i&gt; &amp;', '_*[`~ a_b 2*3', 'right \u202Eto left', '👩‍👩‍👧‍👦 🏳️‍🌈', '"quotes\' <']
  for (const text of hostile) await given.channel.send(given.part(ann, written(text)), NEVER)
  assert.deepEqual(
    given.fake.sent.map(({ text }) => text),
    hostile,
  )
})

void test('every mark of the dialect is one that Telegram reads', async () => {
  const marks = [
    dialect.strong(dialect.emphasis(dialect.strike('x'))),
    dialect.code('a < b & "c"'),
    dialect.fence('if (a < b)', 'c"+&'),
    dialect.fence('plain', null),
    dialect.link(dialect.text('<here>'), 'https://example.org/?a="1"&b=<2>'),
    dialect.heading('title', 2),
    dialect.quote(`outer\n${dialect.quote('inner')}`),
    dialect.item('thing', '•'),
  ]
  await given.channel.send(given.part(ann, { text: marks.join('\n'), plain: 'x' }), NEVER)
  const [sent] = given.fake.sent
  assert.ok(sent)
  assert.equal(sent.text, 'x\na < b & "c"\nif (a < b)\nplain\n<here>\ntitle\nouter\ninner\n• thing')
  assert.deepEqual(
    (sent.entities as { type: string; url?: string; language?: string }[]).map(({ type, url, language }) => url ?? language ?? type),
    ['strikethrough', 'italic', 'bold', 'code', 'c"+&', 'pre', 'pre', 'https://example.org/?a="1"&b=<2>', 'bold', 'blockquote'],
  )
})

void test('an address that Telegram makes no link of is written out', () => {
  assert.equal(dialect.link('see', 'docs/a&b.md'), 'see (docs/a&amp;b.md)')
  assert.equal(dialect.link('Bob', 'tg://user?id=1'), 'Bob (tg://user?id=1)')
  assert.equal(dialect.link('a@b.org', 'mailto:a@b.org'), 'a@b.org')
})

void test('in a group the first part answers the message, the others follow in the topic', async () => {
  const topic = given.fake.world.topic(FORUM).message_id
  const question = given.fake.say({ chat: FORUM, from: ANN, text: '@gate_bot?', thread: topic })
  const { reply } = await given.handed(1)
  for (const index of [0, 1]) await given.channel.send(given.part(reply, { text: 'part' }, { index, of: 2 }), NEVER)
  assert.deepEqual(
    given.fake.sent.map(({ thread, replyTo }) => [thread, replyTo]),
    [
      [topic, question.message_id],
      [topic, null],
    ],
  )
})

void test('answers also when the question is gone', async () => {
  const { id } = await given.channel.send(given.part({ ...team, replyTo: '999999' }, { text: 'too late' }), NEVER)
  assert.equal(id, `${TEAM}:${given.fake.sent[0]?.id}`)
  assert.equal(given.fake.sent[0]?.replyTo, null)
})

void test('bad markup is a format fault, and the plain form goes out as it is', async () => {
  const part = given.part(ann, { text: '<b>a < b', plain: 'a < b' })
  await assert.rejects(given.channel.send(part, NEVER), (error) => error instanceof ChannelFault && error.fault.is === 'format')
  await given.channel.send({ ...part, rendered: { text: 'a < b' } }, NEVER)
  assert.deepEqual([given.fake.sent[0]?.text, given.fake.sent[0]?.html], ['a < b', null])
})

void test('counts 4096 UTF-16 units after the markup, as Telegram does', async () => {
  await given.channel.send(given.part(ann, written('😀'.repeat(2_048))), NEVER)
  assert.deepEqual((await fault(ann, `${'😀'.repeat(2_048)}.`)).fault, { is: 'permanent' })
})

const cases: readonly (readonly [name: string, to: Address, misfortune: Misfortune, expected: SendFault])[] = [
  [
    'too many, in a group',
    team,
    refuse(429, 'Too Many Requests: retry after 9', { retry_after: 9 }),
    { is: 'rate', afterMs: 9_000, scope: 'chat' },
  ],
  [
    'too many, in a direct chat',
    ann,
    refuse(429, 'Too Many Requests: retry after 9', { retry_after: 9 }),
    { is: 'rate', afterMs: 9_000, scope: 'account' },
  ],
  ['blocked', ann, refuse(403, 'Forbidden: bot was blocked by the user'), { is: 'permanent' }],
  ['no such chat', ann, refuse(400, 'Bad Request: chat not found'), { is: 'permanent' }],
  ['token refused', ann, refuse(401, 'Unauthorized'), { is: 'auth' }],
  ['server failed', ann, refuse(500, 'Internal Server Error'), { is: 'transient', maybeSent: false }],
  ['gateway page', ann, { do: 'page', code: 502 }, { is: 'transient', maybeSent: false }],
  ['gateway gave up waiting', ann, { do: 'page', code: 504 }, { is: 'transient', maybeSent: true }],
  ['answer lost', ann, { do: 'lose' }, { is: 'transient', maybeSent: true }],
  ['connection cut', ann, { do: 'cut' }, { is: 'transient', maybeSent: true }],
]
for (const [name, to, misfortune, expected] of cases) {
  void test(`${name}: ${JSON.stringify(expected)}`, async () => {
    given.fake.fail('sendMessage', misfortune)
    assert.deepEqual((await fault(to)).fault, expected)
  })
}

void test('where nobody listens nothing was sent', async () => {
  await given.fake.down()
  assert.deepEqual((await fault(ann)).fault, { is: 'transient', maybeSent: false })
})

void test('a send that is cut by its signal may have been made', async () => {
  given.fake.fail('sendMessage', { do: 'hang' })
  const cut = new AbortController()
  const failed = fault(ann, 'hello', cut.signal)
  await given.fake.until(() => given.fake.called('sendMessage').length === 1, 'the call')
  cut.abort()
  assert.deepEqual((await failed).fault, { is: 'transient', maybeSent: true })
})

void test('a group that moved unheard is told once and reached from then on', async () => {
  const [, into] = given.fake.world.migrate(TEAM)
  const moved = into.chat.id
  assert.deepEqual((await fault(team)).fault, { is: 'moved', chat: String(moved) })
  await given.channel.send(given.part(team, { text: 'there' }), NEVER)
  assert.equal(given.fake.sent[0]?.chat, moved)
  await given.restart()
  await given.channel.send(given.part(team, { text: 'again' }), NEVER)
  assert.equal(given.fake.sent[1]?.chat, moved)
})

void test('shows that it is typing, in the topic, and has no word for having stopped', async () => {
  const topic = given.fake.world.topic(FORUM).message_id
  await given.channel.typing?.({ chat: String(FORUM), kind: 'group', thread: String(topic) }, true)
  await given.channel.typing?.(ann, false)
  assert.deepEqual(
    given.fake.called('sendChatAction').map(({ params }) => params),
    [{ chat_id: String(FORUM), action: 'typing', message_thread_id: topic }],
  )
})
