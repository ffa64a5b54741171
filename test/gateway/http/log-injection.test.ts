/** Every place of a request that its sender writes, with what would forge a line of the log or drive a terminal: no line of ours shows it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '../../../gateway/observe/log.ts'
import { startServer } from './double.ts'
import { exchange, lines } from './raw.ts'

const ESCAPE = '\u001b[2K\u001b]0;owned\u0007'
const ENCODED = encodeURIComponent(`x\r\n{"level":"error","msg":"forged"}${ESCAPE}`)

test('nothing of a request forges a line of the log', async (t) => {
  const written: string[] = []
  const log = createLog({ level: 'debug', format: 'json', version: '1', destination: { write: (line) => void written.push(line) } })
  const { url, key, call } = await startServer(t, { log })
  const host = new URL(url).host
  const bearer = `Authorization: Bearer ${key}`
  const ask = (...head: readonly string[]): Promise<string> => exchange(url, lines(...head, 'Connection: close', ''))
  await ask(`GET /v1/sessions/${ENCODED}?x=${ENCODED} HTTP/1.1`, `Host: ${host}`, bearer)
  await ask('GET /v1/channels HTTP/1.1', `Host: ${host}`, bearer, `X-Request-Id: x${ESCAPE}`, `traceparent: 00-${ESCAPE}`)
  await ask('GET /v1/channels HTTP/1.1', `Host: ${host}`, `Authorization: Bearer ock_live_${ESCAPE}`, `User-Agent: ${ESCAPE}`)
  await ask('GET /v1/channels HTTP/1.1', `Host: ${ESCAPE}`, bearer)
  await ask('POST /v1/messages HTTP/1.1', `Host: ${host}`, bearer, `Origin: http://${ENCODED}`, 'Content-Length: 0')
  await ask(`BREW /${ENCODED} HTTP/1.1`, `Host: ${host}`)
  await ask('GET /%zz HTTP/1.1', `Host: ${host}`)
  const evil = `x\r\n{"msg":"forged"}${ESCAPE}\u2028`
  for (const json of [{ payload: evil, metadata: { user_id: evil, agent_id: evil, [evil]: evil } }, { [evil]: evil }, { name: evil }])
    for (const path of ['/v1/messages', '/v1/keys', '/v1/agents'])
      await call(path, { method: 'POST', json, headers: { 'idempotency-key': 'k' } })
  assert.ok(written.length >= 12, `only ${written.length} lines`)
  for (const line of written) {
    assert.equal(line.indexOf('\n'), line.length - 1, line)
    const { msg, status } = JSON.parse(line) as { readonly msg: string; readonly status: number }
    assert.ok(status >= 500 || !line.includes('"stack"'), 'what a client did wrong fills the log with no stack')
    assert.ok(msg === 'request' || msg === 'request failed', msg)
    assert.doesNotMatch(line, /\\u001b|\\r|\\n|owned|\u2028|ock_live_/)
  }
})
