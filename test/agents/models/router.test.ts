import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { afterEach, test } from 'node:test'
import type { ModelsConfig } from '../../../agents/models/config.ts'
import { Router } from '../../../agents/models/router.ts'
import type { Answer, Ask } from '../../../agents/models/router.ts'
import { FakeAnthropic } from '../../fakes/anthropic.ts'
import { FakeOpenAI } from '../../fakes/openai.ts'
import type { Line } from '../../fakes/openai.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { CountingMetrics, EagerClock, modelsConfig } from '../harness.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

interface Bench {
  readonly one: FakeOpenAI
  readonly two: FakeOpenAI
  readonly clock: FakeClock
  readonly metrics: CountingMetrics
  /** What was said; null where it was void. */
  readonly said: (string | null)[]
  readonly ask: (rest?: Partial<Ask>) => Promise<Answer>
  readonly reconfigure: (config: ModelsConfig) => void
}

async function bench(
  options: { readonly clock?: FakeClock; readonly config?: Partial<ModelsConfig>; readonly random?: number } = {},
): Promise<Bench> {
  const clock = options.clock ?? new EagerClock()
  const [one, two] = [new FakeOpenAI(), new FakeOpenAI()]
  const [first, second] = [await one.start(), await two.start()]
  const metrics = new CountingMetrics()
  const providers = { one: { baseUrl: first, apiKey: 'sk-very-secret' }, two: { baseUrl: second } }
  const router = new Router({
    config: modelsConfig({ providers, ...options.config }),
    env: {},
    log: quietLog,
    clock,
    metrics,
    random: () => options.random ?? 0.5,
  })
  cleanups.push(
    () => router.close(),
    () => one.stop(),
    () => two.stop(),
    async () => assert.equal(clock.pending, 0, 'a timer is left'),
  )
  const said: (string | null)[] = []
  const ask = (rest: Partial<Ask> = {}): Promise<Answer> =>
    router.complete({
      agent: 'main',
      chain: ['one/a', 'two/b'],
      prompt: { system: 's', messages: [{ role: 'user', text: 'hi', sender: 'x' }], tools: [], toolChoice: 'auto', maxOutputTokens: 9 },
      idempotencyKey: 'turn-1:llm:1',
      signal: new AbortController().signal,
      onText: (text) => said.push(text),
      onVoid: () => said.push(null),
      ...rest,
    })
  return { one, two, clock, metrics, said, ask, reconfigure: (config) => router.reconfigure(config) }
}

const status = (code: number, error?: object, headers?: { readonly [name: string]: string }): Line => ({
  do: 'status',
  status: code,
  ...(error === undefined ? {} : { body: { error } }),
  ...(headers === undefined ? {} : { headers }),
})

for (const code of [408, 409, 425, 429, 500, 502, 503, 504, 529]) {
  test(`tries again after ${code}, with the same key`, async () => {
    const { one, two, ask, metrics } = await bench()
    one.add(status(code), status(code))
    assert.equal((await ask()).completion.text, 're: hi')
    assert.deepEqual([one.requests.length, two.requests.length], [3, 0])
    assert.deepEqual(new Set(one.requests.map((request) => request.headers['idempotency-key'])), new Set(['turn-1:llm:1']))
    assert.equal(metrics.values.get('openclaw_retries_total{llm}'), 2)
  })
}

for (const code of [400, 404, 401, 403, 402, 422]) {
  test(`goes to the next model at once after ${code}`, async () => {
    const { one, two, ask } = await bench()
    one.add(status(code))
    assert.equal((await ask()).name, 'two/b')
    assert.deepEqual([one.requests.length, two.requests.length], [1, 1])
    assert.equal(two.requests[0]?.headers['idempotency-key'], 'turn-1:llm:1:two/b')
  })
}

const faults: readonly { readonly name: string; readonly line: Line }[] = [
  { name: 'malformed JSON', line: { do: 'malformed' } },
  { name: 'a stream that ends early', line: { do: 'truncate', text: 'I was ab' } },
  { name: 'a connection that dies', line: { do: 'truncate', text: 'I was ab', hard: true } },
  { name: 'an error in the stream', line: { do: 'break', text: 'I was ab', error: { type: 'server_error', code: 500 } } },
]
for (const { name, line } of faults) {
  test(`tries again after ${name}, and takes back what was said`, async () => {
    const { one, said, ask } = await bench()
    one.add(line, { do: 'text', text: 'Whole.' })
    assert.equal((await ask()).completion.text, 'Whole.')
    assert.equal(one.requests.length, 2)
    assert.equal(said.slice(said.lastIndexOf(null) + 1).join(''), 'Whole.')
  })
}

test('waits by full jitter on a growing bound, and as long as the provider asked for', async () => {
  const { one, clock, ask } = await bench()
  one.add(status(500), status(500), status(429, undefined, { 'retry-after': '20' }))
  await ask()
  assert.deepEqual(
    clock.waits.filter((ms) => ms <= 30_000),
    [250, 500, 20_000],
  )
})

test('reads Retry-After as a date and in milliseconds', async () => {
  const { one, clock, ask } = await bench()
  const date = new Date(clock.now() + 9_000).toUTCString()
  one.add(status(503, undefined, { 'retry-after': date }), status(429, undefined, { 'retry-after-ms': '1234' }))
  await ask()
  assert.deepEqual(
    clock.waits.filter((ms) => ms <= 30_000),
    [9_000, 1_234],
  )
})

test('leaves a provider that asks for more than a minute, and lets it rest that long', async () => {
  const clock = new EagerClock()
  const { one, ask } = await bench({ clock })
  one.add(status(429, undefined, { 'retry-after': '90' }))
  assert.equal((await ask()).name, 'two/b')
  assert.equal((await ask()).name, 'two/b')
  assert.equal(one.requests.length, 1)
  clock.advance(90_001)
  assert.equal((await ask()).name, 'one/a')
})

test('a bad credential rests for minutes and does not stop a fallback', async () => {
  const clock = new EagerClock()
  const { one, ask } = await bench({ clock })
  one.add(status(401))
  await ask()
  await ask()
  assert.equal(one.requests.length, 1)
  clock.advance(5 * 60_000 + 1)
  await ask()
  assert.equal(one.requests.length, 2)
})

test('an empty account rests for ten minutes, though it is told by a 429', async () => {
  const clock = new EagerClock()
  const { one, ask } = await bench({ clock })
  one.add(status(429, { code: 'insufficient_quota' }))
  await ask()
  clock.advance(9 * 60_000)
  await ask()
  assert.equal(one.requests.length, 1)
})

test('an exhausted chain is worth another turn when something in it was transient', async () => {
  const { one, two, ask } = await bench({ config: { maxRetries: 1 } })
  one.add(status(404, { code: 'model_not_found' }))
  two.add(status(503), status(503, undefined, { 'retry-after': '7' }))
  await assert.rejects(ask(), { code: 'MODEL_UNAVAILABLE', retryable: true, retryAfterMs: 7_000 })
})

test('an exhausted chain is worth no other turn when everything was refused, and the reason is told without secrets', async () => {
  const { one, two, ask } = await bench()
  one.add(status(401, { code: 'invalid_api_key', message: 'Incorrect API key provided: sk-very-secret' }))
  two.add(status(404, { code: 'model_not_found', message: 'hi is not a model' }))
  await assert.rejects(ask(), (error: Error & { code: string; retryable: boolean }) => {
    assert.deepEqual([error.code, error.retryable], ['MODEL_AUTH_REJECTED', false])
    assert.match(error.message, /one\/a answered 401 \(invalid_api_key\); two\/b answered 404 \(model_not_found\)/)
    assert.match(error.message, /Check the api_key/)
    assert.doesNotMatch(error.message, /secret/)
    return true
  })
})

test('a provider nobody configured is named', async () => {
  const { ask } = await bench()
  await assert.rejects(ask({ chain: ['nowhere/x'] }), { code: 'MODEL_REJECTED', retryable: false, message: /no provider "nowhere"/ })
})

test('a name without a provider is told to be wrong', async () => {
  const { ask } = await bench()
  await assert.rejects(ask({ chain: ['gpt-4o'] }), { code: 'MODEL_REJECTED', message: /form provider\/model/ })
})

test('a prompt that is too long is for whoever made it, not for the next model', async () => {
  const { one, two, ask } = await bench()
  one.add(status(400, { code: 'context_length_exceeded', message: 'too long' }))
  await assert.rejects(ask(), { kind: 'overflow' })
  one.add(status(400, { message: "This model's maximum context length is 8192 tokens." }))
  await assert.rejects(ask(), { kind: 'overflow' })
  assert.equal(two.requests.length, 0)
})

test('anthropic errors are told apart by the same rules', async () => {
  const fake = new FakeAnthropic(
    { do: 'status', status: 529, type: 'overloaded_error' },
    { do: 'break', text: 'I was', type: 'overloaded_error' },
    { do: 'status', status: 400, type: 'invalid_request_error', message: 'prompt is too long: 210000 tokens > 200000 maximum' },
  )
  const baseUrl = await fake.start()
  cleanups.push(() => fake.stop())
  const { ask } = await bench({ config: { providers: { claude: { wire: 'anthropic', baseUrl } } } })
  await assert.rejects(ask({ chain: ['claude/x'] }), { kind: 'overflow' })
  assert.equal(fake.requests.length, 3)
})

test('a provider that says nothing is left after its time, and the call is closed', async () => {
  const clock = new FakeClock()
  const { one, ask } = await bench({ clock, config: { timeoutMs: 45_000, maxRetries: 0 } })
  one.add({ do: 'hang' })
  const asking = ask()
  await one.received(1)
  clock.advance(44_999)
  assert.equal(clock.pending, 1)
  clock.advance(1)
  assert.equal((await asking).name, 'two/b')
})

test('a provider that stalls in the middle is left after thirty silent seconds', async () => {
  const clock = new FakeClock()
  const { one, said, ask } = await bench({ clock, config: { maxRetries: 0 } })
  one.add({ do: 'stall', text: 'Well' })
  const words: string[] = []
  const heard = new Promise<void>((resolve) => {
    void ask({
      onText: (text) => {
        words.push(text)
        resolve()
      },
    }).then(({ name }) => said.push(name))
  })
  await heard
  clock.advance(60_000)
  await two(said)
  assert.equal(words[0], 'Well')
})
const two = async (said: readonly (string | null)[]): Promise<void> => {
  while (!said.includes('two/b')) await new Promise((resolve) => setImmediate(resolve))
}

test('all attempts together end within the total time', async () => {
  const { one, two, ask } = await bench({ clock: new FakeClock(), config: { totalTimeoutMs: 5_000 } })
  one.add(status(503, undefined, { 'retry-after': '6' }))
  assert.equal((await ask()).name, 'two/b')
  assert.deepEqual([one.requests.length, two.requests.length], [1, 1])
})

test('an abort ends a wait between attempts with its reason', async () => {
  const clock = new FakeClock()
  const { one, ask } = await bench({ clock })
  one.add(status(503, undefined, { 'retry-after': '20' }))
  const stop = new AbortController()
  const asking = ask({ signal: stop.signal })
  await clock.nextTimer()
  await clock.nextTimer()
  const reason = new Error('deadline')
  stop.abort(reason)
  await assert.rejects(asking, reason)
})

test('a server that is not there is a transient fault', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await new Promise((resolve) => server.close(resolve))
  const { ask } = await bench({ config: { providers: { gone: { baseUrl: `http://127.0.0.1:${port}/v1` } }, maxRetries: 1 } })
  await assert.rejects(ask({ chain: ['gone/x'] }), { code: 'MODEL_UNAVAILABLE', retryable: true, message: /ECONNREFUSED/ })
})

test('a provider that fails half of ten calls rests, is tried once, and comes back', async () => {
  const clock = new EagerClock()
  const { one, two, ask } = await bench({ clock, config: { maxRetries: 0 } })
  for (let i = 0; i < 5; i++) one.add({ do: 'text', text: 'ok' }, status(500))
  for (let i = 0; i < 10; i++) await ask()
  assert.deepEqual([one.requests.length, two.requests.length], [10, 5])
  await ask()
  assert.equal(one.requests.length, 10, 'it rests')
  clock.advance(30_001)
  one.add(status(500))
  await ask()
  await ask()
  assert.equal(one.requests.length, 11, 'one try, then it rests again')
  clock.advance(30_001)
  const atOnce = await Promise.all([ask(), ask(), ask()])
  assert.deepEqual(
    atOnce.map(({ name }) => name),
    ['one/a', 'two/b', 'two/b'],
    'one of many tries it',
  )
  assert.equal((await ask()).name, 'one/a')
})

test('when all of them rest the primary is tried', async () => {
  const { one, two, ask } = await bench()
  one.add(status(401))
  two.add(status(401))
  await assert.rejects(ask())
  assert.equal((await ask()).name, 'one/a')
})

test('the built-in model needs nobody', async () => {
  const { ask, said } = await bench()
  const { completion, usage } = await ask({ chain: ['builtin/echo'] })
  assert.equal(completion.text, 'Hello! I am the built-in model: I work offline and repeat what I hear. You said: hi')
  assert.equal(said.join(''), completion.text)
  assert.equal(usage.costNano, 0)
})

test('another key is used from the next call on, also where the one before was refused, and what runs ends as it began', async () => {
  const { one, two, clock, ask, reconfigure } = await bench({ clock: new FakeClock() })
  one.add(status(401), { do: 'hold', line: { do: 'text', text: 'from before' } })
  assert.equal((await ask()).name, 'two/b', 'a provider that refuses the key rests')
  const [first, second] = [one, two].map(({ requests }) => requests[0]?.headers.host)
  const configOf = (apiKey: string): ModelsConfig =>
    modelsConfig({ providers: { one: { baseUrl: `http://${first}/v1`, apiKey }, two: { baseUrl: `http://${second}/v1` } } })
  reconfigure(configOf('sk-second'))
  const running = ask()
  await one.received(2)
  reconfigure(configOf('sk-third'))
  assert.equal((await ask()).name, 'one/a')
  one.release()
  assert.equal((await running).completion.text, 'from before')
  assert.deepEqual(
    one.requests.map(({ headers }) => headers.authorization),
    ['Bearer sk-very-secret', 'Bearer sk-second', 'Bearer sk-third'],
  )
  assert.ok(clock.pending > 0)
  clock.advance(600_000)
})
