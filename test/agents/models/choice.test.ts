import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { Agents } from '../../../agents/agents.ts'
import { chooseDefault, probeOllama, wantsProbe } from '../../../agents/models/choice.ts'
import { endpointOf, ollamaOrigin } from '../../../agents/models/config.ts'
import { RecordedTurn } from '../../support/turn.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { CountingMetrics, modelsConfig } from '../harness.ts'

const config = modelsConfig()

test('a key decides, OpenAI before Anthropic before Ollama before what is built in', () => {
  const both = { OPENAI_API_KEY: 'a', ANTHROPIC_API_KEY: 'b' }
  assert.match(chooseDefault(config, both, 'llama')[0] ?? '', /^openai\//)
  assert.match(chooseDefault(config, { ANTHROPIC_API_KEY: 'b' }, 'llama')[0] ?? '', /^anthropic\//)
  assert.deepEqual(chooseDefault(config, {}, 'qwen3:8b'), ['ollama/qwen3:8b'])
  assert.match(chooseDefault(config, { OLLAMA_HOST: 'box' }, null)[0] ?? '', /^ollama\//)
  assert.deepEqual(chooseDefault(config, { OPENAI_API_KEY: '' }, null), ['builtin/echo'])
})

test('what is configured goes before what is found, with its fallback', () => {
  const own = modelsConfig({ primary: 'my-vllm/x', fallback: ['openai/y'] })
  assert.deepEqual(chooseDefault(own, { OPENAI_API_KEY: 'a' }, null), ['my-vllm/x', 'openai/y'])
  assert.match(chooseDefault(modelsConfig({ providers: { anthropic: { apiKey: 'k' } } }), {}, null)[0] ?? '', /^anthropic\//)
  assert.equal(wantsProbe(own, {}), false)
  assert.equal(wantsProbe(config, {}), true)
})

test('known providers need only their key, others a base URL', () => {
  const openai = endpointOf(config, { OPENAI_API_KEY: 'k' }, 'openai')
  assert.ok(openai !== null && openai !== 'builtin')
  assert.deepEqual([openai.wire.path, openai.apiKey], ['responses', 'k'])
  const compatible = endpointOf(modelsConfig({ providers: { v: { baseUrl: 'http://h:1/v1' } } }), {}, 'v')
  assert.ok(compatible !== null && compatible !== 'builtin')
  assert.equal(compatible.wire.path, 'chat/completions')
  assert.equal(endpointOf(config, {}, 'v'), null)
  assert.equal(endpointOf(config, {}, 'builtin'), 'builtin')
})

test('OLLAMA_HOST is read as Ollama reads it', () => {
  const origins = [
    ['', 'http://127.0.0.1:11434'],
    ['0.0.0.0', 'http://127.0.0.1:11434'],
    ['box:8080', 'http://box:8080'],
    ['https://box', 'https://box'],
    ['http://box:80', 'http://box'],
    ['::nonsense::', 'http://127.0.0.1:11434'],
  ] as const
  for (const [host, origin] of origins) assert.equal(ollamaOrigin({ OLLAMA_HOST: host }), origin)
})

test('a local Ollama is found with its first model; nobody there, or nothing in time, is none', async () => {
  const server = createServer((request, response) => {
    assert.equal(request.url, '/api/tags')
    response.end('{"models":[{"name":"qwen3:8b"},{"name":"other"}]}')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  const OLLAMA_HOST = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  assert.equal(await probeOllama({ OLLAMA_HOST }), 'qwen3:8b')
  await new Promise((resolve) => server.close(resolve))
  assert.equal(await probeOllama({ OLLAMA_HOST }), null)
  const mute = createServer(() => {}).listen(0, '127.0.0.1')
  await new Promise((resolve) => mute.once('listening', resolve))
  const other = mute.address()
  assert.equal(await probeOllama({ OLLAMA_HOST: `127.0.0.1:${typeof other === 'object' && other !== null ? other.port : 0}` }), null)
  mute.closeAllConnections()
  await new Promise((resolve) => mute.close(resolve))
})

test('agents tell what stands behind them, and look for an Ollama once', async () => {
  let probes = 0
  const agents = new Agents({
    models: config,
    env: {},
    log: quietLog,
    clock: new FakeClock(),
    metrics: new CountingMetrics(),
    probe: async () => {
      probes++
      return 'tiny'
    },
  })
  const { agent } = new RecordedTurn()
  assert.deepEqual(agents.models(agent), ['builtin/echo'])
  await Promise.all([agents.start(), agents.start()])
  assert.deepEqual(agents.models(agent), ['ollama/tiny'])
  assert.deepEqual(agents.models({ ...agent, models: ['a/b', 'c/d'] }), ['a/b', 'c/d'])
  assert.equal(probes, 1)
  await agents.stop()
})
