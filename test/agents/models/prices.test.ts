import assert from 'node:assert/strict'
import { test } from 'node:test'
import { costNano, priceOf } from '../../../agents/models/prices.ts'
import table from '../../../agents/models/prices.json' with { type: 'json' }

const ask = (name: string, isLocal = false, own = {}): ReturnType<typeof priceOf> => priceOf({ name, own, isLocal })

test('every row says what it costs, where that was read and when', () => {
  for (const [name, row] of Object.entries(table)) {
    assert.match(name, /^(openai|anthropic)\/[\w.-]+$/)
    assert.ok(row.input > 0 && row.output >= row.input && row.cacheRead <= row.input, name)
    assert.match(row.date, /^20\d\d-\d\d-\d\d$/)
    assert.match(row.source, /^[\w./-]+$/)
  }
})

test('cost is integer nano-USD, with cached input at its own price', () => {
  const price = { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 }
  const tokens = { input: 1_000, output: 100, cacheRead: 600, cacheWrite: 200 }
  assert.equal(costNano(price, tokens), 200 * 3_000 + 600 * 300 + 200 * 3_750 + 100 * 15_000)
  assert.equal(costNano({ input: 0.0333, output: 0 }, { input: 1, output: 0, cacheRead: 0, cacheWrite: 0 }), 33)
})

test('own prices go first, snapshots cost what their alias costs, local models nothing, the rest nobody knows', () => {
  assert.equal(ask('openai/gpt-4o', false, { 'openai/gpt-4o': { input: 9, output: 9 } })?.input, 9)
  assert.equal(ask('openai/gpt-4o-2024-08-06')?.input, 2.5)
  assert.equal(ask('anthropic/claude-haiku-4-5-20251001')?.output, 5)
  assert.deepEqual(ask('ollama/llama3.2', true), { input: 0, output: 0 })
  assert.equal(ask('my-vllm/x'), null)
  assert.equal(ask('my-vllm/constructor'), null)
  assert.equal(costNano(null, { input: 1, output: 1, cacheRead: 0, cacheWrite: 0 }), null)
})
