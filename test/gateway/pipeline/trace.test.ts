/** What hangs below what in a trace, on the way of a message: in one life of the gateway and across two. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ending, StepOutcome, Turn } from '#contract'
import { FakeClock } from '../../support/fake-clock.ts'
import { agent, reply, startHub } from '../../support/hub.ts'
import { KeepingTracer } from '../../support/tracer.ts'

const OUTSIDE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

const outcome = (over: Partial<StepOutcome> = {}): StepOutcome => ({
  result: {},
  name: 'fake/one',
  messages: [],
  usage: { provider: 'fake', model: 'one', inputTokens: 7, outputTokens: 3, cacheReadTokens: 0, costNano: null, latencyMs: 1 },
  planned: [],
  ending: null,
  ...over,
})

/** A model call, a skill call, a reply. Notes what the model was told. */
const thinking =
  (told: (string | undefined)[]) =>
  async (turn: Turn): Promise<Ending> => {
    await turn.step({
      kind: 'llm',
      key: 'llm:1',
      requestHash: '',
      run: async ({ traceparent }) => {
        told.push(traceparent)
        return outcome({ planned: [{ id: 'c1', skill: 'adder', input: {} }] })
      },
    })
    await turn.skill({ id: 'c1', skill: 'adder', input: {} })
    return reply('done')
  }

test('one trace goes from ingress through agent, model and skill to egress', async () => {
  const tracer = new KeepingTracer()
  const models: (string | undefined)[] = []
  const skills: (string | undefined)[] = []
  const adder = {
    effect: 'none' as const,
    run: async ({ traceparent }: { traceparent?: string }) => {
      skills.push(traceparent)
      return { status: 'ok' as const, output: null }
    },
  }
  const hub = await startHub({ tracer, think: thinking(models), skills: { adder } })
  const id = await hub.say('hello', { metadata: { traceparent: OUTSIDE } })
  const [part] = await hub.delivered(1)
  await hub.became(id, 'done')
  await hub.stop()
  assert.deepEqual(tracer.tree(), [
    'gateway.ingress < outside',
    'gateway.route < gateway.ingress',
    'agent.dispatch < gateway.ingress',
    'agent.run < agent.dispatch',
    'llm.call < agent.run',
    'state.op < agent.run',
    'state.op < agent.run',
    'state.op < agent.run',
    'channel.egress < gateway.ingress',
  ])
  assert.deepEqual(new Set(tracer.spans.map(({ traceparent }) => traceparent.slice(3, 35))), new Set([OUTSIDE.slice(3, 35)]))
  assert.deepEqual(models, [tracer.of('llm.call').traceparent])
  assert.deepEqual(skills, [tracer.of('agent.run').traceparent])
  assert.equal(part?.traceparent, tracer.of('channel.egress').traceparent)
  assert.deepEqual(
    tracer.spans.filter(({ fault }) => fault !== null),
    [],
    'all have ended well',
  )
  const call = tracer.of('llm.call').attributes
  assert.deepEqual(
    [call['gen_ai.provider.name'], call['gen_ai.request.model'], call['gen_ai.usage.input_tokens'], call['gen_ai.usage.output_tokens']],
    ['fake', 'one', 7, 3],
  )
  assert.doesNotMatch(JSON.stringify(tracer.spans), /hello/)
})

test('a message that brought no trace begins one, which its envelope keeps', async () => {
  const tracer = new KeepingTracer()
  const hub = await startHub({ tracer })
  const id = await hub.say('hello')
  await hub.became(id, 'done')
  const { envelope } = await hub.message(id)
  await hub.stop()
  assert.equal(envelope.metadata.traceparent, tracer.of('gateway.ingress').traceparent)
  assert.equal(tracer.of('gateway.ingress').parent, undefined)
})

test('after a restart the turn and the reply hang below where the message came in', async () => {
  const first = new KeepingTracer('a')
  const clock = new FakeClock()
  const isThinking = Promise.withResolvers<void>()
  const hub = await startHub({
    tracer: first,
    clock,
    think: async (turn) => {
      isThinking.resolve()
      return new Promise((_, reject) => turn.signal.addEventListener('abort', () => reject(turn.signal.reason)))
    },
  })
  const id = await hub.say('hello', { metadata: { traceparent: OUTSIDE } })
  await isThinking.promise
  await hub.stop(true)
  const second = new KeepingTracer('b')
  const later = await startHub({ tracer: second, clock, dir: hub.dir })
  await later.delivered(1)
  await later.became(id, 'done')
  await later.stop()
  const { traceparent } = first.of('gateway.ingress')
  assert.equal(second.of('agent.dispatch').parent, traceparent)
  assert.equal(second.of('channel.egress').parent, traceparent)
  assert.equal(second.of('agent.dispatch').attributes['openclaw.resumed'], true)
  assert.equal(first.of('agent.run').fault, 'drain')
})

test('a turn of several messages hangs below the newest and is linked to the others', async () => {
  const tracer = new KeepingTracer()
  const gate = Promise.withResolvers<void>()
  const isBusy = Promise.withResolvers<void>()
  const hub = await startHub({
    tracer,
    agents: [agent({ queue: { mode: 'collect', cap: 20, debounceMs: 0 } })],
    think: async () => {
      isBusy.resolve()
      await gate.promise
      return { outcome: { kind: 'silence' } }
    },
  })
  await hub.say('one')
  await isBusy.promise
  await hub.say('two')
  const last = await hub.say('three')
  gate.resolve()
  await hub.became(last, 'done')
  await hub.stop()
  const [, two, three] = tracer.spans.filter(({ name }) => name === 'gateway.ingress')
  const [, collected] = tracer.spans.filter(({ name }) => name === 'agent.dispatch')
  assert.equal(collected?.parent, three?.traceparent)
  assert.deepEqual(collected?.links, [two?.traceparent])
})

test('what fails is told by its code: a message without a route, a turn, a delivery', async () => {
  const tracer = new KeepingTracer()
  const hub = await startHub({
    tracer,
    think: () => Promise.reject(new TypeError('no secret here')),
    rules: [{ id: 'r', tenant: 'default', match: { topic: 'known' }, agent: 'main' }],
    fallback: null,
  })
  const lost = await hub.say('lost')
  await hub.became(lost, 'dead')
  const failing = await hub.say('failing', { metadata: { topic: 'known' } })
  await hub.became(failing, 'retrying')
  await hub.stop()
  assert.equal(tracer.of('gateway.route').fault, 'UNROUTABLE')
  assert.equal(tracer.of('gateway.ingress').fault, 'UNROUTABLE')
  assert.equal(typeof tracer.of('agent.run').fault, 'string')
  assert.doesNotMatch(JSON.stringify(tracer.spans), /no secret here/)
})

test('without a tracer what came from outside reaches the model, the skill and the platform as it came', async () => {
  const models: (string | undefined)[] = []
  const hub = await startHub({
    think: thinking(models),
    skills: { adder: { effect: 'none', run: async () => ({ status: 'ok', output: null }) } },
  })
  await hub.say('hello', { metadata: { traceparent: OUTSIDE } })
  const [part] = await hub.delivered(1)
  await hub.say('hello', { lane: 'bob' })
  const [, other] = await hub.delivered(2)
  await hub.stop()
  assert.deepEqual(models, [OUTSIDE, undefined])
  assert.equal(part?.traceparent, OUTSIDE)
  assert.equal(other?.traceparent, undefined)
})
