/**
 * SIGKILL of the real gateway while skills run that were handed in over the API: none of them is lost; what may be repeated is run again in the next
 * life, of what may not it is said that nobody knows, as a dead letter, and it is not run again before somebody replays it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, JsonValue } from '#contract'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

/** Runs until the time that its input says, so that the next life is done at once. */
const CODE = `export function run(input, ctx) {
  ctx.progress({ key: ctx.key })
  while (Date.now() < input.until) {}
  return { key: ctx.key }
}`
const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : assert.fail(JSON.stringify(value)))
const RUN_MS = 12_000

async function send(
  gateway: GatewayProcess,
  path: string,
  body?: unknown,
  headers: { readonly [name: string]: string } = {},
): Promise<JsonObject> {
  const json = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body ?? {}) }
  const response = await gateway.fetch(path, body === undefined ? { method: 'POST' } : json)
  const answer = (await response.json()) as JsonObject
  assert.ok(response.ok, JSON.stringify(answer))
  return answer
}
const read = async (gateway: GatewayProcess, path: string): Promise<JsonObject> => (await (await gateway.fetch(path)).json()) as JsonObject

async function register(gateway: GatewayProcess, effect: string): Promise<void> {
  const descriptor = {
    id: effect,
    version: '1.0.0',
    inputs: { until: { type: 'number', description: 'Epoch milliseconds' } },
    outputs: { key: { type: 'string', description: 'Its key' } },
    runtime: { language: 'javascript', entrypoint: 'main.js' },
    effect,
    timeout_ms: 60_000,
  }
  await send(gateway, '/v1/skills', { descriptor, files: { 'main.js': CODE } })
}

/** Resolves when its code has told that it runs. */
async function isRunning(gateway: GatewayProcess, run: string): Promise<void> {
  const response = await gateway.fetch(`/v1/runs/${run}/events`)
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk as Uint8Array).toString()
    if (text.includes('skill.progress')) return
  }
  throw new Error(`It ended without a word: ${text}`)
}

test('runs that die with the gateway are run again, or called unknown, by what they do outside', { timeout: 90_000 }, async (context) => {
  const gateway = await startGateway(context)
  for (const effect of ['none', 'once']) await register(gateway, effect)
  const input = { until: Date.now() + RUN_MS }
  const ids: { [skill: string]: string } = {}
  for (const skill of ['none', 'once']) {
    const { run_id: id } = await send(
      gateway,
      `/v1/skills/${skill}/invoke`,
      { input },
      { prefer: 'respond-async', 'idempotency-key': `k${skill}` },
    )
    ids[skill] = textOf(id)
    await isRunning(gateway, textOf(id))
  }
  await gateway.kill9()

  const next = await startGateway(context, { dir: gateway.dir })
  const once = await read(next, `/v1/runs/${ids['once']}?wait=30`)
  assert.deepEqual([once['status'], once['attempts'], once['output']], ['unknown', 1, null])
  const letters = await read(next, '/v1/dead-letters?kind=run')
  const [letter, ...others] = letters['data'] as readonly JsonObject[]
  assert.deepEqual([letter?.['ref'], letter?.['reason'], others], [ids['once'], { code: 'SKILL_OUTCOME_UNKNOWN', message: MESSAGE }, []])
  // The same key is the same run: a client that asks again is told the same, and nothing runs.
  const again = await next.fetch('/v1/skills/once/invoke', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': 'konce' },
    body: JSON.stringify({ input }),
  })
  assert.deepEqual([again.status, ((await again.json()) as JsonObject)['code']], [502, 'SKILL_OUTCOME_UNKNOWN'])

  const none = await read(next, `/v1/runs/${ids['none']}?wait=40`)
  assert.deepEqual([none['status'], none['attempts'], none['output']], ['done', 2, { key: none['key'] }])

  const replayed = await send(next, `/v1/dead-letters/${textOf(letter?.['id'])}/replay`, {})
  assert.deepEqual([replayed['kind'], replayed['run_id']], ['run', ids['once']])
  const brought = await read(next, `/v1/runs/${ids['once']}?wait=30`)
  assert.deepEqual([brought['status'], brought['output']], ['done', { key: once['key'] }])
  assert.equal(((await read(next, '/v1/dead-letters?kind=run&status=open'))['data'] as readonly JsonObject[]).length, 0)
})

const MESSAGE = 'The gateway ended while this ran; whether it happened is not known.'
