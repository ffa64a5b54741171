/** What every wire promises, run over each of them against a server that speaks it. */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import type { Message } from '#contract'
import { anthropic } from '../../../agents/models/anthropic.ts'
import { HttpModel } from '../../../agents/models/http.ts'
import type { Completion, ModelRequest } from '../../../agents/models/model.ts'
import { openaiChat } from '../../../agents/models/openai-chat.ts'
import { openaiResponses } from '../../../agents/models/openai-responses.ts'
import type { Wire } from '../../../agents/models/wire.ts'
import { FakeAnthropic } from '../../fakes/anthropic.ts'
import type { AnthropicLine, FakeBlock } from '../../fakes/anthropic.ts'
import { FakeOpenAI } from '../../fakes/openai.ts'
import type { Line } from '../../fakes/openai.ts'
import { FakeClock } from '../../support/fake-clock.ts'

interface Bench {
  readonly requests: readonly { readonly path: string; readonly body: { readonly [member: string]: unknown } }[]
  readonly said: string[]
  readonly ask: (request?: Partial<ModelRequest>) => Promise<Completion>
}

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function bench(wire: Wire, fake: FakeOpenAI | FakeAnthropic): Promise<Bench> {
  const baseUrl = new URL(await fake.start())
  const clock = new FakeClock()
  const model = new HttpModel({ wire, baseUrl, apiKey: 'key', headers: { 'x-extra': '1' } }, clock)
  cleanups.push(
    () => model.close(),
    () => fake.stop(),
    async () => assert.equal(clock.pending, 0, 'a timer is left'),
  )
  const said: string[] = []
  return {
    requests: fake.requests,
    said,
    ask: (request) => model.complete({ ...REQUEST, ...request }, new AbortController().signal, (text) => said.push(text)),
  }
}

const REQUEST: ModelRequest = {
  name: 'p/m-1',
  model: 'm-1',
  system: 'Be brief.',
  messages: [{ role: 'user', text: 'hi', sender: 'alice' }],
  tools: [{ name: 'look', description: 'Looks.', inputs: { type: 'object' } }],
  toolChoice: 'auto',
  maxOutputTokens: 100,
  idempotencyKey: 'turn-1:llm:1',
  timeoutMs: 60_000,
}

type Scene =
  | { readonly is: 'text'; readonly text: string; readonly cut?: boolean }
  | {
      readonly is: 'calls'
      readonly text: string
      readonly calls: readonly { readonly id: string; readonly name: string; readonly arguments: string }[]
    }
  | { readonly is: 'refusal'; readonly text: string }
  | { readonly is: 'truncated' }
  | { readonly is: 'whole'; readonly text: string }

const openai = (scene: Scene): Line => {
  switch (scene.is) {
    case 'text':
      return { do: 'text', text: scene.text, ...(scene.cut === true ? { reason: 'length' } : {}) }
    case 'calls':
      return { do: 'calls', text: scene.text, calls: scene.calls }
    case 'refusal':
      return { do: 'refuse', text: scene.text }
    case 'truncated':
      return { do: 'truncate', text: 'I was ab' }
    case 'whole':
      break
  }
  return { do: 'whole', text: scene.text }
}
const claude = (scene: Scene): AnthropicLine => {
  switch (scene.is) {
    case 'text':
      return { do: 'blocks', blocks: [{ type: 'text', text: scene.text }], ...(scene.cut === true ? { reason: 'max_tokens' } : {}) }
    case 'calls':
      return {
        do: 'blocks',
        blocks: [{ type: 'text', text: scene.text }, ...scene.calls.map((call): FakeBlock => ({ type: 'tool_use', ...call }))],
      }
    case 'refusal':
      return { do: 'blocks', blocks: [{ type: 'text', text: scene.text }], reason: 'refusal' }
    case 'truncated':
      return { do: 'truncate', text: 'I was ab' }
    case 'whole':
      break
  }
  return { do: 'whole', blocks: [{ type: 'text', text: scene.text }], reason: 'end_turn' }
}

const WIRES = [
  { name: 'openai-chat', wire: openaiChat, path: '/v1/chat/completions', fake: (scene: Scene) => new FakeOpenAI(openai(scene)) },
  { name: 'openai-responses', wire: openaiResponses, path: '/v1/responses', fake: (scene: Scene) => new FakeOpenAI(openai(scene)) },
  { name: 'anthropic', wire: anthropic, path: '/v1/messages', fake: (scene: Scene) => new FakeAnthropic(claude(scene)) },
]

for (const { name, wire, path, fake } of WIRES) {
  describe(`wire ${name}`, () => {
    test('reads text as it comes, with usage', async () => {
      const { ask, said, requests } = await bench(wire, fake({ is: 'text', text: 'Très bien 🙂 漢字' }))
      const completion = await ask()
      assert.equal(completion.text, 'Très bien 🙂 漢字')
      assert.equal(said.join(''), completion.text)
      assert.equal(completion.finish, 'stop')
      assert.equal(completion.tokens.input, 20)
      assert.equal(completion.tokens.output, 7)
      assert.equal(requests[0]?.path, path)
      assert.equal(requests[0]?.body['stream'], true)
    })

    test('puts calls together from their fragments and survives arguments that are no JSON', async () => {
      const calls = [
        { id: 'c_1', name: 'look', arguments: '{"where": "über 🙂", "deep": {"n": [1, 2]}}' },
        { id: 'c_2', name: 'look', arguments: '{"where": ' },
        { id: 'c_3', name: 'look', arguments: '' },
      ]
      const { ask } = await bench(wire, fake({ is: 'calls', text: 'Hm.', calls }))
      const completion = await ask()
      assert.equal(completion.finish, 'calls')
      assert.equal(completion.text, 'Hm.')
      assert.deepEqual(completion.calls, [
        { id: 'c_1', tool: 'look', input: { where: 'über 🙂', deep: { n: [1, 2] } }, fault: null },
        { id: 'c_2', tool: 'look', input: null, fault: 'the arguments are not valid JSON' },
        { id: 'c_3', tool: 'look', input: {}, fault: null },
      ])
    })

    test('tells a refusal and a cut answer from a whole one', async () => {
      const refused = await (await bench(wire, fake({ is: 'refusal', text: 'No.' }))).ask()
      assert.deepEqual([refused.finish, refused.text], ['refusal', 'No.'])
      const cut = await (await bench(wire, fake({ is: 'text', text: 'And the', cut: true }))).ask()
      assert.deepEqual([cut.finish, cut.text], ['length', 'And the'])
    })

    test('takes a stream that ends early for a fault, not for an answer', async () => {
      const { ask } = await bench(wire, fake({ is: 'truncated' }))
      await assert.rejects(ask(), { kind: 'transient', message: 'broke off in the middle of its answer' })
    })

    test('reads an answer that came in one piece', async () => {
      const { ask, said } = await bench(wire, fake({ is: 'whole', text: 'All at once.' }))
      assert.equal((await ask()).text, 'All at once.')
      assert.deepEqual(said, ['All at once.'])
    })

    test('sends fixed headers and the idempotency key', async () => {
      const server = fake({ is: 'text', text: 'ok' })
      await (await bench(wire, server)).ask()
      const headers = server.requests[0]?.headers
      assert.equal(headers?.['idempotency-key'], 'turn-1:llm:1')
      assert.equal(headers?.['x-extra'], '1')
      assert.equal(headers?.authorization ?? headers?.['x-api-key'], name === 'anthropic' ? 'key' : 'Bearer key')
    })
  })
}

const CONVERSATION: readonly Message[] = [
  { role: 'summary', text: 'They met.' },
  { role: 'user', text: '', sender: 'alice' },
  {
    role: 'assistant',
    text: 'Looking.',
    calls: [
      { id: 'c_1', skill: 'look', input: { a: 1 } },
      { id: 'c_2', skill: 'a.b', input: null },
    ],
  },
  { role: 'tool', call: 'c_1', skill: 'look', text: '{"found":1}' },
  { role: 'tool', call: 'c_2', skill: 'a.b', text: 'error busy: later' },
  { role: 'user', text: 'and?', sender: 'alice' },
]

test('a call that is demanded, and the form of an answer, are written in the words of each wire', async () => {
  const format = { name: 'person', description: null, schema: { type: 'object' }, isStrict: true }
  const said = async (wire: Wire, fake: FakeOpenAI | FakeAnthropic): Promise<readonly unknown[]> => {
    const { ask, requests } = await bench(wire, fake)
    await ask({ toolChoice: 'required' })
    await ask({ toolChoice: { tool: 'look' }, ...(wire.abilities.includes('json-schema') && { format }) })
    return requests.map(({ body }) => [body['tool_choice'], body['response_format'] ?? body['text'] ?? null])
  }
  const written = { name: 'person', schema: { type: 'object' }, strict: true }
  assert.deepEqual(await said(openaiChat, new FakeOpenAI()), [
    ['required', null],
    [
      { type: 'function', function: { name: 'look' } },
      { type: 'json_schema', json_schema: written },
    ],
  ])
  assert.deepEqual(await said(openaiResponses, new FakeOpenAI()), [
    ['required', null],
    [{ type: 'function', name: 'look' }, { format: { type: 'json_schema', ...written } }],
  ])
  assert.deepEqual(await said(anthropic, new FakeAnthropic()), [
    [{ type: 'any' }, null],
    [{ type: 'tool', name: 'look' }, null],
  ])
})

test('anthropic takes all results of one answer in one entry, marks what to cache, and keeps tools when they must not be used', async () => {
  const { ask, requests } = await bench(anthropic, new FakeAnthropic())
  await ask({ messages: CONVERSATION, toolChoice: 'none' })
  const body = requests[0]?.body
  const cached = { cache_control: { type: 'ephemeral' } }
  assert.deepEqual(body?.['system'], [{ type: 'text', text: 'Be brief.', ...cached }])
  assert.deepEqual(body['tool_choice'], { type: 'none' })
  assert.equal(Array.isArray(body['tools']), true)
  assert.deepEqual(body['messages'], [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'They met.' },
        { type: 'text', text: '(empty)' },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'text', text: 'Looking.' },
        { type: 'tool_use', id: 'c_1', name: 'look', input: { a: 1 } },
        { type: 'tool_use', id: 'c_2', name: (body['messages'] as { content: { name?: string }[] }[])[1]?.content[2]?.name, input: {} },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'c_1', content: '{"found":1}' },
        { type: 'tool_result', tool_use_id: 'c_2', content: 'error busy: later' },
        { type: 'text', text: 'and?', ...cached },
      ],
    },
  ])
})

test('anthropic thinking goes back in its place to the model that thought it, and to no other', async () => {
  const blocks: readonly FakeBlock[] = [
    { type: 'thinking', thinking: 'Let me see.', signature: 'sig-1' },
    { type: 'text', text: 'First. ' },
    { type: 'redacted_thinking', data: 'opaque' },
    { type: 'tool_use', id: 'c_1', name: 'look', arguments: '{}' },
  ]
  const { ask, requests } = await bench(anthropic, new FakeAnthropic({ do: 'blocks', blocks }))
  const { text, extra } = await ask()
  const turn: Message = { role: 'assistant', text, calls: [{ id: 'c_1', skill: 'look', input: {} }], extra }
  const messages: readonly Message[] = [...REQUEST.messages, turn, { role: 'tool', call: 'c_1', skill: 'look', text: '1' }]
  await ask({ messages })
  await ask({ messages, name: 'p/m-2', model: 'm-2' })
  const sent = (request: number): unknown => (requests[request]?.body['messages'] as { content: unknown }[] | undefined)?.[1]?.content
  const call = { type: 'tool_use', id: 'c_1', name: 'look', input: {} }
  assert.deepEqual(sent(1), [
    { type: 'thinking', thinking: 'Let me see.', signature: 'sig-1' },
    { type: 'text', text: 'First. ' },
    { type: 'redacted_thinking', data: 'opaque' },
    call,
  ])
  assert.deepEqual(sent(2), [{ type: 'text', text: 'First. ' }, call])
})

test('anthropic counts cached input as input', async () => {
  const usage = { cache_read_input_tokens: 100, cache_creation_input_tokens: 30 }
  const { ask } = await bench(anthropic, new FakeAnthropic({ do: 'blocks', blocks: [{ type: 'text', text: 'x' }], usage }))
  assert.deepEqual((await ask()).tokens, { input: 150, output: 7, cacheRead: 100, cacheWrite: 30 })
})

test('responses keep encrypted reasoning for the model that made it, and store nothing at the provider', async () => {
  const fake = new FakeOpenAI({ do: 'calls', calls: [{ id: 'c_1', name: 'look', arguments: '{}' }], reasoning: 'gibberish' })
  const { ask, requests } = await bench(openaiResponses, fake)
  const request = { name: 'openai/gpt-6-sol', model: 'gpt-6-sol' }
  const { text, extra, tokens } = await ask(request)
  assert.equal(tokens.cacheRead, 5)
  const turn: Message = { role: 'assistant', text, calls: [{ id: 'c_1', skill: 'look', input: {} }], extra }
  const messages: readonly Message[] = [...REQUEST.messages, turn, { role: 'tool', call: 'c_1', skill: 'look', text: '1' }]
  await ask({ ...request, messages })
  await ask({ name: 'openai/gpt-4o', model: 'gpt-4o', messages })
  assert.deepEqual(requests[1]?.body['input'], [
    { role: 'user', content: 'hi' },
    { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gibberish' },
    { type: 'function_call', call_id: 'c_1', name: 'look', arguments: '{}' },
    { type: 'function_call_output', call_id: 'c_1', output: '1' },
  ])
  assert.equal(requests[1].body['store'], false)
  assert.deepEqual(requests[1].body['include'], ['reasoning.encrypted_content'])
  assert.equal((requests[2]?.body['input'] as unknown[] | undefined)?.length, 3)
  assert.equal(requests[2]?.body['include'], undefined)
})

test('chat tells OpenAI the limit by its new name and everybody else by the old one', () => {
  const at = (url: string): object => JSON.parse(openaiChat.encode(REQUEST, new URL(url))) as object
  assert.ok('max_completion_tokens' in at('https://api.openai.com/v1'))
  assert.ok('max_tokens' in at('http://127.0.0.1:8000/v1'))
})

test('chat reads calls of servers that leave out the index or give arguments as an object', () => {
  const said: string[] = []
  const reader = openaiChat.read(REQUEST, (text) => said.push(text))
  const call = (rest: object): string => JSON.stringify({ choices: [{ delta: { tool_calls: [rest] } }] })
  reader.event(call({ id: 'x', function: { name: 'look', arguments: { a: 1 } } }), '')
  reader.event(call({ id: 'y', function: { name: 'look', arguments: '{"b"' } }), '')
  reader.event(call({ function: { arguments: ':2}' } }), '')
  reader.event(JSON.stringify({ choices: [{ delta: {}, finish_reason: 'tool_calls' }] }), '')
  assert.deepEqual(
    reader.finish().calls.map(({ id, input }) => [id, input]),
    [
      ['x', { a: 1 }],
      ['y', { b: 2 }],
    ],
  )
})

test('a character cut by every byte of the network is whole again', async () => {
  const { ask, said } = await bench(openaiChat, new FakeOpenAI({ do: 'bytes', text: 'é🙂漢' }))
  assert.equal((await ask()).text, 'é🙂漢')
  assert.equal(said.join(''), 'é🙂漢')
})
