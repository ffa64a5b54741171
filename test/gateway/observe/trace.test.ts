/** Traces as a collector sees them; and that a collector which is unwilling delays nothing and is told of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PARENT, TRACE, worldOf } from './tracing.ts'

test('a span goes on from what came and passes itself on', async (t) => {
  const { collector, tracing, count } = await worldOf(t)
  const span = tracing.span('gateway.ingress', {
    parent: PARENT,
    kind: 'consumer',
    attributes: { 'openclaw.channel': 'http', none: undefined },
  })
  const child = tracing.span('agent.run', { parent: span.traceparent, links: [PARENT, undefined] })
  child.end('AGENT_FAILED')
  child.end()
  span.end()
  await tracing.stop()
  const [first, second] = collector.spans
  assert.match(span.traceparent ?? '', new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`))
  assert.deepEqual([second?.traceId, second?.parentSpanId, second?.kind], [TRACE, 'b7ad6b7169203331', 5])
  assert.deepEqual(second?.attributes, { 'openclaw.channel': 'http' })
  assert.deepEqual([first?.name, first?.parentSpanId, first?.isError], ['agent.run', second?.spanId, true])
  assert.equal(first?.attributes['error.type'], 'AGENT_FAILED')
  assert.equal(first?.links[0]?.spanId, 'b7ad6b7169203331')
  assert.deepEqual(
    [collector.resource['service.name'], collector.resource['service.version'], collector.resource['service.instance.id']],
    ['openclaw-agents', '1.2.3', 'here'],
  )
  assert.equal(await count('exported'), 2)
})

test('secrets and line ends do not leave in attributes', async (t) => {
  const { collector, tracing } = await worldOf(t, { secret: 'correct-horse' })
  tracing.span('llm.call', { attributes: { a: 'ock_live_abcdefgh_0123456789', b: 'with correct-horse', c: 'x\r\ny\u001b[31m' } }).end()
  await tracing.stop()
  assert.doesNotMatch(collector.text, /0123456789"|correct-horse|\\r|\\n|\\u001b/)
  assert.equal(collector.spans[0]?.attributes['c'], 'x y')
})

test('what is not sampled is passed on as such and not sent, and a decision that came is kept', async (t) => {
  const { collector, tracing } = await worldOf(t, { sampleRatio: 0 })
  const own = tracing.span('gateway.ingress')
  const theirs = tracing.span('gateway.ingress', { parent: PARENT })
  own.end()
  theirs.end()
  await tracing.stop()
  assert.match(own.traceparent ?? '', /-00$/)
  assert.deepEqual(
    collector.spans.map(({ traceId }) => traceId),
    [TRACE],
  )
})

test('spans leave five seconds after the first of them, or when 512 wait', async (t) => {
  const { collector, tracing, clock } = await worldOf(t)
  tracing.span('agent.run').end()
  clock.advance(4_999)
  assert.equal(collector.headers.length, 0)
  clock.advance(1)
  await collector.until((spans) => spans.length === 1)
  for (let i = 0; i < 600; i++) tracing.span('agent.run').end()
  await collector.until((spans) => spans.length === 513)
  await tracing.stop()
  assert.deepEqual(collector.batches, [1, 512, 88])
})

test('a collector that refuses or is not there costs its spans and one warning', async (t) => {
  const { collector, tracing, clock, warned, count } = await worldOf(t)
  collector.become('refuse')
  for (let i = 0; i < 3; i++) {
    const asked = collector.asked()
    tracing.span('agent.run').end()
    clock.advance(5_000)
    await asked
    while ((await count('failed')) <= i) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(warned.length, 1)
  collector.become('take')
  tracing.span('agent.run').end()
  await tracing.stop()
  assert.deepEqual([await count('failed'), await count('exported')], [3, 1])
})
