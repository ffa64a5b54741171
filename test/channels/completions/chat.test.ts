/** OpenAI's own client, unchanged, against `POST /v1/chat/completions`. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { APIError, APIUserAbortError, AuthenticationError, PermissionDeniedError } from 'openai'
import type OpenAI from 'openai'
import { apiError, startWorld } from './world.ts'
import type { Json, World } from './world.ts'

const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Tells the weather.',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
} as const

describe('chat completions', { timeout: 60_000 }, () => {
  let world: World
  let client: OpenAI
  before(async () => {
    world = await startWorld()
    client = world.client
  })
  after(() => world.stop())

  const ask = (content: string, more: object = {}): Promise<OpenAI.ChatCompletion> =>
    client.chat.completions.create({ model: 'openclaw/main', messages: [{ role: 'user', content }], ...more })

  test('an answer has its text, reason and usage', async () => {
    const completion = await ask('hello')
    assert.equal(completion.object, 'chat.completion')
    assert.match(completion.id, /^chatcmpl-[0-9A-Z]{26}$/)
    assert.equal(completion.model, 'openclaw/main')
    const [choice] = completion.choices
    assert.equal(choice?.message.content, 're: hello')
    assert.equal(choice?.finish_reason, 'stop')
    const usage = world.model.requests.length > 0 ? completion.usage : undefined
    assert.ok(usage !== undefined && usage.total_tokens === usage.prompt_tokens + usage.completion_tokens && usage.prompt_tokens > 0)
  })

  test('a request is a message like any other, done once', async () => {
    const { data, response } = await client.chat.completions
      .create({ model: 'openclaw/main', messages: [{ role: 'user', content: 'on record' }], user: 'ann', metadata: { order: '7' } })
      .withResponse()
    const id = response.headers.get('x-openclaw-message') ?? ''
    const message = (await (await world.fetch(`/v1/messages/${id}`)).json()) as Json
    assert.equal(message['status'], 'done')
    assert.equal(message['sender_id'], 'ann')
    assert.equal(message['agent'], 'main')
    assert.deepEqual((message['metadata'] as Json)['labels'], { order: '7' })
    assert.equal(data.id, `chatcmpl-${id.slice(4)}`)
  })

  test('a stream is the same answer in chunks, with usage when it is asked for', async () => {
    world.model.add({ do: 'text', text: 'one two three four five' })
    const stream = await client.chat.completions.create({
      model: 'openclaw/main',
      messages: [{ role: 'user', content: 'stream it' }],
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks: OpenAI.ChatCompletionChunk[] = []
    for await (const chunk of stream) chunks.push(chunk)
    assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant')
    assert.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), 'one two three four five')
    assert.ok(chunks.length > 4, 'it came in pieces')
    assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop')
    assert.deepEqual(chunks.at(-1)?.choices, [])
    assert.ok((chunks.at(-1)?.usage?.total_tokens ?? 0) > 0)
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1)
  })

  test('the stream on the wire ends with [DONE]', async () => {
    const response = await world.fetch('/v1/chat/completions', {
      method: 'POST',
      json: { model: 'openclaw/main', messages: [{ role: 'user', content: 'wire' }], stream: true },
    })
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data: '))
    assert.equal(lines.at(-1), 'data: [DONE]')
    assert.ok(lines.slice(0, -1).every((line) => (JSON.parse(line.slice(6)) as Json)['object'] === 'chat.completion.chunk'))
    assert.ok(lines.slice(0, -1).every((line) => !('usage' in (JSON.parse(line.slice(6)) as Json))))
  })

  test('the history that a client gives is what the model is told, and nothing of it stays', async () => {
    await client.chat.completions.create({
      model: 'openclaw/main',
      messages: [
        { role: 'system', content: 'Speak like a pirate.' },
        { role: 'user', content: 'my name is Ann' },
        { role: 'assistant', content: 'Ahoy Ann' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'what is ' },
            { type: 'text', text: 'my name' },
          ],
        },
      ],
    })
    assert.deepEqual(world.prompts().at(-1), [
      { role: 'system', content: 'You are main.\n\nSpeak like a pirate.' },
      { role: 'user', content: 'my name is Ann' },
      { role: 'assistant', content: 'Ahoy Ann' },
      { role: 'user', content: 'what is my name' },
    ])
    await ask('another')
    assert.deepEqual(
      world
        .prompts()
        .at(-1)
        ?.map(({ content }) => content),
      ['You are main.', 'another'],
    )
  })

  test('also where an agent shares one memory with everybody', async () => {
    await client.chat.completions.create({ model: 'openclaw/shared', messages: [{ role: 'user', content: 'a secret of one client' }] })
    await client.chat.completions.create({ model: 'openclaw/shared', messages: [{ role: 'user', content: 'hello' }] })
    assert.ok(!JSON.stringify(world.prompts().at(-1)).includes('secret'))
  })

  test('a session that is named lasts, and is told only what is new', async () => {
    const options = { headers: { 'x-openclaw-session-key': 'notes' } }
    const say = (messages: OpenAI.ChatCompletionMessageParam[]): Promise<OpenAI.ChatCompletion> =>
      client.chat.completions.create({ model: 'openclaw/main', messages }, options)
    await say([{ role: 'user', content: 'first' }])
    await say([
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 're: first' },
      { role: 'user', content: 'second' },
    ])
    assert.deepEqual(
      world
        .prompts()
        .at(-1)
        ?.map(({ content }) => content),
      ['You are main.', 'first', 're: first', 'second'],
    )
  })

  test("a call of the client's tool ends the answer, and its result continues it", async () => {
    world.model.add({
      do: 'calls',
      text: 'Let me see.',
      calls: [{ id: 'call_w', name: 'get_weather', arguments: '{"city":"Bern"}' }],
    })
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'weather in Bern?' }]
    const first = await client.chat.completions.create({ model: 'openclaw/main', messages, tools: [TOOL] })
    assert.equal(first.choices[0]?.finish_reason, 'tool_calls')
    const message = first.choices[0]?.message
    assert.deepEqual(message?.tool_calls, [
      { id: 'call_w', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Bern"}' } },
    ])
    assert.equal(message?.content, 'Let me see.')
    assert.deepEqual(world.model.requests.at(-1)?.body['tools'], [TOOL])
    world.model.add({ do: 'text', text: 'It is sunny.' })
    const second = await client.chat.completions.create({
      model: 'openclaw/main',
      messages: [...messages, ...(message === undefined ? [] : [message]), { role: 'tool', tool_call_id: 'call_w', content: 'sunny' }],
      tools: [TOOL],
    })
    assert.equal(second.choices[0]?.message.content, 'It is sunny.')
    assert.deepEqual(world.prompts().at(-1)?.slice(-2), [
      {
        role: 'assistant',
        content: 'Let me see.',
        tool_calls: [{ id: 'call_w', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Bern"}' } }],
      },
      { role: 'tool', tool_call_id: 'call_w', content: 'sunny' },
    ])
  })

  test('several calls come at once, also in a stream', async () => {
    const calls = ['a', 'b'].map((id) => ({ id, name: 'get_weather', arguments: `{"city":"${id}"}` }))
    world.model.add({ do: 'calls', calls })
    const stream = client.chat.completions.stream({ model: 'openclaw/main', messages: [{ role: 'user', content: 'both' }], tools: [TOOL] })
    const completion = await stream.finalChatCompletion()
    assert.equal(completion.choices[0]?.finish_reason, 'tool_calls')
    assert.deepEqual(
      completion.choices[0]?.message.tool_calls?.map((call) => (call.type === 'function' ? [call.id, call.function.arguments] : [])),
      [
        ['a', '{"city":"a"}'],
        ['b', '{"city":"b"}'],
      ],
    )
  })

  test("the client's own tool loop runs", async () => {
    world.model.add({ do: 'calls', calls: [{ id: 'call_l', name: 'get_weather', arguments: '{"city":"Rome"}' }] })
    const asked: unknown[] = []
    const runner = client.chat.completions.runTools({
      model: 'openclaw/main',
      messages: [{ role: 'user', content: 'loop' }],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'Tells the weather.',
            parameters: { type: 'object', properties: {} },
            parse: (text: string) => JSON.parse(text) as Json,
            function: (input: Json) => {
              asked.push(input)
              world.model.add({ do: 'text', text: 'Rome is warm.' })
              return 'warm'
            },
          },
        },
      ],
    })
    assert.equal(await runner.finalContent(), 'Rome is warm.')
    assert.deepEqual(asked, [{ city: 'Rome' }])
  })

  test('with tool_choice none the tools are not offered', async () => {
    await ask('no tools please', { tools: [TOOL], tool_choice: 'none' })
    assert.equal(world.model.requests.at(-1)?.body['tools'], undefined)
  })

  test('an answer that was cut says so, and fewer tokens than the agent may write are asked for', async () => {
    world.model.add({ do: 'text', text: 'Once upon', reason: 'length' })
    const completion = await ask('long story', { max_completion_tokens: 7 })
    assert.equal(completion.choices[0]?.finish_reason, 'length')
    assert.equal(world.model.requests.at(-1)?.body['max_tokens'], 7)
    await client.chat.completions.create({ model: 'openclaw/short', messages: [{ role: 'user', content: 'x' }], max_tokens: 9_999 })
    assert.equal(world.model.requests.at(-1)?.body['max_tokens'], 50)
  })

  test('the same Idempotency-Key is one message and one answer, whole or as a stream', async () => {
    const before = world.model.requests.length
    const options = { headers: { 'idempotency-key': 'same' } }
    const body = { model: 'openclaw/main', messages: [{ role: 'user', content: 'only once' }] } as const
    const first = await client.chat.completions.create({ ...body, messages: [...body.messages] }, options)
    const { data: again, response } = await client.chat.completions
      .create({ ...body, messages: [...body.messages] }, options)
      .withResponse()
    assert.deepEqual(again, first)
    assert.equal(response.headers.get('idempotency-replayed'), 'true')
    assert.equal(world.model.requests.length, before + 1)
    const other = await apiError(client.chat.completions.create({ ...body, messages: [{ role: 'user', content: 'other' }] }, options))
    assert.deepEqual([other.status, other.code], [400, 'idempotency_key_reused'])
    const streamed = { headers: { 'idempotency-key': 'streamed' } }
    const texts: string[] = []
    for (let n = 0; n < 2; n++) {
      const stream = await client.chat.completions.create({ ...body, messages: [...body.messages], stream: true }, streamed)
      let text = ''
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      texts.push(text)
    }
    assert.deepEqual(texts, ['re: only once', 're: only once'])
    assert.equal(world.model.requests.length, before + 2)
  })

  test('who goes away loses nothing: the turn ends, and the same key brings its answer', async () => {
    world.model.add({ do: 'hold', line: { do: 'text', text: 'here it is' } })
    const gone = new AbortController()
    const options = { headers: { 'idempotency-key': 'slow' }, signal: gone.signal }
    const body = { model: 'openclaw/main', messages: [{ role: 'user' as const, content: 'slow' }] }
    const asking = client.chat.completions.create(body, options)
    await world.model.received(world.model.requests.length + 1)
    gone.abort()
    await assert.rejects(asking, APIUserAbortError)
    world.model.release()
    const completion = await client.chat.completions.create(body, { headers: { 'idempotency-key': 'slow' } })
    assert.equal(completion.choices[0]?.message.content, 'here it is')
    assert.equal(await waiting(), 0)
  })

  const waiting = async (): Promise<number> => {
    const text = await (await world.fetch('/api/metrics')).text()
    return Number(/openclaw_completions_waiting\{[^}]*\} (\d+)/.exec(text)?.[1])
  }

  test('a turn that fails is an error once, and not sent again', async () => {
    const bad = { do: 'status', status: 400, body: { error: { message: 'bad prompt' } } } as const
    world.model.add(bad, bad)
    const before = world.model.requests.length
    const whole = await apiError(ask('fail'))
    assert.equal(whole.status, 502)
    assert.ok(whole.code !== null && whole.code !== undefined && whole.code !== '')
    assert.equal(world.model.requests.length, before + 1)
    const stream = await client.chat.completions.create({
      model: 'openclaw/main',
      messages: [{ role: 'user', content: 'fail' }],
      stream: true,
    })
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, APIError)
  })

  const refusals: readonly (readonly [what: string, body: object, status: number, code: string, param: string | null])[] = [
    ['an unknown model', { model: 'gpt-4o' }, 404, 'model_not_found', null],
    ['an agent that is not there', { model: 'openclaw/nobody' }, 404, 'model_not_found', null],
    ['no messages', { messages: [] }, 400, 'invalid_value', 'messages'],
    ['a parameter of nobody', { colour: 'red' }, 400, 'invalid_value', 'colour'],
    ['several answers', { n: 2 }, 400, 'unsupported_parameter', 'n'],
    ['an answer by schema', { response_format: { type: 'json_object' } }, 400, 'unsupported_parameter', 'response_format'],
    [
      'a choice of some tools',
      { tools: [TOOL], tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [] } },
      400,
      'unsupported_parameter',
      'tool_choice',
    ],
    ['a tool that is no function', { tools: [{ type: 'web_search' }] }, 400, 'unsupported_parameter', 'tools[0]'],
    [
      'a picture',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a.example/x.png' } }] }] },
      400,
      'unsupported_parameter',
      'messages[0].content[0]',
    ],
    [
      'a result without its call',
      { messages: [{ role: 'tool', tool_call_id: 'x', content: 'y' }] },
      400,
      'invalid_value',
      'messages[0].tool_call_id',
    ],
    ...(
      [
        ['nested without end', '['.repeat(200_000) + ']'.repeat(200_000)],
        ['that poison objects', '{"a":{"__proto__":{"polluted":true}}}'],
      ] as const
    ).map(([what, given]): (typeof refusals)[number] => [
      `a call with arguments ${what}`,
      {
        messages: [
          { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: given } }] },
          { role: 'tool', tool_call_id: 'c', content: 'r' },
        ],
      },
      400,
      'invalid_value',
      'messages[0].tool_calls[0]',
    ]),
    ['words put into its mouth', { messages: [{ role: 'assistant', content: 'I' }] }, 400, 'invalid_value', 'messages'],
    ['a limit of nothing', { max_tokens: 0 }, 400, 'invalid_value', 'max_completion_tokens'],
  ]
  for (const [what, body, status, code, param] of refusals) {
    test(`${what} is refused in the words of that API`, async () => {
      const error = await apiError(ask('x', body))
      assert.deepEqual([error.status, error.code, error.param ?? null], [status, code, param])
      assert.equal(error.type, 'invalid_request_error')
      assert.ok(error.message.length > 10)
    })
  }

  test('arguments of a model that are nested without end are told to it, and the turn goes on', async () => {
    world.model.add(
      { do: 'calls', calls: [{ name: 'get_weather', arguments: '['.repeat(100_000) + ']'.repeat(100_000) }] },
      { do: 'text', text: 'never mind' },
    )
    const completion = await ask('dive', { tools: [TOOL] })
    assert.equal(completion.choices[0]?.message.content, 'never mind')
    assert.match(JSON.stringify(world.prompts().at(-1)), /arguments are refused: Nested more than 32 deep/)
  })

  test('what only tunes a model is passed over', async () => {
    await ask('tuned', {
      temperature: 0.2,
      top_p: 1,
      seed: 1,
      n: 1,
      parallel_tool_calls: true,
      response_format: { type: 'text' },
      stop: null,
      store: true,
    })
  })

  test('a wrong key and a narrow one are told apart', async () => {
    const messages = [{ role: 'user' as const, content: 'x' }]
    const wrong = await apiError(world.clientWith('ock_live_00000000_no').chat.completions.create({ model: 'openclaw/main', messages }))
    assert.ok(wrong instanceof AuthenticationError)
    assert.equal(wrong.code, 'invalid_api_key')
    const made = (await (await world.fetch('/v1/keys', { method: 'POST', json: { name: 'n', scopes: ['messages:write'] } })).json()) as Json
    const narrow = await apiError(
      world.clientWith(String(made['key'] ?? made['secret'])).chat.completions.create({ model: 'openclaw/main', messages }),
    )
    assert.ok(narrow instanceof PermissionDeniedError)
  })

  test('a conversation of thousands of words and messages is taken', async () => {
    const messages = Array.from({ length: 1_501 }, (_, n) => ({
      role: n % 2 === 0 ? ('user' as const) : ('assistant' as const),
      content: `m${n}`,
    }))
    const completion = await client.chat.completions.create({ model: 'openclaw/main', messages })
    assert.equal(completion.choices[0]?.message.content, 're: m1500')
  })

  test('what the gateway itself knows of a client cannot be said through a message', async () => {
    const response = await world.fetch('/v1/messages', { method: 'POST', json: { payload: 'x', metadata: { client_turn: { tools: [] } } } })
    assert.equal(response.status, 422)
  })

  test('the agents are listed as models', async () => {
    const models = await client.models.list()
    assert.deepEqual(
      models.data.map(({ id }) => id).toSorted((a, b) => a.localeCompare(b)),
      ['openclaw/echo', 'openclaw/main', 'openclaw/mixed', 'openclaw/shared', 'openclaw/short', 'openclaw/skilled'],
    )
    assert.equal((await client.models.retrieve('openclaw/main')).owned_by, 'openclaw')
    assert.equal((await apiError(client.models.retrieve('openclaw/nobody'))).status, 404)
  })
})
