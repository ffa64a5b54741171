/** Bodies made to hurt: each is refused with a problem that says why, at once, and leaves nothing behind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerTo, everyMessage, post, problemOf } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import { SocketClient } from '../support/socket-client.ts'

const DEEP = '['.repeat(40_000) + ']'.repeat(40_000)
const MANY = `{${Array.from({ length: 20_000 }, (_, at) => `"m${at}":1`).join(',')}}`
const CASES: readonly (readonly [name: string, body: string, status: number, code: string])[] = [
  ['80 kB of nested arrays', `{"payload":${DEEP}}`, 400, 'JSON_REFUSED'],
  ['80 kB of nested arrays and nothing else', DEEP, 400, 'JSON_REFUSED'],
  ['nested arrays in the metadata', `{"payload":"x","metadata":{"a":${DEEP}}}`, 400, 'JSON_REFUSED'],
  ['__proto__ at the top', '{"payload":"x","__proto__":{"admin":true}}', 400, 'JSON_REFUSED'],
  ['__proto__ in the payload', '{"payload":{"a":[{"__proto__":{"admin":true}}]}}', 400, 'JSON_REFUSED'],
  ['__proto__ in the metadata', '{"payload":"x","metadata":{"__proto__":{"user_id":"root"}}}', 400, 'JSON_REFUSED'],
  ['__proto__ by an escape', '{"payload":"x","metadata":{"__pr\\u006fto__":{"user_id":"root"}}}', 400, 'JSON_REFUSED'],
  ['constructor.prototype', '{"payload":{"constructor":{"prototype":{"admin":true}}}}', 400, 'JSON_REFUSED'],
  ['20,000 members', `{"payload":${MANY}}`, 400, 'JSON_REFUSED'],
  ['more than the limit', JSON.stringify({ payload: 'x'.repeat(1_100_000) }), 413, 'BODY_TOO_LARGE'],
  ['no JSON', '{"payload":', 400, 'INVALID_JSON'],
  ['a number too large', '{"payload":{"n":1e999}}', 422, 'SCHEMA_VIOLATION'],
]

test('hostile bodies are refused at once, and harm nobody', { timeout: 60_000 }, async (context) => {
  const gateway = await startGateway(context)
  for (const [name, body, status, code] of CASES) {
    for (const path of ['/v1/messages', '/v1/agents/assistant/invoke', '/v1/agents']) {
      const askedAt = performance.now()
      const answer = await post(gateway, path, path.endsWith('invoke') ? body.replace('"payload"', '"input"') : body)
      // It takes some ten milliseconds; what a body could make it do takes minutes.
      assert.ok(performance.now() - askedAt < 10_000, `${name}: answered late`)
      const problem = await problemOf(answer)
      // What is only wrong as a message may be wrong in another way as an agent.
      if (path === '/v1/agents' && status === 422) continue
      assert.deepEqual([answer.status, problem.code], [status, code], `${name} to ${path}: ${problem.detail}`)
    }
  }
  assert.equal((await post(gateway, '/v1/messages', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'))).status, 400)
  const undecodable = await gateway.fetch('/v1/messages', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: Buffer.concat([Buffer.from('{"payload":"'), Buffer.of(0xff, 0xc0), Buffer.from('"}')]),
  })
  assert.equal((await problemOf(undecodable)).code, 'INVALID_UTF8')
  // A body without a stated length is counted as it comes.
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(65_536, 0x20)) })
  const chunked = { method: 'POST', body: endless, duplex: 'half', headers: { 'content-type': 'application/json' } } as RequestInit
  const status = await gateway.fetch('/v1/messages', chunked).then(
    (answer) => answer.status,
    // The server may close before all that is sent has come.
    () => 413,
  )
  assert.equal(status, 413)

  const socket = await SocketClient.open(new URL(gateway.url).host, gateway.key)
  socket.send(`{"type":"message","id":"deep","payload":${DEEP}}`)
  assert.equal((await socket.next('error'))['code'], 'SCHEMA_VIOLATION')
  socket.send('{"type":"message","id":"proto","payload":"x","metadata":{"__proto__":{"user_id":"root"}}}')
  assert.equal((await socket.next('error'))['code'], 'SCHEMA_VIOLATION')
  socket.send({ type: 'message', id: 'fine', payload: 'fine' })
  assert.equal((await socket.next('reply'))['text'], 'You said: fine')
  socket.send(JSON.stringify({ type: 'message', id: 'big', payload: 'x'.repeat(1_100_000) }))
  assert.equal(await socket.closed, 1009)

  assert.equal(await answerTo(gateway, 'unharmed'), 'You said: unharmed')
  assert.equal((await everyMessage(gateway)).length, 2)
})
