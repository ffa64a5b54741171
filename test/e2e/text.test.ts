/**
 * Words arrive as they were said, on every way through the gateway: into the store and out of it after SIGKILL, into the model's request, back as
 * its reply, over HTTP, server-sent events and WebSocket, in the session's memory and in the next prompt.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeOpenAI } from '../fakes/openai.ts'
import { readEvents } from '../gateway/http/events.ts'
import { ended, post } from '../support/conversation.ts'
import type { MessageDocument } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import { SocketClient } from '../support/socket-client.ts'

const PIECE = '🦞 naïve e\u0301 ﷽ \u{1F469}\u200D\u{1F680} "\\\n'
const TEXTS: { readonly [name: string]: string } = {
  'NUL and other controls': 'a\0b\u0001\u0007\u001b[31m\u007f\u0085c',
  'right to left': 'שלום \u202eמרחבا\u202c مرحبا',
  'four-byte letters': '😀🏳️‍🌈𝔘𝔫𝔦𠜎',
  'combining marks, composed and not': 'e\u0301 \u00e9 Z\u0351\u036b\u0343 \u1100\u1161\u11a8',
  'line ends, separators and a mark': '\ufeff first\r\nsecond\rthird\n\n\u2028\u2029 data: x\n\nevent: y\n\n  ',
  'non-characters': '\uffff\ufffe\ufffd\u{10ffff}',
  'half a pair': 'high \ud83d, low \udc00, wrong way round \udc00\ud83d.',
  'what looks like code': '{"text":"x"} ${HOME} </script> %s \\u0000 \'; DROP TABLE inbox; --',
  '64 kB': PIECE.repeat(Math.ceil(65_536 / Buffer.byteLength(PIECE))),
}

test('words are kept exactly from the request to the reply', { timeout: 60_000 }, async (context) => {
  const model = new FakeOpenAI()
  const baseUrl = await model.start()
  context.after(() => model.stop())
  const llm = { providers: { fake: { base_url: baseUrl, api: 'chat', api_key: 'k' } }, defaults: { primary: 'fake/m' } }
  const agents = { assistant: { limits: { max_context_tokens: 200_000 } } }
  const first = await startGateway(context, { config: { llm, agents } })

  const ids = new Map<string, string>()
  const prompts = (): readonly (readonly string[])[] =>
    model.requests.map(({ body }) => (body['messages'] as readonly { content: string }[]).map(({ content }) => content))
  for (const [name, text] of Object.entries(TEXTS)) {
    const answer = await post(first, '/v1/messages?wait=20', { payload: text, metadata: { user_id: name, note: text } })
    assert.equal(answer.status, 200, name)
    const document = (await answer.json()) as MessageDocument
    ids.set(name, document.message_id)
    assert.deepEqual([document.payload.text, document.metadata['note']], [text, text], name)
    assert.equal(document.replies[0]?.text, `re: ${text}`, name)
    assert.equal(prompts().at(-1)?.at(-1), text, `${name}: what the model was told`)
  }
  await first.kill9()

  const gateway = await startGateway(context, { dir: first.dir })
  const socket = await SocketClient.open(new URL(gateway.url).host, gateway.key)
  for (const [name, text] of Object.entries(TEXTS)) {
    const kept = await ended(gateway, ids.get(name) ?? '')
    assert.deepEqual([kept.payload.text, kept.replies[0]?.text], [text, `re: ${text}`], `${name}: after SIGKILL`)

    const events = []
    for await (const event of readEvents(await gateway.fetch(`/v1/messages/${kept.message_id}/stream`))) events.push(event)
    const reply = events.find(({ event }) => event === 'reply')?.data as { text: string }
    assert.equal(reply.text, `re: ${text}`, `${name}: as an event`)

    const session = (kept as unknown as { session: string }).session
    const memory = (await (await gateway.fetch(`/v1/sessions/${encodeURIComponent(session)}/messages`)).json()) as {
      readonly data: readonly { role: string; text: string }[]
    }
    const said = memory.data.map(({ role, text }) => [role, text])
    assert.deepEqual(
      said,
      [
        ['assistant', `re: ${text}`],
        ['user', text],
      ],
      `${name}: in the memory`,
    )
    await (await post(gateway, '/v1/messages?wait=20', { payload: 'and now', metadata: { user_id: name } })).json()
    assert.deepEqual(prompts().at(-1)?.slice(1), [text, `re: ${text}`, 'and now'], `${name}: in the next prompt`)

    socket.send({ type: 'message', id: name, conversation: name, payload: text })
    assert.equal((await socket.next('reply'))['text'], `re: ${text}`, `${name}: over WebSocket`)
    const deltas = socket.of('delta').filter(({ conversation }) => conversation === name)
    assert.equal(
      deltas.flatMap(({ text: said }) => (typeof said === 'string' ? [said] : [])).join(''),
      `re: ${text}`,
      `${name}: as it came`,
    )
  }

  const names = ['half \ud83d', 'nul \0', ''].map((user) => post(gateway, '/v1/messages', { payload: 'x', metadata: { user_id: user } }))
  for (const refused of await Promise.all(names)) assert.equal(refused.status, 422, 'names are strict, because they become keys')
})
