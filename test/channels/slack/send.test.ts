/** The way out: one call a part, what its failure means, whether it arrived, and files fetched back. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { ChannelFault } from '#contract'
import type { SendFault } from '#contract'
import { never, openHarness, part } from './harness.ts'
import type { Harness } from './harness.ts'

let given: Harness
beforeEach(async () => {
  given = await openHarness()
  await given.start()
  given.fake.place('C0TEAM')
  given.fake.place('D0ANN')
})
afterEach(() => given.close())

const POST = 'chat.postMessage'

test('a part is one message in its thread, marked with its id', async () => {
  const { fake, channel } = given
  const { ts } = fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'x' })
  const sending = part('*hi*', { chat: 'C0TEAM', thread: ts })
  const { id } = await channel.send(sending, never)
  const calls = fake.calls.filter(({ method }) => method === POST)
  assert.equal(calls.length, 1)
  assert.equal(calls[0]?.token, fake.botToken)
  const { channel: chat, text, thread_ts, metadata } = calls[0]?.args ?? {}
  assert.deepEqual([chat, text, thread_ts], ['C0TEAM', '*hi*', ts])
  assert.deepEqual(JSON.parse(metadata ?? ''), { event_type: 'openclaw_delivery', event_payload: { id: sending.id } })
  assert.equal(id, fake.sent[0]?.ts)
})

test('what is typed plainly pings nobody, and no page that is named is fetched', async () => {
  const { fake, channel } = given
  await channel.send(part('@channel @here see https://evil.example/?secret', { chat: 'D0ANN' }), never)
  assert.deepEqual(fake.sent[0]?.called, [])
  const { link_names, parse, unfurl_links, unfurl_media } = fake.sent[0]?.args ?? {}
  assert.deepEqual([link_names, parse, unfurl_links, unfurl_media], ['false', 'none', 'false', 'false'])
})

test('half a surrogate pair and NUL do not keep a part from leaving', async () => {
  await given.channel.send(part('a\ud83d b\u0000', { chat: 'D0ANN' }), never)
  assert.equal(given.fake.sent[0]?.args['text'], 'a\ufffd b\u0000')
})

describe('a failure is', () => {
  const fault = async (signal = never): Promise<ChannelFault> => {
    try {
      await given.channel.send(part('hi', { chat: 'C0TEAM' }), signal)
    } catch (error) {
      assert.ok(error instanceof ChannelFault, String(error))
      assert.ok(!error.message.includes(given.fake.botToken))
      return error
    }
    throw new Error('it was sent')
  }
  const words: readonly (readonly [word: string, is: SendFault])[] = [
    ...['channel_not_found', 'not_in_channel', 'is_archived', 'msg_too_long', 'no_text', 'restricted_action', 'some_new_word'].map(
      (word) => [word, { is: 'permanent' }] as const,
    ),
    ...['invalid_auth', 'token_revoked', 'account_inactive', 'token_expired'].map((word) => [word, { is: 'auth' }] as const),
    ['missing_scope', { is: 'config' }],
    ['ratelimited', { is: 'rate', afterMs: 10_000, scope: 'chat' }],
    ['internal_error', { is: 'transient', maybeSent: true }],
    ['<html>A proxy says no</html>', { is: 'transient', maybeSent: true }],
  ]
  for (const [word, is] of words) {
    test(`${is.is} where Slack says ${word}`, async () => {
      given.fake.mishap(POST, { do: 'error', error: word })
      assert.deepEqual((await fault()).fault, is)
      assert.equal(given.fake.calls.filter(({ method }) => method === POST).length, 1)
    })
  }

  test('a rate limit of as long as Slack says, without a retry of the client', async () => {
    given.fake.mishap(POST, { do: 'status', status: 429, headers: { 'retry-after': '7' } })
    given.fake.mishap(POST, { do: 'status', status: 429 })
    assert.deepEqual((await fault()).fault, { is: 'rate', afterMs: 7_000, scope: 'chat' })
    assert.deepEqual((await fault()).fault, { is: 'rate', afterMs: 10_000, scope: 'chat' })
    assert.equal(given.fake.calls.filter(({ method }) => method === POST).length, 2)
  })

  test('maybe sent where the request left and no good answer came', async () => {
    given.fake.mishap(POST, { do: 'status', status: 503 })
    given.fake.mishap(POST, { do: 'cut' })
    given.fake.mishap(POST, { do: 'lose' })
    for (let times = 0; times < 3; times++) assert.deepEqual((await fault()).fault, { is: 'transient', maybeSent: true })
  })

  test('maybe sent where the hub ends the waiting', async () => {
    given.fake.mishap(POST, { do: 'hang' })
    const cut = new AbortController()
    const failed = fault(cut.signal)
    await given.fake.until(() => given.fake.calls.some(({ method }) => method === POST), 'the call')
    cut.abort()
    assert.deepEqual((await failed).fault, { is: 'transient', maybeSent: true })
  })

  test('certainly not sent where there is nobody to connect to', async () => {
    const away = await openHarness()
    await away.start()
    await away.fake.close()
    // This one may still have left by a connection that was open.
    await assert.rejects(away.channel.send(part('hi', { chat: 'C0TEAM' }), never))
    await assert.rejects(away.channel.send(part('hi', { chat: 'C0TEAM' }), never), (error) => {
      assert.ok(error instanceof ChannelFault)
      assert.deepEqual(error.fault, { is: 'transient', maybeSent: false })
      return true
    })
    await away.close()
  })
})

describe('whether it arrived', () => {
  for (const where of ['a chat', 'a thread']) {
    test(`is told by the history of ${where}, however much was said since`, async () => {
      const { fake, channel } = given
      const { ts } = fake.say({ channel: 'C0TEAM', user: 'U0ANN', text: 'x' })
      const to = where === 'a chat' ? { chat: 'C0TEAM' } : { chat: 'C0TEAM', thread: ts }
      const [lost, cut] = [part('lost', to), part('cut', to)]
      fake.mishap(POST, { do: 'lose' })
      fake.mishap(POST, { do: 'cut' })
      await assert.rejects(channel.send(lost, never))
      await assert.rejects(channel.send(cut, never))
      for (let more = 0; more < 450; more++) {
        const message = { type: 'message', channel: 'C0TEAM', user: 'U0BOB', text: 'more', ts: `${Number(ts) + 10 + more}` } as const
        fake.messages.push(where === 'a chat' ? message : { ...message, thread_ts: ts })
      }
      assert.deepEqual(await channel.confirm?.(lost, never), { outcome: 'sent', id: fake.sent[0]?.ts })
      assert.deepEqual(await channel.confirm?.(cut, never), { outcome: 'absent' })
    })
  }

  test('is unknown where the history may not be read, and that stops nothing', async () => {
    for (const error of ['missing_scope', 'not_in_channel', 'channel_not_found']) {
      given.fake.mishap('conversations.history', { do: 'error', error })
      assert.deepEqual(await given.channel.confirm?.(part('x', { chat: 'C0TEAM' }), never), { outcome: 'unknown' })
    }
  })

  test('is asked again where Slack does not answer', async () => {
    given.fake.mishap('conversations.history', { do: 'status', status: 429, headers: { 'retry-after': '3' } })
    await assert.rejects(given.channel.confirm?.(part('x', { chat: 'C0TEAM' }), never) ?? Promise.resolve(), { code: 'SLACK_RATE_LIMITED' })
  })

  test('is looked for no further back than the part is old', async () => {
    await given.channel.confirm?.(part('x', { chat: 'C0TEAM' }), never)
    const oldest = Number(given.fake.calls.at(-1)?.args['oldest'])
    const age = Date.now() / 1_000 - oldest
    assert.ok(age >= 300 && age < 320, String(age))
  })
})

describe('files', () => {
  test('are fetched with the token', async () => {
    const { id, mimetype } = given.fake.file('a.png', 'image/png', Buffer.from('pixels'))
    const media = await given.channel.media?.({ id, media_type: mimetype }, never)
    assert.equal(Buffer.from(media?.bytes ?? []).toString(), 'pixels')
    assert.equal(media?.mediaType, 'image/png')
  })

  test('that are gone, lie elsewhere, or are hidden behind a page to sign in are gone', async () => {
    const { fake, channel } = given
    const gone = async (id: string): Promise<void> => {
      await assert.rejects(channel.media?.({ id, media_type: 'image/png' }, never) ?? Promise.resolve(), { code: 'MEDIA_GONE' })
    }
    await gone('F0NOBODY')
    const elsewhere = fake.file('b.png', 'image/png', Buffer.from('x'), 'http://127.0.0.2:9/b.png')
    await gone(elsewhere.id)
    const hidden = fake.file('c.png', 'image/png', Buffer.from('x'), `${fake.origin}/files-pri/nowhere?by=token`)
    await gone(hidden.id)
  })
})
