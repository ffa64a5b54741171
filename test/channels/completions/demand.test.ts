/** What OpenAI's own client may demand of an answer: a call of its tools, or JSON of a schema. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type OpenAI from 'openai'
import { apiError, startWorld } from './world.ts'
import type { Json, World } from './world.ts'

const toolNamed = (name: string): OpenAI.ChatCompletionFunctionTool => ({
  type: 'function',
  function: { name, description: `Does ${name}.`, parameters: { type: 'object', properties: {} } },
})
/** As the official client's helpers write one. */
const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 0 } },
  required: ['name', 'age'],
  additionalProperties: false,
}
const TOOLS = [toolNamed('look'), toolNamed('jump')]
const FORMAT = { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: SCHEMA } } as const

describe('what is demanded of an answer', { timeout: 60_000 }, () => {
  let world: World
  let client: OpenAI
  before(async () => {
    world = await startWorld()
    client = world.client
  })
  after(() => world.stop())

  const ask = (more: object, model = 'openclaw/main'): Promise<OpenAI.ChatCompletion> =>
    client.chat.completions.create({ model, messages: [{ role: 'user', content: 'go' }], ...more })
  const respond = (more: object, model = 'openclaw/main'): Promise<OpenAI.Responses.Response> =>
    client.responses.create({ model, input: 'go', ...more })
  const told = (): Json => world.model.requests.at(-1)?.body ?? {}

  test('a call that is required is required of the model, and ends the answer', async () => {
    world.model.add({ do: 'calls', calls: [{ name: 'look', arguments: '{"far":true}' }] })
    const { choices } = await ask({ tools: TOOLS, tool_choice: 'required' })
    assert.equal(told()['tool_choice'], 'required')
    assert.equal(choices[0]?.finish_reason, 'tool_calls')
    assert.deepEqual(
      choices[0]?.message.tool_calls?.map((call) => call.type === 'function' && call.function),
      [{ name: 'look', arguments: '{"far":true}' }],
    )
  })

  test('one function may be demanded by name, in both forms', async () => {
    world.model.add({ do: 'calls', calls: [{ name: 'jump', arguments: '{}' }] })
    await ask({ tools: TOOLS, tool_choice: { type: 'function', function: { name: 'jump' } } })
    assert.deepEqual(told()['tool_choice'], { type: 'function', function: { name: 'jump' } })
    world.model.add({ do: 'calls', calls: [{ name: 'jump', arguments: '{}' }] })
    const tools = TOOLS.map(({ function: { name } }) => ({ type: 'function', name, parameters: null, strict: false }))
    const response = await respond({ tools, tool_choice: { type: 'function', name: 'jump' } })
    assert.deepEqual(told()['tool_choice'], { type: 'function', function: { name: 'jump' } })
    assert.deepEqual(response.tool_choice, { type: 'function', name: 'jump' })
  })

  test('where a call is demanded nothing but the tools of the client is offered, also of the only step there is', async () => {
    world.model.add({ do: 'calls', calls: [{ name: 'look', arguments: '{}' }] })
    const { choices } = await ask({ tools: TOOLS, tool_choice: 'required' }, 'openclaw/skilled')
    const offered = (told()['tools'] as { function: { name: string } }[]).map(({ function: { name } }) => name)
    assert.deepEqual(offered, ['look', 'jump'])
    assert.equal(choices[0]?.finish_reason, 'tool_calls')
  })

  test('a model that makes no call although one was demanded, or another, is an error and no answer', async () => {
    world.model.add({ do: 'text', text: 'I would rather not.' })
    assert.equal((await apiError(ask({ tools: TOOLS, tool_choice: 'required' }))).code, 'answer_unfit')
    world.model.add({ do: 'calls', calls: [{ name: 'look', arguments: '{}' }] })
    const other = await apiError(ask({ tools: TOOLS, tool_choice: { type: 'function', function: { name: 'jump' } } }))
    assert.deepEqual([other.status, other.code], [502, 'answer_unfit'])
  })

  test('JSON of a schema is asked of the model, and comes as it is', async () => {
    world.model.add({ do: 'text', text: '{"name":"Ann","age":7}' })
    const completion = await ask({ response_format: FORMAT })
    assert.deepEqual(told()['response_format'], FORMAT)
    assert.deepEqual(JSON.parse(completion.choices[0]?.message.content ?? ''), { name: 'Ann', age: 7 })
    world.model.add({ do: 'text', text: '{"name":"Bob","age":8}' })
    const format = { type: 'json_schema', name: 'person', strict: true, schema: SCHEMA }
    const response = await respond({ text: { format, verbosity: 'low' } })
    assert.equal(response.output_text, '{"name":"Bob","age":8}')
    assert.deepEqual(response.text, { format })
    assert.deepEqual(told()['response_format'], FORMAT)
  })

  test('what does not fit the schema is an error and no answer: no JSON, another type, one member too many', async () => {
    for (const text of ['Ann is seven.', '{"name":"Ann","age":"seven"}', '{"name":"Ann","age":7,"more":1}', '{"name":"Ann"}']) {
      world.model.add({ do: 'text', text })
      const error = await apiError(ask({ response_format: FORMAT }))
      assert.deepEqual([error.status, error.code], [502, 'answer_unfit'], text)
    }
    world.model.add({ do: 'text', text: 'Ann is seven.' })
    const stream = await client.chat.completions.create({
      model: 'openclaw/main',
      messages: [{ role: 'user', content: 'go' }],
      response_format: FORMAT,
      stream: true,
    })
    const error = await apiError(
      (async () => {
        for await (const _ of stream);
      })(),
    )
    assert.equal(error.code, 'answer_unfit')
  })

  test('an answer that was cut says so, and is not held against the schema', async () => {
    world.model.add({ do: 'text', text: '{"name":"An', reason: 'length' })
    assert.equal((await ask({ response_format: FORMAT })).choices[0]?.finish_reason, 'length')
  })

  test('a call of a tool is an answer beside a schema', async () => {
    world.model.add({ do: 'calls', calls: [{ name: 'look', arguments: '{}' }] })
    assert.equal((await ask({ response_format: FORMAT, tools: TOOLS })).choices[0]?.finish_reason, 'tool_calls')
  })

  test('an agent one of whose models cannot be held to it refuses by name, and stores nothing', async () => {
    const before = world.model.requests.length
    const refusals: { readonly [param: string]: object } = {
      tool_choice: { tools: TOOLS, tool_choice: 'required' },
      response_format: { response_format: FORMAT },
    }
    for (const [param, more] of Object.entries(refusals)) {
      const error = await apiError(ask(more, 'openclaw/echo'))
      assert.deepEqual([error.status, error.code, error.param], [400, 'unsupported_parameter', param])
    }
    const anthropic = await apiError(ask({ response_format: FORMAT }, 'openclaw/mixed'))
    assert.equal(anthropic.code, 'unsupported_parameter')
    assert.equal(world.model.requests.length, before)
    assert.equal((await apiError(ask({ response_format: FORMAT }, 'openclaw/nobody'))).status, 404)
  })

  test('schemas that cost too much, and choices of what is not there, are refused before a model is asked', async () => {
    const before = world.model.requests.length
    const bomb = (depth: number): object => ({
      $defs: Object.fromEntries(
        Array.from({ length: depth }, (_, n) => [
          `d${n}`,
          n === 0 ? { type: 'string' } : { allOf: [{ $ref: `#/$defs/d${n - 1}` }, { $ref: `#/$defs/d${n - 1}` }] },
        ]),
      ),
      $ref: `#/$defs/d${depth - 1}`,
    })
    const schemas: readonly object[] = [
      bomb(30),
      { type: 'string', pattern: '(a+)+(b+)+\\1$' },
      { $ref: 'http://127.0.0.1/schema.json' },
      { type: 'nothing' },
      { $ref: '#' },
      { type: 'object', __proto__: null, properties: JSON.parse('{"__proto__":{"type":"string"}}') as object },
    ]
    for (const schema of schemas) {
      const error = await apiError(ask({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } }))
      assert.ok(error.status === 400, JSON.stringify(schema).slice(0, 80))
    }
    for (const more of [
      { tool_choice: 'required' },
      { tools: TOOLS, tool_choice: { type: 'function', function: { name: 'toString' } } },
      { tools: TOOLS, tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [] } },
      { response_format: { type: 'json_object' } },
      { response_format: { type: 'json_schema', json_schema: { name: 'no schema' } } },
    ])
      assert.equal((await apiError(ask(more))).status, 400, JSON.stringify(more))
    assert.equal(world.model.requests.length, before)
  })
})
