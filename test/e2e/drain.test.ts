/**
 * SIGTERM: nothing new is taken in, turns under way may end within the bound and are answered, those that take longer are handed back and
 * answered by the next life, and the process ends with 0. The model's answers are held until the test lets them go.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { FakeOpenAI } from '../fakes/openai.ts'
import { ended, everyMessage, post, problemOf, say } from '../support/conversation.ts'
import { eventually } from '../support/eventually.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { SocketClient } from '../support/socket-client.ts'

const HOLD = { do: 'hold', line: { do: 'text', text: 'late but here' } } as const

async function withModel(context: TestContext, drain: string): Promise<{ readonly model: FakeOpenAI; readonly gateway: GatewayProcess }> {
  const model = new FakeOpenAI()
  const baseUrl = await model.start()
  context.after(() => model.stop())
  const llm = { providers: { fake: { base_url: baseUrl, api: 'chat', api_key: 'k' } }, defaults: { primary: 'fake/m' } }
  return { model, gateway: await startGateway(context, { config: { llm, shutdown: { drain } } }) }
}

/** Resolves when the gateway has begun to shut down. */
async function draining(gateway: GatewayProcess): Promise<void> {
  await eventually(async () => (await gateway.fetch('/readyz')).status === 503, 'the shutdown')
}

test('a turn under way ends and is answered, while nothing new is taken in', { timeout: 60_000 }, async (context) => {
  const { model, gateway } = await withModel(context, '50s')
  model.add(HOLD)
  const socket = await SocketClient.open(new URL(gateway.url).host, gateway.key)
  const waiting = post(gateway, '/v1/messages?wait=20', { payload: 'slow', metadata: { user_id: 'ann' } })
  await model.received(1)
  const behind = await say(gateway, 'behind it', 'ann')

  gateway.signal('SIGTERM')
  await draining(gateway)
  const ready = (await (await gateway.fetch('/readyz')).json()) as { parts: readonly { name: string; detail: string | null }[] }
  assert.deepEqual(
    ready.parts.map(({ name, detail }) => [name, detail]),
    [
      ['store', null],
      ['lifecycle', 'draining'],
      ['event loop', null],
    ],
  )
  const refused = await post(gateway, '/v1/messages', { payload: 'too late' })
  assert.equal(refused.status, 503)
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  assert.equal((await problemOf(refused)).code, 'DRAINING')
  socket.send({ type: 'message', id: 'w1', payload: 'too late' })
  assert.equal((await socket.next('error'))['code'], 'DRAINING')

  model.release()
  const releasedAt = Date.now()
  const answer = await waiting
  assert.equal(answer.status, 200)
  const { status, replies } = (await answer.json()) as { status: string; replies: readonly { text: string }[] }
  assert.deepEqual([status, replies[0]?.text], ['done', 'late but here'])
  assert.deepEqual(await gateway.ended, { code: 0, signal: null })
  assert.equal(await socket.closed, 1001)
  assert.ok(Date.now() - releasedAt < 25_000, 'it does not wait for the bound when nothing is left to wait for')

  const next = await startGateway(context, { dir: gateway.dir })
  assert.equal((await ended(next, behind)).replies[0]?.text, 're: behind it')
  assert.equal((await everyMessage(next)).length, 2, 'what was refused is not there')
})

test(
  'a turn longer than the bound is handed back, and the next life answers it as its first attempt',
  { timeout: 30_000 },
  async (context) => {
    const { model, gateway } = await withModel(context, '500ms')
    model.add(HOLD)
    const waiting = post(gateway, '/v1/messages?wait=20', { payload: 'very slow' })
    await model.received(1)
    const stoppedAt = Date.now()
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null })
    const took = Date.now() - stoppedAt
    // The turn itself would never end.
    assert.ok(took >= 500, `it ended after ${took} ms`)
    const answer = await waiting
    assert.equal(answer.status, 202)
    const { message_id: id } = (await answer.json()) as { message_id: string }

    const next = await startGateway(context, { dir: gateway.dir })
    const { status, attempts, replies } = await ended(next, id)
    assert.deepEqual([status, attempts, replies.map(({ text }) => text)], ['done', 1, ['re: very slow']])
    const keys = model.requests.map(({ headers }) => headers['idempotency-key'])
    assert.deepEqual([keys.length, new Set(keys).size], [2, 1], 'the model call is made again under the same key')
  },
)

test('a second SIGTERM does not wait', { timeout: 30_000 }, async (context) => {
  const { model, gateway } = await withModel(context, '10s')
  model.add(HOLD)
  const id = await say(gateway, 'slow')
  await model.received(1)
  gateway.signal('SIGTERM')
  await draining(gateway)
  gateway.signal('SIGTERM')
  assert.deepEqual(await gateway.ended, { code: 130, signal: null })
  const next = await startGateway(context, { dir: gateway.dir })
  assert.equal((await ended(next, id)).status, 'done')
})
