import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '#contract'
import { echoRoute, problem, startServer } from './double.ts'
import { exchange, lines, open } from './raw.ts'

const post = (
  call: (path: string, init: RequestInit) => Promise<Response>,
  body: string | Uint8Array<ArrayBuffer>,
  type = 'application/json',
) => call('/v1/messages', { method: 'POST', headers: { 'content-type': type }, body })

test('80 kB of nested arrays are refused, and the gateway lives on', async (t) => {
  const { call } = await startServer(t)
  const body = await problem(await post(call, '['.repeat(40_000) + ']'.repeat(40_000)), 400)
  assert.equal(body['code'], 'JSON_REFUSED')
  assert.equal((await post(call, '{}')).status, 202)
})

test('a body may be 32 deep and have 1000 members, and no more', async (t) => {
  const { call } = await startServer(t)
  const deep = (depth: number) => '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1)
  assert.equal((await post(call, deep(32))).status, 202)
  const [fault] = (await problem(await post(call, deep(33)), 400))['errors'] as readonly JsonObject[]
  assert.deepEqual(fault, { pointer: `#${'/a'.repeat(32)}`, detail: 'nested more than 32 deep' })
  const wide = (members: number) => JSON.stringify(Object.fromEntries(Array.from({ length: members }, (_, i) => [`m${i}`, i])))
  assert.equal((await post(call, wide(1_000))).status, 202)
  await problem(await post(call, wide(1_001)), 400)
})

test('members that poison objects are refused wherever they hide', async (t) => {
  const { call } = await startServer(t)
  for (const [body, pointer] of [
    ['{"__proto__":{"x":1}}', '#/__proto__'],
    ['{"a":[1,{"b~/":{"constructor":1}}]}', '#/a/1/b~0~1/constructor'],
    ['{"prototype":null}', '#/prototype'],
    ['{"\\u005f_proto__":1}', '#/__proto__'],
  ] as const) {
    const { errors } = await problem(await post(call, body), 400)
    assert.equal((errors as readonly JsonObject[])[0]?.['pointer'], pointer)
  }
  assert.equal(Object.hasOwn(Object.prototype, 'x'), false)
})

test('a body above 1 MiB is 413, announced or not, and the connection stays usable', async (t) => {
  const { call, url, key } = await startServer(t)
  const large = `"${'x'.repeat(1_048_577)}"`
  await problem(await post(call, large), 413)
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(Buffer.alloc(65_536, 0x20))
      if (++sent === 40) controller.close()
    },
  })
  let sent = 0
  const streamed = await fetch(`${url}/v1/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: stream,
    duplex: 'half',
  })
  await problem(streamed, 413)
  const most = `"${'x'.repeat(1_048_574)}"`
  assert.equal((await problem(await post(call, most), 422))['code'], 'SCHEMA_VIOLATION')
})

test('what is no JSON in UTF-8 is refused and never altered in silence', async (t) => {
  const { call } = await startServer(t)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
  ]) {
    await problem(await post(call, '{}', type), 415)
  }
  await problem(await call('/v1/messages', { method: 'POST', body: new Blob(['{}']) }), 415)
  const zipped = await call('/v1/messages', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: 'x',
  })
  assert.equal((await problem(zipped, 415))['code'], 'UNSUPPORTED_CONTENT_ENCODING')
  for (const body of ['', '{', '{"a":1}}', '{a:1}', "{'a':1}", '\ufeff{}', 'nul']) {
    if (body !== '') await problem(await post(call, body), 400)
  }
  assert.equal((await problem(await post(call, Uint8Array.from([0x22, 0xff, 0x22])), 400))['code'], 'INVALID_UTF8')
  const kept = { nul: 'a\0b', rtl: '\u202eشكرا', emoji: '👩‍👩‍👧', lone: '\ud800' }
  assert.deepEqual(await (await post(call, JSON.stringify(kept), 'application/json; charset=utf-8')).json(), kept)
})

test('the words of a message are in no problem and no log line', async (t) => {
  const { call, hub } = await startServer(t)
  const response = await post(call, '{"secret sauce": tru')
  assert.ok(!(await response.text()).includes('sauce'))
  assert.ok(!JSON.stringify(hub.log.lines).includes('sauce'))
})

test('a handler that throws is a 500 that says nothing of its inside', async (t) => {
  const { call, hub } = await startServer(t, {
    routes: [
      echoRoute({
        handle: () => {
          throw new TypeError('no such column: hunter2')
        },
      }),
    ],
  })
  const body = await problem(await post(call, '{}'), 500)
  assert.equal(body['code'], 'INTERNAL')
  assert.ok(!JSON.stringify(body).includes('hunter2'))
  assert.ok(hub.log.lines.some(({ level, fields }) => level === 'error' && fields['error'] instanceof TypeError))
})

test('two lengths, a length and chunks, and other ambiguities are refused before anybody acts on them', async (t) => {
  let handled = 0
  const { url, key } = await startServer(t, { routes: [echoRoute({ handle: () => ((handled += 1), { status: 202 }) })] })
  const { host } = new URL(url)
  const head = [`POST /v1/messages HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${key}`, 'Content-Type: application/json']
  for (const framing of [
    ['Content-Length: 2', 'Content-Length: 3'],
    ['Content-Length: 2', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
    ['Content-Length: +2'],
    ['Content-Length : 2'],
  ]) {
    const answer = await exchange(url, `${lines(...head, ...framing, '')}{}\r\n0\r\n\r\nGET /v1/keys HTTP/1.1\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 400 /, framing.join())
    assert.match(answer, /application\/problem\+json/)
    assert.equal(answer.match(/^HTTP\/1\.1 /gm)?.length, 1, 'only one answer')
  }
  assert.equal(handled, 0)
})

test('header fields above 16 KiB are 431', async (t) => {
  const { url } = await startServer(t)
  const answer = await exchange(url, lines('GET /healthz HTTP/1.1', `Host: ${new URL(url).host}`, `X-A: ${'a'.repeat(17_000)}`, ''))
  assert.match(answer, /^HTTP\/1\.1 431 /)
})

test('a request that trickles in is ended when its time is up, and takes nobody’s place meanwhile', async (t) => {
  const { url, call } = await startServer(t, { limits: { headersTimeoutMs: 150, requestTimeoutMs: 300 } })
  const { host } = new URL(url)
  const slow = await Promise.all(Array.from({ length: 20 }, () => open(url)))
  const ends = slow.map(
    (socket) =>
      new Promise<string>((resolve) => {
        let received = ''
        socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
        socket.on('close', () => resolve(received))
        socket.on('error', () => undefined)
      }),
  )
  for (const socket of slow) socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nX-A: `)
  assert.equal((await call('/healthz')).status, 200)
  for (const answer of await Promise.all(ends)) assert.match(answer, /^HTTP\/1\.1 408 /)
})

const bodyHead = (url: string, key: string): string =>
  lines(
    'POST /v1/messages HTTP/1.1',
    `Host: ${new URL(url).host}`,
    `Authorization: Bearer ${key}`,
    'Content-Type: application/json',
    'Content-Length: 100',
    '',
  )

test('a body that trickles in is ended too, and its sender told why', async (t) => {
  const { url, key } = await startServer(t, { limits: { headersTimeoutMs: 150, requestTimeoutMs: 300 } })
  assert.match(await exchange(url, `${bodyHead(url, key)}{`), /^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/)
})

test('garbage behind a request that is being handled is not answered in its place', async (t) => {
  const asked = Promise.withResolvers<void>()
  const { url, key } = await startServer(t, { routes: [echoRoute({ handle: () => (asked.resolve(), new Promise(() => {})) })] })
  const socket = await open(url)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  let received = ''
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
  socket.write(`${bodyHead(url, key)}${JSON.stringify({ padding: 'x'.repeat(86) })}`)
  await asked.promise
  socket.write('no HTTP at all\r\n\r\n')
  await closed
  assert.equal(received, '')
})

test('a request id is taken only if it is harmless, and nothing of it reaches the header', async (t) => {
  const { url, call } = await startServer(t)
  assert.equal((await call('/healthz', { headers: { 'x-request-id': 'abc-1.2_3' } })).headers.get('x-request-id'), 'abc-1.2_3')
  for (const id of ['a b', 'x'.repeat(65), 'a;b', 'ä', '"']) {
    const given = (await call('/healthz', { headers: { 'x-request-id': id } })).headers.get('x-request-id')
    assert.match(given ?? '', /^req-[a-z0-9]+-[a-z0-9]+$/)
  }
  const answer = await exchange(
    url,
    lines('GET /healthz HTTP/1.1', `Host: ${new URL(url).host}`, 'X-Request-Id: a\rSet-Cookie: x=1', 'Connection: close', ''),
  )
  assert.doesNotMatch(answer, /set-cookie/i)
})

test('a name that was made to point here is refused with 421, also for the probes and the console', async (t) => {
  const { url, key, hub } = await startServer(t, { publicHosts: ['gateway.example', 'Other.example:8443'] })
  const { port } = new URL(url)
  const ask = (host: string, path: string) =>
    exchange(url, lines(`GET ${path} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${key}`, 'Connection: close', ''))
  for (const path of ['/healthz', '/v1/channels', '/', '/nothing']) {
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      `127.0.0.1.evil.example:${port}`,
      '127.0.0.1',
      `10.0.0.1:${port}`,
      `localhost:1`,
      `localhost:${port}@evil`,
    ]) {
      assert.match(await ask(host, path), /^HTTP\/1\.1 421 /, `${host} ${path}`)
    }
  }
  for (const host of [
    `localhost:${port}`,
    `LocalHost:${port}`,
    `127.0.0.1:${port}`,
    `[::1]:${port}`,
    'gateway.example',
    'other.example:8443',
  ]) {
    assert.match(await ask(host, '/v1/channels'), /^HTTP\/1\.1 200 /, host)
  }
  assert.ok(hub.metrics.value('openclaw_auth_failures_total host') > 0)
  assert.match(await exchange(url, lines('GET /healthz HTTP/1.1', '')), /^HTTP\/1\.1 400 /)
})

test('pages of other origins can change nothing, and no answer invites them', async (t) => {
  const { call, url } = await startServer(t)
  for (const origin of ['https://evil.example', 'null', 'http://localhost:3000', `${url}.evil.example`, url.replace('http', 'ftp')]) {
    const response = await call('/v1/messages', { method: 'POST', headers: { origin }, json: {} })
    assert.equal((await problem(response, 403))['code'], 'ORIGIN_REFUSED')
    const signIn = await call('/v1/console/session', { method: 'POST', headers: { origin, authorization: 'none' }, json: { code: 'x' } })
    await problem(signIn, 403)
    const preflight = await call('/v1/messages', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
    for (const each of [response, preflight]) {
      assert.deepEqual(
        [...each.headers.keys()].filter((name) => name.startsWith('access-control')),
        [],
      )
    }
  }
})

test('every answer forbids sniffing, framing, caching and telling where one came from', async (t) => {
  const { call } = await startServer(t)
  for (const path of ['/healthz', '/v1/channels', '/nothing', '/v1/openapi.json']) {
    const { headers } = await call(path)
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.equal(headers.get('referrer-policy'), 'no-referrer')
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin')
    assert.equal(headers.get('content-security-policy'), "default-src 'none'; frame-ancestors 'none'")
    assert.equal(headers.get('x-powered-by'), null)
  }
})
