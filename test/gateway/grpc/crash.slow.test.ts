/** What was acknowledged over gRPC is there after a kill -9, and the same key is still the same message. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../../support/gateway-process.ts'
import { clientOf } from './client.ts'
import type { Message } from './client.ts'

const config = { grpc: { enabled: true, port: 0 }, agents: { main: { model: 'builtin/echo' } }, skills: { sandbox: 'none' } }

test('a message that was acknowledged survives a kill -9, and is answered once', { timeout: 60_000 }, async (t) => {
  const first = await startGateway(t, { config })
  const [, address = ''] = await first.told(/grpc +(127\.0\.0\.1:\d+)/, 10_000)
  const client = clientOf(address, first.key)
  const asked = Array.from({ length: 50 }, (_, n) => ({ payload: { text: `number ${n}` }, idempotency_key: `k${n}` }))
  const replies = await Promise.all(asked.map((request) => client.ask('Publish', request)))
  const stream = client.service.Chat(client.meta())
  stream.write({ message: { id: 'said', conversation: 'c', payload: { text: 'over the stream' } } })
  const acked = await new Promise<Message>((resolve) => {
    stream.on('error', () => undefined)
    stream.on('data', (frame: Message) => frame['frame'] === 'ack' && resolve(frame['ack'] as Message))
  })
  await first.kill9()
  client.service.close()

  const second = await startGateway(t, { dir: first.dir, config })
  const [, next = ''] = await second.told(/grpc +(127\.0\.0\.1:\d+)/, 10_000)
  const again = clientOf(next, second.key)
  t.after(() => again.service.close())
  for (const [n, request] of asked.entries()) {
    const { reply } = await again.ask('Publish', { ...request, wait_seconds: 20 })
    assert.equal(reply['message_id'], replies[n]?.reply['message_id'])
    assert.equal(reply['status'], 'done')
  }
  const message = (await (await second.fetch(`/v1/messages/${String(acked['message_id'])}?wait=20`)).json()) as Message
  assert.equal(message['status'], 'done')
  assert.equal((message['replies'] as readonly unknown[]).length, 1)
})
