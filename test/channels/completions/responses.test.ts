/** OpenAI's own client, unchanged, against `POST /v1/responses`. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type OpenAI from 'openai'
import { apiError, startWorld } from './world.ts'
import type { Json, World } from './world.ts'

const TOOL = {
  type: 'function',
  name: 'get_weather',
  description: 'Tells the weather.',
  parameters: { type: 'object' },
  strict: null,
} as const

describe('responses', { timeout: 60_000 }, () => {
  let world: World
  let client: OpenAI
  before(async () => {
    world = await startWorld()
    client = world.client
  })
  after(() => world.stop())

  const told = (): unknown[] => (world.prompts().at(-1) ?? []).map(({ content }) => content)
  const ask = (input: string, more: object = {}): Promise<OpenAI.Responses.Response> =>
    client.responses.create({ model: 'openclaw/main', input, ...more, stream: false })

  test('an answer has its text, status and usage, and repeats what it was asked', async () => {
    const response = await ask('hello', { instructions: 'Be kind.', metadata: { order: '7' } })
    assert.match(response.id, /^resp_[0-9A-Z]{26}$/)
    assert.equal(response.output_text, 're: hello')
    assert.deepEqual([response.object, response.status, response.model, response.error], ['response', 'completed', 'openclaw/main', null])
    assert.equal(response.instructions, 'Be kind.')
    assert.deepEqual(response.metadata, { order: '7' })
    const { usage } = response
    assert.ok(usage !== undefined && usage.total_tokens === usage.input_tokens + usage.output_tokens && usage.input_tokens > 0)
    assert.deepEqual(told(), ['You are main.\n\nBe kind.', 'hello'])
  })

  test('what comes after a response is told what was said before it', async () => {
    const first = await ask('my name is Ann')
    const second = await ask('and my cat is Tom', { previous_response_id: first.id })
    assert.deepEqual(told(), ['You are main.', 'my name is Ann', 're: my name is Ann', 'and my cat is Tom'])
    assert.equal(second.previous_response_id, first.id)
    await ask('who are we', { previous_response_id: second.id })
    assert.equal(told().length, 6)
  })

  test('only the newest response can be gone on from, and none that was not kept or is not there', async () => {
    const first = await ask('one')
    await ask('two', { previous_response_id: first.id })
    const fork = await apiError(ask('another two', { previous_response_id: first.id }))
    assert.deepEqual([fork.status, fork.code, fork.param], [400, 'previous_response_not_latest', 'previous_response_id'])
    const fleeting = await ask('forget me', { store: false })
    assert.equal((await apiError(ask('x', { previous_response_id: fleeting.id }))).code, 'previous_response_not_found')
    assert.equal((await apiError(ask('x', { previous_response_id: 'resp_nothing' }))).code, 'previous_response_not_found')
  })

  test('the response of another key looks missing', async () => {
    const mine = await ask('mine')
    const made = (await (
      await world.fetch('/v1/keys', { method: 'POST', json: { name: 'other', scopes: ['agent:execute'] } })
    ).json()) as Json
    const other = world.clientWith(String(made['key'] ?? made['secret']))
    const error = await apiError(other.responses.create({ model: 'openclaw/main', input: 'yours?', previous_response_id: mine.id }))
    assert.equal(error.code, 'previous_response_not_found')
    const missing = await apiError(
      other.responses.create({ model: 'openclaw/main', input: 'x', previous_response_id: 'resp_01JD0000000000000000000000' }),
    )
    assert.equal(missing.message, error.message)
    const same = await other.responses.create({ model: 'openclaw/main', input: 'a', conversation: 'shared name' })
    await ask('b', { conversation: 'shared name' })
    assert.equal(same.status, 'completed')
    assert.deepEqual(told(), ['You are main.', 'b'])
  })

  test('a conversation that is named lasts', async () => {
    await ask('first', { conversation: 'trip' })
    await ask('second', { conversation: { id: 'trip' } })
    assert.deepEqual(told(), ['You are main.', 'first', 're: first', 'second'])
    const both = await apiError(ask('x', { conversation: 'trip', previous_response_id: 'resp_x' }))
    assert.equal(both.param, 'conversation')
  })

  test('a stream is events with growing numbers, and the same response at its end', async () => {
    world.model.add({ do: 'text', text: 'one two three four five' })
    const stream = await client.responses.create({ model: 'openclaw/main', input: 'stream it', stream: true })
    const events: OpenAI.Responses.ResponseStreamEvent[] = []
    for await (const event of stream) events.push(event)
    assert.deepEqual(
      events.map((event) => event.sequence_number),
      events.map((_, index) => index),
    )
    const types = events.map(({ type }) => type)
    assert.deepEqual(types.slice(0, 4), [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
    ])
    assert.deepEqual(types.slice(-4), [
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    const text = events.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []))
    assert.ok(text.length > 3, 'it came in pieces')
    assert.equal(text.join(''), 'one two three four five')
    const helper = client.responses.stream({ model: 'openclaw/main', input: 'again' })
    assert.equal((await helper.finalResponse()).output_text, 're: again')
  })

  test("a call of the client's tool ends the response, and its output continues it", async () => {
    world.model.add({ do: 'calls', calls: [{ id: 'call_w', name: 'get_weather', arguments: '{"city":"Bern"}' }] })
    const first = await ask('weather in Bern?', { tools: [TOOL] })
    assert.equal(first.status, 'completed')
    const [call] = first.output
    assert.ok(call?.type === 'function_call')
    assert.deepEqual([call.call_id, call.name, call.arguments], ['call_w', 'get_weather', '{"city":"Bern"}'])
    world.model.add({ do: 'text', text: 'It is sunny.' })
    const second = await client.responses.create({
      model: 'openclaw/main',
      previous_response_id: first.id,
      input: [{ type: 'function_call_output', call_id: 'call_w', output: 'sunny' }],
      tools: [TOOL],
    })
    assert.equal(second.output_text, 'It is sunny.')
    assert.deepEqual(world.prompts().at(-1)?.slice(1), [
      { role: 'user', content: 'weather in Bern?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_w', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Bern"}' } }],
      },
      { role: 'tool', tool_call_id: 'call_w', content: 'sunny' },
    ])
    await ask('thanks', { previous_response_id: second.id })
    assert.deepEqual(told().slice(-3), ['sunny', 'It is sunny.', 'thanks'])
  })

  test('calls come in a stream too', async () => {
    world.model.add({ do: 'calls', text: 'Let me see.', calls: [{ id: 'call_s', name: 'get_weather', arguments: '{}' }] })
    const stream = client.responses.stream({ model: 'openclaw/main', input: 'weather', tools: [TOOL] })
    const response = await stream.finalResponse()
    assert.deepEqual(
      response.output.map(({ type }) => type),
      ['message', 'function_call'],
    )
    assert.equal(response.output_text, 'Let me see.')
  })

  test('a client that keeps everything itself brings it all', async () => {
    await client.responses.create({
      model: 'openclaw/main',
      store: false,
      input: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: 'weather?' },
        { type: 'function_call', call_id: 'c1', name: 'get_weather', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 'rain' },
        { role: 'user', content: [{ type: 'input_text', text: 'and now?' }] },
      ],
    })
    assert.deepEqual(world.prompts().at(-1), [
      { role: 'system', content: 'You are main.\n\nBe brief.' },
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'rain' },
      { role: 'user', content: 'and now?' },
    ])
  })

  test('a follow-up is asked again under its key, also once it was answered', async () => {
    const first = await ask('one')
    const follow = (key: string): Promise<OpenAI.Responses.Response> =>
      client.responses.create(
        { model: 'openclaw/main', input: 'two', previous_response_id: first.id },
        { headers: { 'idempotency-key': key } },
      )
    const second = await follow('f1')
    assert.equal((await follow('f1')).id, second.id)
    assert.equal((await apiError(follow('f2'))).code, 'previous_response_not_latest')
  })

  test('the same Idempotency-Key is one response', async () => {
    const before = world.model.requests.length
    const options = { headers: { 'idempotency-key': 'r1' } }
    const first = await client.responses.create({ model: 'openclaw/main', input: 'once' }, options)
    const again = await client.responses.create({ model: 'openclaw/main', input: 'once' }, options)
    assert.deepEqual([again.id, again.output_text], [first.id, 're: once'])
    assert.equal(world.model.requests.length, before + 1)
  })

  test('a cut answer is incomplete, and a failed one failed', async () => {
    world.model.add({ do: 'text', text: 'Once upon', reason: 'length' })
    const cut = await ask('a story', { max_output_tokens: 7 })
    assert.deepEqual([cut.status, cut.incomplete_details?.reason], ['incomplete', 'max_output_tokens'])
    world.model.add({ do: 'status', status: 400, body: { error: { message: 'bad' } } })
    const stream = await client.responses.create({ model: 'openclaw/main', input: 'fail', stream: true })
    const events: OpenAI.Responses.ResponseStreamEvent[] = []
    for await (const event of stream) events.push(event)
    const last = events.at(-1)
    assert.ok(last?.type === 'response.failed')
    assert.equal(last.response.status, 'failed')
  })

  const refusals: readonly (readonly [what: string, body: object, code: string, param: string])[] = [
    ['work in the background', { background: true }, 'unsupported_parameter', 'background'],
    ['an answer by schema', { text: { format: { type: 'json_object' } } }, 'unsupported_parameter', 'text.format'],
    ['a tool of OpenAI', { tools: [{ type: 'web_search' }] }, 'unsupported_parameter', 'tools[0]'],
    [
      'a picture',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }] },
      'unsupported_parameter',
      'input[0].content[0]',
    ],
    ['an item of another kind', { input: [{ type: 'item_reference', id: 'x' }] }, 'invalid_value', 'input[0].type'],
    ['nothing', { input: [] }, 'invalid_value', 'input'],
    ['a parameter of nobody', { colour: 'red' }, 'invalid_value', 'colour'],
  ]
  for (const [what, body, code, param] of refusals) {
    test(`${what} is refused in the words of that API`, async () => {
      const error = await apiError(ask('x', body))
      assert.deepEqual([error.status, error.code, error.param], [400, code, param])
    })
  }
})
