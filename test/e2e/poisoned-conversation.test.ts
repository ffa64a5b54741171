/**
 * One conversation in which every message fails, again and again, two hundred of them: all others are answered meanwhile, and about as fast as
 * without it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeOpenAI } from '../fakes/openai.ts'
import { answerTo, everyMessage, say } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const POISON = 200
const OTHERS = 20
const EACH = 5

interface Times {
  readonly medianMs: number
  readonly p95Ms: number
}

/** Twenty people, five messages each, one after the other. */
async function others(gateway: GatewayProcess, when: string): Promise<Times> {
  const took: number[] = []
  const person = async (name: string): Promise<void> => {
    for (let at = 0; at < EACH; at++) {
      const askedAt = performance.now()
      assert.equal(await answerTo(gateway, `${when} ${at}`, name), `re: ${when} ${at}`)
      took.push(performance.now() - askedAt)
    }
  }
  await Promise.all(Array.from({ length: OTHERS }, (_, number) => person(`person-${number}`)))
  const sorted = took.toSorted((a, b) => a - b)
  return { medianMs: sorted[Math.floor(sorted.length / 2)] ?? 0, p95Ms: sorted[Math.floor(sorted.length * 0.95)] ?? 0 }
}

const told = ({ medianMs, p95Ms }: Times): string => `median ${medianMs.toFixed(1)} ms, p95 ${p95Ms.toFixed(1)} ms`

test('a conversation that always fails delays nobody else', { timeout: 60_000 }, async (context) => {
  const model = new FakeOpenAI()
  model.when(/poison/, { do: 'status', status: 500 })
  const baseUrl = await model.start()
  context.after(() => model.stop())
  const llm = {
    providers: { fake: { base_url: baseUrl, api: 'chat', api_key: 'k' } },
    defaults: { primary: 'fake/m', max_retries: 0 },
  }
  const gateway = await startGateway(context, { config: { llm, turns: { attempts: 100, base: '20ms', cap: '50ms' } } })
  await others(gateway, 'warming up')
  const without = await others(gateway, 'without')

  const poison = await Promise.all(Array.from({ length: POISON }, (_, at) => say(gateway, `poison ${at}`, 'mallory')))
  const failedBefore = model.requests.length
  const beside = await others(gateway, 'beside')
  const failures = model.requests.length - failedBefore - OTHERS * EACH
  context.diagnostic(`others without it: ${told(without)}; beside it: ${told(beside)}; ${failures} failures meanwhile`)

  assert.ok(failures > 0, 'it was tried again while the others were answered')
  const pending = (await everyMessage(gateway)).filter(({ status }) => status !== 'done')
  assert.equal(pending.length, poison.length, 'the poison is all there, and still waiting')
  const [head] = pending.toReversed()
  assert.equal(head?.message_id, poison[0])
  assert.ok((head?.attempts ?? 0) > 1)
  assert.deepEqual(new Set(pending.slice(0, -1).map(({ attempts }) => attempts)), new Set([0]), 'one at a time, in order')
})
