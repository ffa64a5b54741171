import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Message } from '#contract'
import { tokensOf } from '../../agents/context.ts'
import { FakeOpenAI } from '../fakes/openai.ts'
import { Journal, RecordedTurn, replyOf } from '../support/turn.ts'
import { createAgents, EagerClock } from './harness.ts'
import type { TestAgents } from './harness.ts'

const limits = {
  maxSteps: 8,
  maxContextTokens: 1_000,
  maxOutputTokens: 200,
  turnTimeoutMs: 60_000,
  maxConcurrentTurns: 1,
  turnsPerMinute: null,
  tokensPerHour: null,
}
const LONG: readonly Message[] = Array.from({ length: 40 }, (_, i): Message =>
  i % 2 === 0
    ? { role: 'user', text: `question ${i} ${'q'.repeat(100)}`, sender: 'alice' }
    : { role: 'assistant', text: `answer ${i} ${'a'.repeat(100)}` },
)

describe('compaction', () => {
  let fake: FakeOpenAI
  let bench: TestAgents
  beforeEach(async () => {
    fake = new FakeOpenAI()
    bench = createAgents({ clock: new EagerClock(), models: { primary: 'fake/m', providers: { fake: { baseUrl: await fake.start() } } } })
  })
  afterEach(async () => {
    await bench.agents.stop()
    await fake.stop()
  })
  const userTexts = (request: number): readonly string[] => {
    const messages = (fake.requests[request]?.body['messages'] ?? []) as readonly { role: string; content: string }[]
    return messages.filter(({ role }) => role === 'user').map(({ content }) => content)
  }

  test('folds a memory that is too long into a summary, as a step of its own', async () => {
    fake.add({ do: 'text', text: 'Alice asked about order 4711.' }, { do: 'text', text: 'Fine.' })
    const turn = new RecordedTurn({ history: LONG, agent: { limits } })
    assert.equal(replyOf(await bench.agents.run(turn)), 'Fine.')
    assert.match(turn.journal.summary ?? '', /^Alice asked about order 4711\./)
    assert.match(turn.journal.summary ?? '', /answer 39/, 'the newest stay word for word')
    assert.doesNotMatch(turn.journal.summary ?? '', /answer 1 /)
    assert.ok(tokensOf([{ role: 'summary', text: turn.journal.summary ?? '' }]) < 0.8 * tokensOf(LONG))
    assert.deepEqual([...turn.journal.steps.keys()], ['compact:1', 'llm:1'])
    assert.equal(fake.requests[0]?.headers['idempotency-key'], `${turn.id}:compact:1`)
    assert.deepEqual(userTexts(1), [turn.journal.summary, 'hello'])
    assert.deepEqual(turn.said.join(''), 'Fine.', 'nobody sees the summary being written')
  })

  test('a compaction that is done is not done again after a crash, whichever memory comes back', async () => {
    fake.add({ do: 'text', text: 'Short.' }, { do: 'text', text: 'lost' }, { do: 'text', text: 'kept' }, { do: 'text', text: 'kept' })
    const journal = new Journal()
    await assert.rejects(
      bench.agents.run(new RecordedTurn({ history: LONG, agent: { limits }, journal, die: { step: 2, at: 'uncommitted' } })),
    )
    const summary: Message = { role: 'summary', text: journal.summary ?? '' }
    for (const history of [LONG, [summary]]) {
      journal.steps.delete('llm:1')
      assert.equal(replyOf(await bench.agents.run(new RecordedTurn({ history, agent: { limits }, journal }))), 'kept')
    }
    assert.deepEqual(fake.requests[2]?.body, fake.requests[1]?.body)
    assert.deepEqual(fake.requests[3]?.body, fake.requests[1]?.body)
  })

  test('a summary that is hardly shorter is replaced by a cut', async () => {
    fake.add({ do: 'text', text: 'blah '.repeat(2_000) }, { do: 'text', text: 'Fine.' })
    const turn = new RecordedTurn({ history: LONG, agent: { limits } })
    await bench.agents.run(turn)
    assert.match(turn.journal.summary ?? '', /^alice: question 0/, 'what was asked first is kept')
    assert.match(turn.journal.summary ?? '', /answer 39/)
    assert.ok(tokensOf([{ role: 'summary', text: turn.journal.summary ?? '' }]) <= 600)
  })

  test('a model that cannot summarise does not fail the turn', async () => {
    fake.add({ do: 'status', status: 404 }, { do: 'text', text: 'Fine.' })
    const turn = new RecordedTurn({ history: LONG, agent: { limits } })
    assert.equal(replyOf(await bench.agents.run(turn)), 'Fine.')
    assert.equal(turn.journal.outcomes.get('compact:1')?.name, 'builtin/trim')
  })

  test('the built-in model cuts without asking', async () => {
    const turn = new RecordedTurn({ history: LONG, agent: { limits, models: ['builtin/echo'] } })
    assert.equal(replyOf(await bench.agents.run(turn)).endsWith('hello'), true)
    assert.equal(turn.journal.outcomes.get('compact:1')?.usage, null)
    assert.equal(fake.requests.length, 0)
  })

  test('a model that finds the prompt too long gets a shorter one, once', async () => {
    const overflow = { do: 'status', status: 400, body: { error: { code: 'context_length_exceeded' } } } as const
    fake.add(overflow, { do: 'text', text: 'Short.' }, { do: 'text', text: 'Fine.' })
    const turn = new RecordedTurn({ history: LONG.slice(0, 10), agent: { limits } })
    assert.equal(replyOf(await bench.agents.run(turn)), 'Fine.')
    assert.deepEqual([...turn.journal.steps.keys()], ['compact:1', 'llm:1'])
    fake.add(overflow, { do: 'text', text: 'Short.' }, overflow)
    await assert.rejects(bench.agents.run(new RecordedTurn({ history: LONG.slice(0, 10), agent: { limits } })), {
      code: 'MODEL_CONTEXT_OVERFLOW',
      retryable: false,
    })
  })
})
