/** The whole gateway and a collector: one trace from a client's request to the reply, across a kill; and a collector that is of no use. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { FakeOpenAI } from '../fakes/openai.ts'
import { FakeCollector } from '../fakes/otlp.ts'
import { answerTo, ended, metric, post } from '../support/conversation.ts'
import type { MessageDocument } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const OUTSIDE = 'b7ad6b7169203331'
const TRACEPARENT = `00-${TRACE}-${OUTSIDE}-01`

describe('traces', { timeout: 120_000 }, () => {
  const model = new FakeOpenAI()
  const collector = new FakeCollector()
  let config: { readonly [key: string]: unknown }

  before(async () => {
    const [modelUrl, endpoint] = await Promise.all([model.start(), collector.start()])
    config = {
      llm: { providers: { fake: { api: 'chat', base_url: modelUrl, api_key: 'k' } } },
      agents: { main: { model: 'fake/m', skills: ['echo'] } },
      observability: { opentelemetry: { endpoint } },
    }
  })
  after(() => Promise.all([model.stop(), collector.stop()]))

  test('a request with a trace context, a model that calls a skill, and the reply are one trace', async (t) => {
    model.add(
      { do: 'calls', calls: [{ id: 'c1', name: 'echo', arguments: '{"text":"a private word"}' }] },
      { do: 'text', text: 'Said it.' },
    )
    const gateway = await startGateway(t, { config })
    const answer = await post(gateway, '/v1/messages', { payload: 'a private question' }, { traceparent: TRACEPARENT })
    const { message_id: id } = (await answer.json()) as MessageDocument
    assert.equal((await ended(gateway, id)).status, 'done')
    // What waits is told at the end.
    await gateway.stop()
    const spans = collector.spans.filter(({ traceId }) => traceId === TRACE)
    const byId = new Map(spans.map((span) => [span.spanId, span.name]))
    const tree = spans.map(({ name, parentSpanId }) => `${name} < ${byId.get(parentSpanId) ?? (parentSpanId === OUTSIDE ? 'client' : '?')}`)
    assert.deepEqual(
      new Set(tree),
      new Set([
        'gateway.ingress < client',
        'gateway.route < gateway.ingress',
        'agent.dispatch < gateway.ingress',
        'agent.run < agent.dispatch',
        'llm.call < agent.run',
        'skill.execute < agent.run',
        'state.op < agent.run',
        'channel.egress < gateway.ingress',
      ]),
    )
    const calls = spans.filter(({ name }) => name === 'llm.call')
    assert.deepEqual(
      model.requests.map(({ headers }) => headers['traceparent']),
      calls.map(({ spanId }) => `00-${TRACE}-${spanId}-01`),
    )
    assert.equal(calls[0]?.attributes['gen_ai.request.model'], 'm')
    assert.equal(collector.resource['service.name'], 'openclaw-agents')
    assert.doesNotMatch(collector.text, /private|Said it|ock_live_/)
  })

  test('after a kill the next life goes on in the same trace, below the same span', async (t) => {
    model.add({ do: 'hang' })
    const [asked, told] = [model.requests.length, collector.spans.length]
    const gateway = await startGateway(t, { config })
    const answer = await post(gateway, '/v1/messages', { payload: 'hello' }, { traceparent: TRACEPARENT })
    const { message_id: id } = (await answer.json()) as MessageDocument
    await model.received(asked + 1)
    await gateway.kill9()
    const next = await startGateway(t, { config, dir: gateway.dir })
    const { metadata } = await ended(next, id)
    await next.stop()
    const kept = String(metadata['traceparent'])
    const dispatched = collector.spans.slice(told).filter(({ name }) => name === 'agent.dispatch' || name === 'channel.egress')
    assert.deepEqual(
      dispatched.map(({ name, traceId, parentSpanId }) => `${name} ${traceId} ${parentSpanId}`).sort(),
      ['agent.dispatch', 'channel.egress'].map((name) => `${name} ${TRACE} ${kept.slice(36, 52)}`),
    )
  })

  test('a collector that hangs, or is not there, delays nothing', async (t) => {
    collector.become('hang')
    t.after(() => collector.become('take'))
    for (const endpoint of [undefined, 'http://127.0.0.1:9']) {
      const gateway = await startGateway(t, { config, ...(endpoint === undefined ? {} : { env: { OPENCLAW_OTEL_ENDPOINT: endpoint } }) })
      assert.equal(await answerTo(gateway, 'hello'), 're: hello')
      assert.equal(await metric(gateway, 'openclaw_trace_spans_total'), 0)
      assert.equal((await gateway.stop()).code, 0)
    }
  })
})
