/** `openclaw audit follow` over a server that says anything: what others are called does not steer the operator's terminal. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { readCall } from '../../cli/command.ts'
import { audit } from '../../cli/commands/audit.ts'
import { Output } from '../../cli/output.ts'

test('an entry that is followed is one line without control characters, whoever made it', { timeout: 20_000 }, async (t) => {
  const entry = {
    at: '2026-11-21T12:00:00.000Z',
    actor: { id: 'eve\u001b]0;owned\u0007\u001b[2J\nroot' },
    action: 'keys.delete',
    object: 'key-1\r\u009b1A',
    outcome: 'failed',
  }
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`event: entry\nid: 1\ndata: ${JSON.stringify(entry)}\n\n`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const noted = Promise.withResolvers<string>()
  const stream = { write: (text: string) => noted.resolve(text) }
  const stop = new AbortController()
  const call = readCall('audit', audit, ['follow'])
  assert.ok(call !== 'help')
  const running = audit.run(call, {
    env: { OPENCLAW_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, OPENCLAW_TOKEN: 'x' },
    cwd: '/',
    stdin: new PassThrough(),
    out: new Output({ stdout: stream, stderr: stream, isColoured: false }),
    signal: stop.signal,
  })
  const line = await noted.promise
  stop.abort()
  await running.catch(() => undefined)
  assert.match(line, /^\S.* {2}eve root {2}keys\.delete {2}key-1 ?1?A? {2}failed\n$/)
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f]/)
})
