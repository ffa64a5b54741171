import assert from 'node:assert/strict'
import test from 'node:test'
import { Registry } from '../../../gateway/observe/metrics.ts'
import { ProcessMetrics } from '../../../gateway/observe/process.ts'
import { eventually } from '../../support/eventually.ts'
import { lint } from './lint.ts'

const own = /^(# (HELP|TYPE) )?openclaw_metrics_/

/** Without the two that the registry keeps about itself. */
const text = async (registry: Registry): Promise<string> =>
  (await registry.text())
    .split('\n')
    .filter((line) => !own.test(line))
    .join('\n')

test('counters and gauges are told with help, type and labels', async () => {
  const registry = new Registry()
  const requests = registry.counter({ name: 'http_requests_total', help: 'Requests', labels: ['method', 'status'] })
  requests.inc(['POST', '202'])
  requests.inc(['POST', '202'], 2)
  requests.inc(['GET', '200'])
  requests.inc(['GET', '200'], -5)
  registry.counter({ name: 'openclaw_restarts_total', help: 'Restarts' })
  const depth = registry.gauge({ name: 'queue_depth', help: 'How many\nwait \\ now' })
  depth.set(5)
  depth.set(2.5)
  assert.equal(
    await text(registry),
    `# HELP http_requests_total Requests
# TYPE http_requests_total counter
http_requests_total{method="POST",status="202"} 3
http_requests_total{method="GET",status="200"} 1
# HELP openclaw_restarts_total Restarts
# TYPE openclaw_restarts_total counter
openclaw_restarts_total 0
# HELP queue_depth How many\\nwait \\\\ now
# TYPE queue_depth gauge
queue_depth 2.5
`,
  )
})

test('a histogram counts cumulatively, its bounds included', async () => {
  const registry = new Registry()
  const latency = registry.histogram({ name: 'latency_seconds', help: 'Latency', labels: ['stage'], buckets: [0.1, 1] })
  for (const value of [0.05, 0.1, 0.5, 1, 7]) latency.observe(value, ['all'])
  assert.equal(
    await text(registry),
    `# HELP latency_seconds Latency
# TYPE latency_seconds histogram
latency_seconds_bucket{stage="all",le="0.1"} 2
latency_seconds_bucket{stage="all",le="1"} 4
latency_seconds_bucket{stage="all",le="+Inf"} 5
latency_seconds_sum{stage="all"} 8.65
latency_seconds_count{stage="all"} 5
`,
  )
})

test('label values are escaped', async () => {
  const registry = new Registry()
  registry.gauge({ name: 'g', help: 'g', labels: ['a'] }).set(Number.POSITIVE_INFINITY, ['"\\\n'])
  assert.match(await text(registry), /^g\{a="\\"\\\\\\n"\} \+Inf$/m)
})

test('a gauge is read when somebody looks, and what is no longer said is gone', async () => {
  const registry = new Registry()
  const gauge = registry.gauge({ name: 'open', help: 'Open', labels: ['kind'] })
  let kinds = ['a', 'b']
  gauge.collect(async (set) => {
    await Promise.resolve()
    for (const kind of kinds) set(1, [kind])
  })
  gauge.collect((set) => set(9, ['other']))
  assert.match(await text(registry), /kind="a"\} 1\nopen\{kind="b"\} 1\nopen\{kind="other"\} 9/)
  kinds = ['b']
  assert.doesNotMatch(await text(registry), /kind="a"/)
})

test('those who look at the same time share one reading', async () => {
  const registry = new Registry()
  let reads = 0
  registry.gauge({ name: 'g', help: 'g' }).collect((set) => set(++reads))
  const [first, second] = await Promise.all([registry.text(), registry.text()])
  assert.equal(first, second)
  assert.equal(reads, 1)
  await registry.text()
  assert.equal(reads, 2)
})

test('a gauge that cannot be read does not hide the others', async () => {
  const registry = new Registry()
  registry.gauge({ name: 'bad', help: 'bad' }).collect(() => {
    throw new Error('store locked')
  })
  registry.gauge({ name: 'good', help: 'good' }).collect((set) => set(1))
  const all = await registry.text()
  assert.match(all, /^good 1$/m)
  assert.match(all, /^openclaw_metrics_collect_failed_total 1$/m)
})

test('label sets beyond the cap are dropped and counted, and known ones still count', async () => {
  const registry = new Registry({ maxSeries: 30 })
  const counter = registry.counter({ name: 'many_total', help: 'Many', labels: ['id'] })
  for (let i = 0; i < 100; i++) counter.inc([String(i)])
  counter.inc(['0'])
  const all = await registry.text()
  // Two of the thirty are the registry's own.
  assert.equal(all.match(/^many_total\{/gm)?.length, 28)
  assert.match(all, /^many_total\{id="0"\} 2$/m)
  assert.match(all, /^openclaw_metrics_series_dropped_total 72$/m)
})

test('whoever fills the cap with one metric does not silence the others', async () => {
  const registry = new Registry({ maxSeries: 30 })
  const many = registry.counter({ name: 'many_total', help: 'Many', labels: ['agent'] })
  const gauge = registry.gauge({ name: 'state', help: 'State', labels: ['agent'] })
  gauge.collect((set) => {
    for (let i = 0; i < 100; i++) set(1, [String(i)])
  })
  const errors = registry.counter({ name: 'http_errors_total', help: 'Errors', labels: ['status'] })
  for (let i = 0; i < 100; i++) many.inc([String(i)])
  await registry.text()
  errors.inc(['500'])
  for (let i = 0; i < 100; i++) errors.inc([String(i)])
  const all = await registry.text()
  assert.match(all, /^http_errors_total\{status="500"\} 1$/m)
  assert.equal(all.match(/^http_errors_total\{/gm)?.length, 16)
  assert.equal(all.match(/^state\{/gm)?.length, 16)
})

test('the same metric can be asked for again, another one by that name cannot', async () => {
  const registry = new Registry()
  registry.counter({ name: 'a_total', help: 'a', labels: ['x'] }).inc(['1'])
  registry.counter({ name: 'a_total', help: 'a', labels: ['x'] }).inc(['1'])
  assert.match(await registry.text(), /^a_total\{x="1"\} 2$/m)
  assert.throws(() => registry.counter({ name: 'a_total', help: 'a', labels: ['y'] }), /already/)
  assert.throws(() => registry.counter({ name: 'a_total', help: 'a', labels: ['x'] }).inc([]), /was given 0 values/)
})

test('names that Prometheus would frown at are refused', () => {
  const registry = new Registry()
  assert.throws(() => registry.counter({ name: 'http_errors', help: 'h' }), /must end in _total/)
  assert.throws(() => registry.gauge({ name: 'queue_total', help: 'h' }), /counter's ending/)
  assert.throws(() => registry.gauge({ name: 'Queue-depth', help: 'h' }), /needs a name/)
  assert.throws(() => registry.counter({ name: 'x_total', help: 'h', labels: ['le'] }), /label that cannot be/)
  assert.throws(() => registry.histogram({ name: 'x_seconds', help: 'h', buckets: [1, 1] }), /do not ascend/)
})

test('the process tells memory, processor time, event-loop delay and build, in a text without lint', async (t) => {
  const registry = new Registry()
  const metrics = new ProcessMetrics({ metrics: registry, version: '1.2.3', startedAt: 1_000 })
  t.after(() => metrics.stop())
  await metrics.start()
  registry.histogram({ name: 'h_seconds', help: 'h', labels: ['a'] }).observe(1, ['x'])
  let all = ''
  const value = (name: string): number => Number(new RegExp(`^${name}(?:\\{.*\\})? (.+)$`, 'm').exec(all)?.[1])
  // Its first timer sets the beginning, and it tells of the busy loop at the next after that.
  const isLate = async (): Promise<boolean> => {
    const blockedUntil = performance.now() + 50
    while (performance.now() < blockedUntil);
    await new Promise((resolve) => setImmediate(resolve))
    all = await registry.text()
    return value('nodejs_eventloop_delay_max_seconds') > 0.02
  }
  await eventually(isLate, () => `a late event loop (it told ${value('nodejs_eventloop_delay_max_seconds')} s)`)
  assert.deepEqual(lint(all), [])
  assert.ok(value('process_resident_memory_bytes') > 1e7)
  assert.ok(value('process_cpu_seconds_total') > 0.01)
  assert.ok(value('nodejs_eventloop_delay_p50_seconds') <= value('nodejs_eventloop_delay_max_seconds'))
  assert.equal(value('process_start_time_seconds'), 1)
  assert.match(all, /^openclaw_build_info\{version="1\.2\.3",node="v\d+/m)
})

test('the lint finds what it is for', () => {
  assert.deepEqual(lint('x 1\n'), ['x: no HELP', 'x: no TYPE'])
  assert.deepEqual(lint('# HELP x X\n# TYPE x counter\nx 1\n'), ['x: a counter must end in _total'])
  assert.deepEqual(lint('# HELP g G\n# TYPE g gauge\ng{a="1"} 1\ng{a="1"} 2\n'), ['g{a="1"}: twice'])
  assert.deepEqual(lint('# HELP g G\n# TYPE g gauge\ng one\n'), ['not a sample: g one'])
})
