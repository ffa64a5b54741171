/**
 * Attacks on the real process, where the parser, the socket or the time matters. Those that one part alone can answer stand with the
 * part; docs/threats.md has them all.
 */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { describe, test } from 'node:test'
import { PERMISSIONS } from '#contract'
import { exchange, lines } from '../gateway/http/raw.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { SocketClient } from '../support/socket-client.ts'

const LIMIT = { timeout: 120_000 }

/** What a front server and we might cut differently. Each is followed on the same connection by a request that must never be answered. */
const SMUGGLED: readonly (readonly [name: string, header: readonly string[], body: string])[] = [
  ['a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ['chunks and a length', ['Transfer-Encoding: chunked', 'Content-Length: 4'], '0\r\n\r\n'],
  ['two lengths', ['Content-Length: 2', 'Content-Length: 40'], '{}'],
  ['two lengths in one field', ['Content-Length: 2, 40'], '{}'],
  ['a signed length', ['Content-Length: +2'], '{}'],
  ['a negative length', ['Content-Length: -2'], '{}'],
  ['a length in hex', ['Content-Length: 0x2'], '{}'],
  ['a length with a space inside', ['Content-Length: 2 0'], '{}'],
  ['a space before the colon', ['Transfer-Encoding : chunked'], '0\r\n\r\n'],
  ['a coding nobody knows', ['Transfer-Encoding: xchunked'], '0\r\n\r\n'],
  ['chunked and something after it', ['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'],
  ['two codings in two fields', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], '0\r\n\r\n'],
  ['a folded field', ['Transfer-Encoding:', ' chunked', 'Content-Length: 4'], '0\r\n\r\n'],
  ['a field name with a control character', ['Content-\x01Length: 2'], '{}'],
  ['a NUL in a value', ['X-A: a\0b', 'Content-Length: 2'], '{}'],
  ['a chunk size with a sign', ['Transfer-Encoding: chunked'], '+2\r\n{}\r\n0\r\n\r\n'],
  ['a chunk size in hex with 0x', ['Transfer-Encoding: chunked'], '0x2\r\n{}\r\n0\r\n\r\n'],
  ['a chunk longer than it says', ['Transfer-Encoding: chunked'], '2\r\n{}GET\r\n0\r\n\r\n'],
  ['a chunk size beyond 64 bits', ['Transfer-Encoding: chunked'], 'fffffffffffffffff2\r\n{}\r\n0\r\n\r\n'],
  ['lines that end in LF alone', ['X-A: b\nTransfer-Encoding: chunked'], '0\r\n\r\n'],
  ['a chunk extension that ends in LF alone', ['Transfer-Encoding: chunked'], '2;a\n{}\r\n0\r\n\r\n'],
  ['chunks that end in LF alone', ['Transfer-Encoding: chunked'], '2\r\n{}\n0\n\n'],
]

test('no request hides in another: what is ambiguous is refused, and what follows it is never answered', LIMIT, async (t) => {
  const { url, key } = await startGateway(t)
  const head = lines('POST /v1/sessions/none/reset HTTP/1.1', `Host: ${new URL(url).host}`, `Authorization: Bearer ${key}`)
  const smuggled = lines('GET /v1/whoami HTTP/1.1', `Host: ${new URL(url).host}`, `Authorization: Bearer ${key}`, 'Connection: close', '')
  // The same shape, unambiguous: here the second is answered, so that the others prove something.
  const honest = await exchange(url, `${head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}${smuggled}`)
  assert.match(honest, /"principal"/)
  for (const [name, header, body] of SMUGGLED) {
    const answer = await exchange(url, `${head}Content-Type: application/json\r\n${lines(...header, '')}${body}${smuggled}`)
    assert.doesNotMatch(answer, /"principal"/, name)
    assert.ok((answer.match(/^HTTP\/1\.1 /gm)?.length ?? 0) <= 1, `${name}: ${answer}`)
  }
})

describe('a web page that a victim opens', LIMIT, () => {
  const ask = async (gateway: GatewayProcess, origin: string | null, host?: string): Promise<number> => {
    const { port } = new URL(gateway.url)
    const asked = request({
      host: '127.0.0.1',
      port,
      path: '/v1/ws',
      agent: false,
      headers: {
        host: host ?? `127.0.0.1:${port}`,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version': '13',
        'sec-websocket-protocol': 'openclaw.v1',
        // As if the browser had added what it keeps.
        authorization: `Bearer ${gateway.key}`,
        ...(origin !== null && { origin }),
      },
    })
    return new Promise((resolve, reject) => {
      asked.once('upgrade', (response, socket) => {
        socket.destroy()
        resolve(response.statusCode ?? 0)
      })
      asked.once('response', (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      asked.once('error', reject)
      asked.end()
    })
  }

  test('opens no socket: not from another site, not from a sandboxed frame, not from another port of this machine', LIMIT, async (t) => {
    const gateway = await startGateway(t)
    const { port } = new URL(gateway.url)
    for (const origin of [
      'https://evil.example',
      'null',
      'http://127.0.0.1:1',
      'http://localhost:3000',
      `http://127.0.0.1.evil.example:${port}`,
      `http://127.0.0.1:${port}.evil.example`,
      `http://localhost:${port}`,
      `http://[::1]:${port}`,
      'file://',
      '',
    ])
      assert.equal(await ask(gateway, origin), 403, origin)
    assert.equal(await ask(gateway, null), 101, 'a program that is no browser')
    assert.equal(await ask(gateway, `http://127.0.0.1:${port}`), 101, 'our own page')
  })

  test('gets nowhere by a name that was made to point here', LIMIT, async (t) => {
    const gateway = await startGateway(t)
    const { port } = new URL(gateway.url)
    for (const host of ['evil.example', `evil.example:${port}`, `127.0.0.1.evil.example:${port}`, `localhost.evil.example:${port}`])
      assert.equal(await ask(gateway, `http://${host}`, host), 421, host)
  })
})

test('who comes by a proxy that nobody named is who is connected, and a header makes nobody anything', LIMIT, async (t) => {
  const gateway = await startGateway(t, { env: { OPENCLAW_RATE_PER_IP: '5' } })
  const claims = [
    'x-forwarded-for',
    'x-real-ip',
    'forwarded',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-user',
    'x-openclaw-scopes',
  ]
  const statuses: number[] = []
  for (let i = 0; i < 12; i++) {
    const headers = Object.fromEntries(claims.map((name) => [name, name === 'forwarded' ? `for=10.0.0.${i}` : `10.0.0.${i}`]))
    const response = await fetch(`${gateway.url}/v1/agents`, {
      headers: { ...headers, 'x-openclaw-scopes': '*', 'x-forwarded-user': 'admin' },
    })
    statuses.push(response.status)
  }
  assert.ok(
    statuses.every((status) => status === 401 || status === 429),
    statuses.join(),
  )
  assert.ok(statuses.includes(429), 'another address each time is no way around the limit')
})

test('a key that is revoked or rotated is out: by its next request, on its stream and on its socket', LIMIT, async (t) => {
  const gateway = await startGateway(t)
  const post = (path: string, body: unknown): Promise<Response> =>
    gateway.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  for (const end of [
    async (id: string) => assert.equal((await gateway.fetch(`/v1/keys/${id}`, { method: 'DELETE' })).status, 204),
    async (id: string) => assert.equal((await post(`/v1/keys/${id}/rotate`, {})).status, 200),
  ]) {
    const made = (await (await post('/v1/keys', { name: 'leaked', scopes: ['*'] })).json()) as {
      readonly id: string
      readonly secret: string
    }
    const authorization = `Bearer ${made.secret}`
    const socket = await SocketClient.open(new URL(gateway.url).host, made.secret)
    const stream = await fetch(`${gateway.url}/v1/events/stream`, { headers: { authorization } })
    assert.equal(stream.status, 200)
    const streamEnded = stream.text().catch(() => '')
    await end(made.id)
    assert.equal((await fetch(`${gateway.url}/v1/agents`, { headers: { authorization } })).status, 401)
    const [closed] = await Promise.all([socket.closed, streamEnded])
    assert.equal(closed, 4401)
    await assert.rejects(SocketClient.open(new URL(gateway.url).host, made.secret))
  }
})

test('nothing but skills:execute runs a skill over HTTP, and an agent runs those of its list alone', LIMIT, async (t) => {
  const agents = { barred: { skills: [] }, narrow: { skills: ['clock'] } }
  const gateway = await startGateway(t, { config: { agents } })
  const json = { 'content-type': 'application/json' }
  const keyOf = async (rights: object): Promise<string> => {
    const body = JSON.stringify({ name: 'curious', ...rights })
    const made = await gateway.fetch('/v1/keys', { method: 'POST', headers: json, body })
    assert.equal(made.status, 201)
    return ((await made.json()) as { readonly secret: string }).secret
  }
  const others = PERMISSIONS.filter((permission) => permission !== 'skills:execute')
  for (const rights of [{ roles: ['developer'] }, { roles: ['viewer'] }, { scopes: others }]) {
    const headers = { ...json, authorization: `Bearer ${await keyOf(rights)}` }
    for (const path of ['/v1/skills/clock/invoke', '/api/v1/skills/clock/invoke', '/skills/clock/v1/invoke', '/skills/clock/invoke'])
      assert.equal((await fetch(gateway.url + path, { method: 'POST', headers, body: '{"input":{}}' })).status, 403, path)
  }
  // The agent's list binds whoever asks, an administrator too.
  const said = async (agent: string, text: string): Promise<string> => {
    const init = { method: 'POST', headers: json, body: JSON.stringify({ input: text }) }
    return (await gateway.fetch(`/v1/agents/${agent}/invoke`, init)).text()
  }
  assert.match(await said('barred', '/skills'), /This agent has no skills/)
  assert.match(await said('barred', '/skill clock {}'), /this agent has no skill/)
  assert.match(await said('narrow', '/skill http-fetch {"url":"https://example.com/"}'), /this agent has no skill/)
  assert.match(await said('narrow', '/skill clock {}'), /\d{4}-\d\d-\d\d/)
  const runner = await keyOf({ scopes: ['skills:execute'] })
  const headers = { ...json, authorization: `Bearer ${runner}` }
  assert.equal((await fetch(`${gateway.url}/v1/skills/clock/invoke`, { method: 'POST', headers, body: '{"input":{}}' })).status, 200)
})

test('what is sent to poison objects poisons nothing, wherever it is put', LIMIT, async (t) => {
  const gateway = await startGateway(t)
  const post = (path: string, body: string, headers: { readonly [name: string]: string } = {}): Promise<Response> =>
    gateway.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    for (const body of [
      `{"${name}":{"scopes":["*"]}}`,
      `{"payload":"x","metadata":{"${name}":{"polluted":1}}}`,
      `{"payload":{"${name}":{"polluted":1}}}`,
    ])
      assert.equal((await post('/v1/messages', body)).status, 400, body)
    assert.equal((await gateway.fetch(`/v1/messages?${name}=1`)).status, 400)
    assert.equal((await gateway.fetch(`/v1/sessions/${name}`)).status, 404)
    assert.equal((await gateway.fetch(`/v1/agents/${name}`)).status, 404)
    assert.equal((await gateway.fetch(`/v1/roles/${name}`, { method: 'DELETE' })).status, 404)
    const metadata = await post('/v1/messages', '{"payload":"x"}', { 'x-openclaw-metadata': `{"${name}":{"polluted":1}}` })
    assert.equal(metadata.status, 422)
  }
  assert.equal((await post('/v1/messages', '{"payload":"still here"}')).status, 202)
})
