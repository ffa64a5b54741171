import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { SkillDescriptor } from '#contract'
import { FakeOpenAI } from '../fakes/openai.ts'
import type { Line } from '../fakes/openai.ts'
import { Died, envelopeOf, Journal, RecordedTurn, replyOf } from '../support/turn.ts'
import type { DeathPoint, RecordedTurnOptions } from '../support/turn.ts'
import { createAgents } from './harness.ts'
import type { TestAgents } from './harness.ts'
import { skillDescriptor } from '../support/skill.ts'

const skill = (id: string): SkillDescriptor =>
  skillDescriptor({ id, description: `Does ${id}.`, inputs: { type: 'object' }, effect: 'once' })
const SKILLS = ['a', 'b', 'web.search'].map(skill)
const CALL_THREE: Line = {
  do: 'calls',
  text: 'Let me look.',
  calls: [
    { name: 'a', arguments: '{"x":1}' },
    { name: 'b', arguments: '' },
  ],
}

interface Sent {
  readonly role: string
  readonly content: string | null
  readonly tool_call_id?: string
  readonly tool_calls?: readonly { readonly id: string; readonly function: { readonly name: string; readonly arguments: string } }[]
}

describe('the loop', () => {
  let fake: FakeOpenAI
  let bench: TestAgents

  beforeEach(async () => {
    fake = new FakeOpenAI()
    const baseUrl = await fake.start()
    bench = createAgents({
      models: {
        primary: 'fake/gpt-test',
        providers: { fake: { baseUrl, apiKey: 'sk-secret' } },
        prices: { 'fake/gpt-test': { input: 2, output: 10 } },
      },
    })
  })
  afterEach(async () => {
    await bench.agents.stop()
    await fake.stop()
  })

  const run = async (options: RecordedTurnOptions, ...script: readonly Line[]): Promise<{ turn: RecordedTurn; text: string }> => {
    fake.add(...script)
    const turn = new RecordedTurn(options)
    return { turn, text: replyOf(await bench.agents.run(turn)) }
  }
  const sent = (request: number): readonly Sent[] => fake.requests[request]?.body['messages'] as readonly Sent[]

  test('a reply is one step that ends the turn, with text streamed, usage and cost', async () => {
    const { turn, text } = await run({ texts: ['how are you?'] }, { do: 'text', text: 'Très bien, 🙂 merci.' })
    assert.equal(text, 'Très bien, 🙂 merci.')
    assert.equal(turn.said.join(''), text)
    const outcome = turn.journal.outcomes.get('llm:1')
    assert.deepEqual(outcome?.ending, { outcome: { kind: 'reply', text } })
    assert.deepEqual(outcome?.messages, [{ role: 'assistant', text }])
    assert.equal(outcome?.name, 'fake/gpt-test')
    assert.deepEqual(
      { ...outcome?.usage, latencyMs: 0 },
      { provider: 'fake', model: 'gpt-test', inputTokens: 20, outputTokens: 7, cacheReadTokens: 0, costNano: 110_000, latencyMs: 0 },
    )
    assert.equal(fake.requests[0]?.headers['idempotency-key'], `${turn.id}:llm:1`)
    assert.equal(fake.requests[0]?.headers.authorization, 'Bearer sk-secret')
    assert.deepEqual(sent(0), [
      { role: 'system', content: 'You are a test.' },
      { role: 'user', content: 'how are you?' },
    ])
    assert.equal(bench.metrics.values.get('openclaw_llm_tokens_total{fake/gpt-test,input}'), 20)
    assert.equal(bench.metrics.values.get('openclaw_llm_cost_usd_total{fake/gpt-test}'), 0.00011)
    assert.equal(bench.metrics.values.get('openclaw_llm_latency_seconds{fake/gpt-test}'), 1)
  })

  test('skills that the model calls are planned with its step, run in order, and answered in the next call', async () => {
    const { turn, text } = await run({ skills: SKILLS }, CALL_THREE, { do: 'text', text: 'Done.' })
    assert.equal(text, 'Done.')
    assert.deepEqual(
      turn.journal.outcomes.get('llm:1')?.planned.map((call) => [call.skill, call.input]),
      [
        ['a', { x: 1 }],
        ['b', {}],
      ],
    )
    assert.deepEqual([...turn.journal.runs.values()], [1, 1])
    const [, , assistant, ...tools] = sent(1)
    assert.equal(assistant?.content, 'Let me look.')
    assert.deepEqual(
      tools.map((message) => [message.role, message.tool_call_id, message.content]),
      [
        ['tool', 'call_0', '{"did":"a"}'],
        ['tool', 'call_1', '{"did":"b"}'],
      ],
    )
    // What was said before the skills ran is taken back before the reply is said.
    assert.equal(turn.said.indexOf(null), ['Let m', 'e loo', 'k.'].length)
    assert.equal(turn.said.slice(turn.said.indexOf(null) + 1).join(''), 'Done.')
  })

  test('after a death at any point it goes on without repeating anything that is done', async () => {
    const points: readonly DeathPoint[] = ['before', 'uncommitted', 'committed']
    for (let step = 1; step <= 4; step++) {
      for (const at of points) {
        const journal = new Journal()
        const before = fake.requests.length
        const script: readonly Line[] = [CALL_THREE, { do: 'text', text: 'Done.' }]
        fake.add(...script)
        const dying = new RecordedTurn({ skills: SKILLS, journal, die: { step, at } })
        await assert.rejects(bench.agents.run(dying), Died)
        const done = new Set(journal.steps.keys())
        const heard = fake.requests.length - before
        // What the model said and nobody recorded has to be said again.
        fake.clear()
        fake.add(...(done.has('llm:1') ? script.slice(1) : script))
        const turn = new RecordedTurn({ skills: SKILLS, journal })
        const reply = replyOf(await bench.agents.run(turn))
        assert.equal(reply, 'Done.', `step ${step} ${at}`)
        const keys = fake.requests
          .slice(before + heard)
          .map((request) => String(request.headers['idempotency-key']).split(':').slice(1).join(':'))
        assert.deepEqual(
          keys,
          ['llm:1', 'llm:2'].filter((key) => !done.has(key)),
          `step ${step} ${at}`,
        )
        const repeated = [...journal.runs.values()].filter((count) => count > 1).length
        assert.equal(repeated, at === 'uncommitted' && (step === 2 || step === 3) ? 1 : 0, `step ${step} ${at}`)
        assert.equal(journal.messages.filter((message) => message.role === 'tool').length, 2)
      }
    }
  })

  test('a run that resumes asks exactly what the run that died asked', async () => {
    const journal = new Journal()
    fake.add(CALL_THREE, { do: 'text', text: 'lost' }, { do: 'text', text: 'kept' })
    await assert.rejects(bench.agents.run(new RecordedTurn({ skills: SKILLS, journal, die: { step: 4, at: 'uncommitted' } })), Died)
    const turn = new RecordedTurn({ skills: SKILLS, journal })
    assert.equal(replyOf(await bench.agents.run(turn)), 'kept')
    assert.deepEqual(fake.requests[2]?.body, fake.requests[1]?.body)
    assert.equal(journal.hashes[1], journal.hashes[2])
  })

  test('a wholly recorded turn ends again as it ended, without asking anybody', async () => {
    const journal = new Journal()
    const { text } = await run({ skills: SKILLS, journal }, CALL_THREE, { do: 'text', text: 'Done.' })
    const again = await bench.agents.run(new RecordedTurn({ skills: SKILLS, journal, envelopes: [envelopeOf('hello')] }))
    assert.equal(replyOf(again), text)
    assert.equal(fake.requests.length, 2)
  })

  test('arguments that are no JSON are answered with invalid_input and nothing runs', async () => {
    const broken: Line = {
      do: 'calls',
      calls: [
        { name: 'a', arguments: '{"x": ' },
        { name: 'b', arguments: '{}' },
      ],
    }
    const { turn, text } = await run({ skills: SKILLS }, broken, { do: 'text', text: 'Sorry.' })
    assert.equal(text, 'Sorry.')
    assert.deepEqual([...turn.journal.runs.keys()], ['call_1'])
    const tools = sent(1).filter((message) => message.role === 'tool')
    assert.deepEqual(
      tools.map((message) => message.content),
      ['error invalid_input: the arguments are not valid JSON', '{"did":"b"}'],
    )
    assert.deepEqual(
      turn.journal.messages.map((message) => message.role),
      ['assistant', 'tool', 'tool', 'assistant'],
    )
  })

  test('a skill that does not exist is answered with not_found', async () => {
    await run({ skills: SKILLS }, { do: 'calls', calls: [{ name: 'rm_rf', arguments: '{}' }] }, { do: 'text', text: 'Oh.' })
    assert.match(sent(1).at(-1)?.content ?? '', /^error not_found: /)
  })

  test('ids of calls that were used before in the session are replaced', async () => {
    const history = [
      { role: 'user', text: 'go', sender: 'alice' },
      { role: 'assistant', text: '', calls: [{ id: 'call_0', skill: 'a', input: {} }] },
      { role: 'tool', call: 'call_0', skill: 'a', text: 'null' },
      { role: 'assistant', text: 'ok' },
    ] as const
    const { turn } = await run({ skills: SKILLS, history }, CALL_THREE, { do: 'text', text: 'Done.' })
    const ids = sent(1).flatMap((message) => message.tool_calls?.map(({ id }) => id) ?? [])
    assert.equal(new Set(ids).size, 3)
    assert.deepEqual([...turn.journal.runs.keys()], [`${turn.id.slice(5)}_1_1`, 'call_1'])
  })

  test('skills whose ids no wire takes go by another name and come back by their own', async () => {
    await run({ skills: SKILLS }, { do: 'text', text: 'ok' })
    const tools = fake.requests[0]?.body['tools'] as readonly { readonly function: { readonly name: string } }[]
    const name = tools[2]?.function.name ?? ''
    assert.match(name, /^web_search_\w+$/)
    const second = await run({ skills: SKILLS }, { do: 'calls', calls: [{ name, arguments: '{}' }] }, { do: 'text', text: 'ok' })
    assert.equal(second.turn.journal.outcomes.get('llm:1')?.planned[0]?.skill, 'web.search')
  })

  test('what a skill could not do, or may have done, is told to the model', async () => {
    const outcomes = {
      a: { status: 'error', code: 'timeout', message: 'it took too long' },
      b: { status: 'error', code: 'unknown', message: '' },
    } as const
    await run({ skills: SKILLS, runSkill: (call) => (call.skill === 'a' ? outcomes.a : outcomes.b) }, CALL_THREE, {
      do: 'text',
      text: 'ok',
    })
    const tools = sent(1).filter((message) => message.role === 'tool')
    assert.equal(tools[0]?.content, 'error timeout: it took too long')
    assert.match(tools[1]?.content ?? '', /outcome unknown: the gateway restarted while this ran; do not repeat it blindly/)
  })

  test('messages that join the turn are heard before the next call, and in every call after it', async () => {
    const joins = { 'llm:2': [envelopeOf('wait, stop!')] }
    const journal = new Journal()
    await run(
      { skills: SKILLS, joins, journal },
      CALL_THREE,
      { do: 'calls', calls: [{ name: 'a', arguments: '{}' }] },
      { do: 'text', text: 'Stopped.' },
    )
    assert.deepEqual(sent(1).at(-1), { role: 'user', content: 'wait, stop!' })
    assert.deepEqual(
      sent(2).map((message) => message.role),
      ['system', 'user', 'assistant', 'tool', 'tool', 'user', 'assistant', 'tool'],
    )
    assert.deepEqual(
      journal.messages.map((message) => message.role),
      ['assistant', 'tool', 'tool', 'user', 'assistant', 'tool', 'assistant'],
    )
  })

  test('calls that an interrupt left without answers are answered before anybody is asked', async () => {
    const history = [
      { role: 'user', text: 'go', sender: 'alice' },
      { role: 'assistant', text: '', calls: [{ id: 'x1', skill: 'a', input: {} }] },
      { role: 'tool', call: 'c1', skill: 'clock', text: 'of a command' },
    ] as const
    await run({ skills: SKILLS, history })
    const tools = sent(0).filter((message) => message.role === 'tool')
    assert.deepEqual(
      tools.map((message) => message.tool_call_id),
      ['x1'],
    )
  })

  test('the last allowed call is made without tools and told so', async () => {
    const limits = {
      maxSteps: 2,
      maxContextTokens: 8_000,
      maxOutputTokens: 512,
      turnTimeoutMs: 60_000,
      maxConcurrentTurns: 1,
      turnsPerMinute: null,
      tokensPerHour: null,
    }
    const { text } = await run({ skills: SKILLS, agent: { limits } }, CALL_THREE, { do: 'calls', calls: [{ name: 'a', arguments: '{}' }] })
    assert.match(text, /more steps than I am allowed/)
    assert.equal(fake.requests[1]?.body['tools'], undefined)
    assert.match(sent(1)[0]?.content ?? '', /no more steps/)
    assert.equal(fake.requests.length, 2)
  })

  test('nothing but white space is silence, and a cut before the first word is said', async () => {
    assert.equal((await run({}, { do: 'text', text: '  \n' })).text, '(silence)')
    assert.match((await run({}, { do: 'text', text: '', reason: 'length' })).text, /ran out of room/)
  })

  test('a refusal is a reply', async () => {
    assert.equal((await run({}, { do: 'refuse', text: 'I must not.' })).text, 'I must not.')
    const filtered = await run({}, { do: 'status', status: 400, body: { error: { code: 'content_filter', message: 'secret words' } } })
    assert.equal(filtered.text, 'I cannot answer that.')
  })

  test('in a group the model sees who speaks', async () => {
    await run({
      session: 'agent:main:tg:bot:group:42',
      envelopes: [envelopeOf('hi', 'bob')],
      history: [{ role: 'user', text: 'yo', sender: 'eve' }],
    })
    assert.deepEqual(
      sent(0)
        .slice(1)
        .map((message) => message.content),
      ['eve: yo', 'bob: hi'],
    )
  })

  test('an abort ends the call and the turn with its reason', async () => {
    const stop = new AbortController()
    fake.add({ do: 'stall', text: 'I was ab' })
    const turn = new RecordedTurn({ signal: stop.signal })
    const running = bench.agents.run(turn)
    await fake.received(1)
    const reason = new Error('drained')
    stop.abort(reason)
    await assert.rejects(running, reason)
    assert.equal(turn.journal.steps.size, 0)
  })

  test('what was said is taken back when the turn fails after it', async () => {
    fake.add({ do: 'text', text: 'Let me look.', reason: 'tool_calls' }, CALL_THREE)
    const turn = new RecordedTurn({ skills: SKILLS, die: { step: 1, at: 'uncommitted' } })
    await assert.rejects(bench.agents.run(turn), Died)
    assert.equal(turn.said.at(-1), null)
    assert.ok(turn.said.length > 1)
  })

  test('JSON and binary payloads are put into words', async () => {
    const base = envelopeOf('')
    await run({
      envelopes: [
        { ...base, payload: { json: { a: [1] } } },
        { ...base, payload: { binary: 'AAAA', media_type: 'image/png' } },
      ],
    })
    assert.deepEqual(
      sent(0)
        .slice(1)
        .map((message) => message.content),
      ['{"a":[1]}', '[image/png, 3 bytes]'],
    )
  })
})
