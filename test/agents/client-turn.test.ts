/** A client that drives the conversation itself: its history, instructions and tools, beside the skills of the agent, through every death of the gateway. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { CLIENT_TURN } from '#contract'
import type { Ending, Envelope, JsonObject } from '#contract'
import { FakeOpenAI } from '../fakes/openai.ts'
import type { Line } from '../fakes/openai.ts'
import { Died, Journal, RecordedTurn, envelopeOf } from '../support/turn.ts'
import type { RecordedTurnOptions } from '../support/turn.ts'
import { skillDescriptor } from '../support/skill.ts'
import { createAgents } from './harness.ts'
import type { TestAgents } from './harness.ts'

const TOOL = { name: 'ask_user', description: 'Asks.', inputs: { type: 'object' } }
const SKILLS = [skillDescriptor({ id: 'a', description: 'Does a.', inputs: { type: 'object' }, effect: 'once' })]
const BOTH: Line = {
  do: 'calls',
  text: 'One moment.',
  calls: [
    { id: 'c1', name: 'ask_user', arguments: '{"q":1}' },
    { id: 's1', name: 'a', arguments: '{}' },
  ],
}

const client = (turn: JsonObject, text = 'hello'): Envelope => ({
  ...envelopeOf(text),
  metadata: {
    [CLIENT_TURN]: { messages: [{ role: 'user', text, sender: 'x' }], instructions: '', tools: [], maxOutputTokens: null, ...turn },
  },
})

describe('a client turn', () => {
  let fake: FakeOpenAI
  let bench: TestAgents
  beforeEach(async () => {
    fake = new FakeOpenAI()
    const baseUrl = await fake.start()
    bench = createAgents({ models: { primary: 'fake/m', providers: { fake: { baseUrl, apiKey: 'k' } } } })
  })
  afterEach(async () => {
    await bench.agents.stop()
    await fake.stop()
  })
  const run = async (options: RecordedTurnOptions): Promise<{ turn: RecordedTurn; ending: Ending }> => {
    const turn = new RecordedTurn(options)
    return { turn, ending: await bench.agents.run(turn) }
  }
  const roles = (): unknown => ((fake.requests.at(-1)?.body['messages'] ?? []) as { role: string }[]).map(({ role }) => role)

  test("skills that are called beside the client's tool are run, and the model is not asked again", async () => {
    fake.add(BOTH)
    const { turn, ending } = await run({ envelopes: [client({ tools: [TOOL] })], skills: SKILLS })
    assert.deepEqual(ending.outcome, { kind: 'reply', text: 'One moment.', calls: [{ id: 'c1', skill: 'ask_user', input: { q: 1 } }] })
    assert.equal(turn.journal.runs.get('s1'), 1)
    assert.equal(turn.journal.runs.has('c1'), false)
    assert.equal(fake.requests.length, 1)
  })

  test('after a crash at any step it ends the same, and nothing is done twice', async () => {
    for (const step of [1, 2]) {
      for (const at of ['before', 'committed'] as const) {
        fake.clear()
        fake.add(BOTH)
        const journal = new Journal()
        const options = { envelopes: [client({ tools: [TOOL] })], skills: SKILLS, journal }
        await assert.rejects(run({ ...options, die: { step, at } }), Died)
        if (step === 1 && at === 'before') assert.equal(journal.steps.size, 0)
        const { ending } = await run(options)
        assert.deepEqual(ending.outcome.kind === 'reply' ? ending.outcome.calls : null, [{ id: 'c1', skill: 'ask_user', input: { q: 1 } }])
        assert.equal(journal.runs.get('s1'), 1, `${at} ${step}`)
      }
    }
  })

  test('a result stands behind its call, which the session remembers, and the call of a skill that never ran is told so', async () => {
    const { ending } = await run({
      history: [
        { role: 'user', text: 'hello', sender: 'x' },
        {
          role: 'assistant',
          text: '',
          calls: [
            { id: 'c1', skill: 'ask_user', input: {} },
            { id: 's9', skill: 'a', input: {} },
          ],
        },
      ],
      envelopes: [client({ messages: [{ role: 'tool', call: 'c1', skill: 'ask_user', text: 'yes' }], tools: [TOOL] })],
    })
    assert.equal(ending.outcome.kind, 'reply')
    assert.deepEqual(roles(), ['system', 'user', 'assistant', 'tool', 'tool'])
  })

  test('arguments that cannot be read go back to the model, not to the client', async () => {
    fake.add({ do: 'calls', calls: [{ id: 'c1', name: 'ask_user', arguments: '{"q":' }] }, { do: 'text', text: 'Sorry.' })
    const { ending } = await run({ envelopes: [client({ tools: [TOOL] })] })
    assert.deepEqual(ending.outcome, { kind: 'reply', text: 'Sorry.' })
  })

  test("the client's function takes the place of a skill of the same name", async () => {
    fake.add({ do: 'calls', calls: [{ id: 'c1', name: 'a', arguments: '{}' }] })
    const { turn, ending } = await run({ envelopes: [client({ tools: [{ ...TOOL, name: 'a' }] })], skills: SKILLS })
    assert.equal(ending.outcome.kind === 'reply' && ending.outcome.calls?.length, 1)
    assert.equal(turn.journal.runs.size, 0)
  })

  test('a history that is brought is cut where it does not fit, and the last words stay', async () => {
    const messages = [
      ...Array.from({ length: 400 }, (_, n) => ({ role: n % 2 === 0 ? 'user' : 'assistant', text: `${n} `.repeat(40), sender: 'x' })),
      { role: 'user', text: 'the last words', sender: 'x' },
    ]
    const { turn } = await run({
      envelopes: [client({ messages })],
      agent: { limits: { ...new RecordedTurn().agent.limits, maxContextTokens: 2_000 } },
    })
    const sent = (fake.requests.at(-1)?.body['messages'] ?? []) as { content: string }[]
    assert.ok(sent.length > 5 && sent.length < 100, String(sent.length))
    assert.equal(sent.at(-1)?.content, 'the last words')
    assert.equal(turn.journal.summary, null)
    assert.equal(fake.requests.length, 1)
  })

  test('a command is a word like any other', async () => {
    const { ending } = await run({ envelopes: [client({}, '/status')] })
    assert.deepEqual(ending.outcome, { kind: 'reply', text: 're: /status' })
  })
})
