import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { DEFAULT_TENANT, ConflictError, InvalidError } from '#contract'
import { echoRoute, serverOf, startServer } from './double.ts'
import { exchange, lines, open } from './raw.ts'

test('nothing listens beyond loopback without a word that this is wanted', async (t) => {
  const started = await startServer(t)
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'gateway.example']) {
    await assert.rejects(serverOf(started, { host }).start(), (error) => error instanceof InvalidError && error.code === 'LISTEN_INSECURE')
  }
  const open = serverOf(started, { host: '0.0.0.0', insecureHttp: true })
  await open.start()
  assert.match(open.url, /^http:\/\/127\.0\.0\.1:\d+$/)
  assert.equal((await fetch(`${open.url}/healthz`)).status, 200)
  await open.stop()
})

test('a port in use is an error that says what to do', async (t) => {
  const started = await startServer(t)
  const second = serverOf(started, { port: Number(new URL(started.url).port) })
  await assert.rejects(
    second.start(),
    (error) => error instanceof ConflictError && error.code === 'PORT_IN_USE' && error.message.includes('OPENCLAW_PORT'),
  )
})

test('starting and stopping twice is once', async (t) => {
  const { server, url } = await startServer(t)
  await server.start()
  assert.equal(server.url, url)
  await Promise.all([server.stop(), server.stop()])
  await server.stop()
  assert.throws(() => server.url, ConflictError)
  await assert.rejects(fetch(`${url}/healthz`))
})

test('stopping lets an answer that is being made go out, then closes', async (t) => {
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const { server, call } = await startServer(t, {
    routes: [
      echoRoute({
        handle: async () => {
          entered.resolve()
          await gate.promise
          return { status: 202, body: 1 }
        },
      }),
    ],
  })
  const answer = call('/v1/messages', { method: 'POST', json: {} })
  await entered.promise
  const stopped = server.stop()
  gate.resolve()
  assert.equal((await answer).status, 202)
  await stopped
})

test('stopping does not wait for ever for an answer that never comes', async (t) => {
  const entered = Promise.withResolvers<void>()
  const { server, call, hub } = await startServer(t, {
    routes: [
      echoRoute({
        handle: () => {
          entered.resolve()
          return new Promise(() => undefined)
        },
      }),
    ],
  })
  const answer = assert.rejects(call('/v1/messages', { method: 'POST', json: {} }))
  await entered.promise
  const stopped = server.stop()
  hub.clock.advance(5_000)
  await Promise.all([stopped, answer])
})

test('connections beyond the cap are dropped', async (t) => {
  const { url } = await startServer(t, { limits: { connections: 1 } })
  const first = await open(url)
  assert.equal(await exchange(url, lines('GET /healthz HTTP/1.1', `Host: ${new URL(url).host}`, '')), '')
  first.destroy()
})

test('a client that leaves in the middle of its body harms nothing', async (t) => {
  const { url, key, hub, call } = await startServer(t)
  const socket = await open(url)
  socket.write(
    lines(
      'POST /v1/messages HTTP/1.1',
      `Host: ${new URL(url).host}`,
      `Authorization: Bearer ${key}`,
      'Content-Type: application/json',
      'Content-Length: 10',
      '',
      '{',
    ),
  )
  while (hub.keys.list(DEFAULT_TENANT).every(({ lastUsedAt }) => lastUsedAt === null)) await new Promise((resolve) => setImmediate(resolve))
  socket.destroy()
  while (hub.metrics.value('http_requests_total POST 499') === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal((await call('/healthz')).status, 200)
})

test('metrics have a port of their own on loopback, without a key', async (t) => {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  assert.ok(typeof address === 'object' && address !== null)
  const { port } = address
  const started = await startServer(t, { metricsPort: port })
  assert.equal(started.server.metricsPort, null, 'taken: it goes on without')
  assert.equal(started.hub.log.lines.filter(({ level }) => level === 'warn').length, 1)
  assert.equal((await started.call('/healthz')).status, 200)
  await new Promise<unknown>((resolve) => probe.close(resolve))
  const second = serverOf(started, { metricsPort: port })
  t.after(() => second.stop())
  await second.start()
  assert.equal(second.metricsPort, port)
  const scraped = await fetch(`http://127.0.0.1:${port}/metrics`)
  assert.equal(await scraped.text(), 'up 1\n')
  assert.equal((await fetch(`http://127.0.0.1:${port}/v1/keys`)).status, 404)
  for (const [host, status] of [
    ['rebound.example', 421],
    [`rebound.example:${port}`, 421],
    ['127.0.0.1.rebound.example', 421],
    [`localhost:${port}`, 200],
    ['LOCALHOST:1', 200],
    [`[::1]:${port}`, 200],
  ] as const)
    assert.match(
      await exchange(`http://127.0.0.1:${port}`, lines('GET /metrics HTTP/1.1', `Host: ${host}`, 'Connection: close', '')),
      new RegExp(`^HTTP/1.1 ${status} `),
      host,
    )
  await second.stop()
  await assert.rejects(fetch(`http://127.0.0.1:${port}/metrics`))
})

test('a connection is kept for 65 seconds, longer than load balancers keep theirs, and for any number of requests', async (t) => {
  const { url } = await startServer(t)
  const socket = await open(url)
  const { host } = new URL(url)
  let received = ''
  const all = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      if (received.split('HTTP/1.1 200').length === 1_101) resolve()
    })
  })
  socket.write(lines('GET /healthz HTTP/1.1', `Host: ${host}`, '').repeat(1_100))
  await all
  assert.match(received, /^keep-alive: timeout=65\r$/im)
  assert.doesNotMatch(received, /^connection: close\r$/im)
  socket.destroy()
})
