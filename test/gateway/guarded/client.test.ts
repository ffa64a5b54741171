import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer as createHttp, setGlobalProxyFromEnv } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { OutboundRequest } from '#contract'
import { GuardedClient } from '../../../gateway/guarded/client.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { realClock } from '../../support/real-clock.ts'

const here = { clock: realClock, allowNetworks: ['127.0.0.1/32'] }
const of = (url: string, more: Partial<OutboundRequest> = {}): OutboundRequest => ({
  url,
  maxBytes: 16_384,
  signal: AbortSignal.timeout(20_000),
  ...more,
})

async function listen(context: TestContext, server: Server, host: string, port: number): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(port, host)
  await once(server, 'listening')
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
const serve = (context: TestContext, answer: RequestListener, host = '127.0.0.1', port = 0): Promise<number> =>
  listen(context, createHttp(answer), host, port)
/** A server that speaks no HTTP of its own accord. */
const raw = (context: TestContext, onSocket: (socket: Socket) => void): Promise<number> =>
  listen(context, createServer(onSocket), '127.0.0.1', 0)

test('a body is posted, and status, headers and body come back, whatever the status is', async (context) => {
  const port = await serve(context, (request, response) => {
    request.setEncoding('utf8').on('data', (body: string) => {
      response.writeHead(418, { 'x-length': request.headers['content-length'] ?? '', 'set-cookie': ['a', 'b'] }).end(body.toUpperCase())
    })
  })
  const answer = await new GuardedClient(here).send(of(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'grüße' }))
  assert.equal(answer.status, 418)
  assert.equal(Buffer.from(answer.body).toString(), 'GRÜSSE')
  assert.equal(answer.headers['x-length'], '7')
  assert.equal(answer.headers['set-cookie'], 'a, b')
  assert.equal(answer.isCut, false)
})

test('a name is resolved once a connection, and each of its addresses judged', async (context) => {
  let asked = 0
  const port = await serve(context, (_request, response) => response.end('public'))
  let secrets = 0
  await serve(context, (_request, response) => response.end(String(++secrets)), '127.0.0.2', port)
  const answers = [['127.0.0.1'], ['127.0.0.2'], ['0.0.0.0'], ['::'], ['::ffff:127.0.0.2'], ['127.0.0.2', '127.0.0.1']]
  const client = new GuardedClient({
    ...here,
    resolve: async () => (answers[asked++] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  })
  const url = `http://rebind.example:${port}/`
  assert.equal((await client.send(of(url))).status, 200)
  for (const _ of answers.slice(2)) await assert.rejects(client.send(of(url)), { code: 'OUTBOUND_REFUSED', retryable: false })
  // Of an answer with both, the one that is allowed is used.
  assert.equal(Buffer.from((await client.send(of(url))).body).toString(), 'public')
  assert.equal(asked, answers.length)
  assert.equal(secrets, 0)
})

test('a connection that is kept is used again for the host that it was checked for', async (context) => {
  const ports = new Set<number>()
  const port = await serve(context, (request, response) => {
    ports.add(request.socket.remotePort ?? 0)
    response.end()
  })
  let asked = 0
  const client = new GuardedClient({
    ...here,
    keepAlive: true,
    resolve: async () => [{ address: ++asked === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }],
  })
  context.after(() => client.close())
  await client.send(of(`http://one.example:${port}/`))
  await client.send(of(`http://one.example:${port}/`))
  await assert.rejects(client.send(of(`http://two.example:${port}/`)), { code: 'OUTBOUND_REFUSED' })
  assert.deepEqual([asked, ports.size], [2, 1])
})

test('a kept connection that the other side closed is made anew, once', async (context) => {
  let connections = 0
  let requests = 0
  const port = await raw(context, (socket) => {
    connections++
    socket.on('error', () => undefined)
    socket.on('data', () => {
      // Each connection answers once and breaks at the next request.
      if (++requests === 2 || socket.bytesWritten > 0) socket.resetAndDestroy()
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    })
  })
  const client = new GuardedClient({ ...here, keepAlive: true })
  context.after(() => client.close())
  for (let i = 0; i < 2; i++) assert.equal((await client.send(of(`http://127.0.0.1:${port}/`))).status, 200)
  assert.equal(connections, 2)
})

test('connections are kept to so many in all, however many hosts there are', { timeout: 60_000 }, async (context) => {
  const server = createHttp((_request, response) => response.end())
  let ended = 0
  const over = Promise.withResolvers<void>()
  server.on('connection', (socket: Socket) => socket.once('close', () => ++ended === 80 - 64 && over.resolve()))
  const port = await listen(context, server, '127.0.0.1', 0)
  const client = new GuardedClient({ ...here, keepAlive: true, resolve: async () => [{ address: '127.0.0.1', family: 4 }] })
  context.after(() => client.close())
  for (let n = 0; n < 80; n++) assert.equal((await client.send(of(`http://host-${n}.example:${port}/`))).status, 200)
  await over.promise
  assert.equal(ended, 80 - 64)
})

test('what is compressed is taken as it is, so it is never more than what was received', async (context) => {
  const bomb = gzipSync(Buffer.alloc(10 * 1_048_576))
  const asked: unknown[] = []
  const port = await serve(context, (request, response) => {
    asked.push(request.headers['accept-encoding'])
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
  })
  const { body, isCut } = await new GuardedClient(here).send(of(`http://127.0.0.1:${port}/`))
  assert.deepEqual([Buffer.from(body).equals(bomb), isCut, asked], [true, false, [undefined]])
})

test('a header or a path that would break its line goes nowhere', async (context) => {
  const seen: string[] = []
  const port = await serve(context, (request, response) => {
    seen.push(request.url ?? '')
    response.end()
  })
  const client = new GuardedClient(here)
  for (const headers of [{ 'x-a': 'b\r\nx-evil: 1' }, { 'x-a\r\nx-evil': '1' }])
    await assert.rejects(client.send(of(`http://127.0.0.1:${port}/`, { headers })), TypeError)
  assert.equal((await client.send(of(`http://127.0.0.1:${port}/a\r\nx-evil: 1 b`))).status, 200)
  assert.deepEqual(seen, ['/ax-evil:%201%20b'])
})

test('a redirect is an answer and is not followed', async (context) => {
  const paths: string[] = []
  const port = await serve(context, (request, response) => {
    paths.push(request.url ?? '')
    response.writeHead(307, { location: 'http://169.254.169.254/' }).end()
  })
  const answer = await new GuardedClient(here).send(of(`http://127.0.0.1:${port}/a`))
  assert.deepEqual([answer.status, answer.headers['location'], paths], [307, 'http://169.254.169.254/', ['/a']])
})

test('of a gigabyte no more is taken than was asked for', async (context) => {
  let sent = 0
  const gone = Promise.withResolvers<void>()
  const port = await serve(context, (_request, response) => {
    const block = Buffer.alloc(65_536)
    const more = (): void => {
      while (sent < 2 ** 30) {
        sent += block.byteLength
        if (!response.write(block)) return void response.once('drain', more)
      }
      response.end()
    }
    response.once('close', gone.resolve)
    more()
  })
  const url = `http://127.0.0.1:${port}/`
  const answer = await new GuardedClient(here).send(of(url, { overflow: 'cut' }))
  assert.deepEqual([answer.status, answer.body.byteLength, answer.isCut], [200, 16_384, true])
  await gone.promise
  assert.ok(sent < 2 ** 28, `${sent} bytes were sent`)
  sent = 0
  await assert.rejects(new GuardedClient(here).send(of(url)), { code: 'OUTBOUND_TOO_LARGE', retryable: false })
})

test('a server that never answers, that trickles its header or that trickles its body is left when the time is over', async (context) => {
  for (const [head, wanted] of [
    ['', { code: 'OUTBOUND_TIMEOUT', retryable: true }],
    ['HTTP/1.1 200 O', { code: 'OUTBOUND_TIMEOUT' }],
    ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12', { code: 'OUTBOUND_TIMEOUT' }],
    ['HTTP/1.1 100 Continue\r\n\r\n'.repeat(20), { code: 'OUTBOUND_TIMEOUT' }],
  ] as const) {
    const clock = new FakeClock()
    const arrived = Promise.withResolvers<Socket>()
    const port = await raw(context, (socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.write(head === '' ? Buffer.alloc(0) : head, () => arrived.resolve(socket)))
    })
    const sending = new GuardedClient({ ...here, clock }).send(of(`http://127.0.0.1:${port}/`, { timeoutMs: 15_000 }))
    const ended = assert.rejects(sending, wanted)
    const socket = await arrived.promise
    clock.advance(15_000)
    await ended
    if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
    assert.equal(clock.pending, 0)
  }
})

test('where the status is enough, what came of a body that trickles is the answer', async (context) => {
  const clock = new FakeClock()
  const port = await raw(context, (socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12'))
  })
  const client = new GuardedClient({ ...here, clock })
  const sending = client.send(of(`http://127.0.0.1:${port}/`, { overflow: 'cut', timeoutMs: 15_000 }))
  // Before the head is there it would be no answer at all.
  await headReceived()
  clock.advance(15_000)
  const answer = await sending
  assert.deepEqual([answer.status, answer.isCut], [200, true])
})

/** Resolves after the next head of an answer that a client of this process receives. */
function headReceived(): Promise<void> {
  return new Promise((resolve) => {
    const seen = (): void => {
      unsubscribe('http.client.response.finish', seen)
      setImmediate(resolve)
    }
    subscribe('http.client.response.finish', seen)
  })
}

test('where the status is enough, what came of a body that broke off is the answer', async (context) => {
  const port = await raw(context, (socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end('HTTP/1.1 500 Oh\r\ncontent-length: 10\r\n\r\n12'))
  })
  const client = new GuardedClient(here)
  const answer = await client.send(of(`http://127.0.0.1:${port}/`, { overflow: 'cut' }))
  assert.deepEqual([answer.status, Buffer.from(answer.body).toString(), answer.isCut], [500, '12', true])
  await assert.rejects(client.send(of(`http://127.0.0.1:${port}/`)), { code: 'OUTBOUND_BROKEN' })
})

test('no connection within its time is told so, also while a name server is silent', async () => {
  const clock = new FakeClock()
  const client = new GuardedClient({ clock, resolve: () => new Promise(() => undefined) })
  const sending = client.send(of('http://slow.example/', { connectTimeoutMs: 5_000 }))
  await clock.timerAt(clock.now() + 5_000)
  clock.advance(5_000)
  await assert.rejects(sending, { code: 'OUTBOUND_TIMEOUT' })
})

test('a name without address, a closed port, a reset and an upgrade nobody asked for each end in a fault', async (context) => {
  const none = new GuardedClient({ clock: realClock, resolve: () => Promise.reject(new Error('ENOTFOUND')) })
  await assert.rejects(none.send(of('http://none.example/')), { code: 'OUTBOUND_UNREACHABLE' })
  const client = new GuardedClient(here)
  const closed = createServer()
  const port = await listen(context, closed, '127.0.0.1', 0)
  await new Promise((resolve) => closed.close(resolve))
  await assert.rejects(client.send(of(`http://127.0.0.1:${port}/`)), { code: 'OUTBOUND_UNREACHABLE' })
  const resets = await raw(context, (socket) => socket.on('error', () => undefined).once('data', () => socket.resetAndDestroy()))
  await assert.rejects(client.send(of(`http://127.0.0.1:${resets}/`)), { code: 'OUTBOUND_BROKEN', retryable: true })
  const upgrades = await raw(context, (socket) =>
    socket.once('data', () => socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')),
  )
  await assert.rejects(client.send(of(`http://127.0.0.1:${upgrades}/`)), { code: 'OUTBOUND_BROKEN' })
})

test('whoever calls it off is obeyed, before and while', async (context) => {
  const arrived = Promise.withResolvers<void>()
  const port = await raw(context, (socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => arrived.resolve())
  })
  const controller = new AbortController()
  const client = new GuardedClient(here)
  const sending = client.send(of(`http://127.0.0.1:${port}/`, { signal: controller.signal }))
  const ended = assert.rejects(sending, { code: 'OUTBOUND_BROKEN' })
  await arrived.promise
  controller.abort()
  await ended
  await assert.rejects(client.send(of(`http://127.0.0.1:${port}/`, { signal: controller.signal })), { code: 'OUTBOUND_BROKEN' })
})

test('a proxy that the environment names is not used', async (context) => {
  let proxied = 0
  const proxy = await serve(context, (_request, response) => {
    proxied++
    response.end('proxy')
  })
  const port = await serve(context, (_request, response) => response.end('itself'))
  context.after(setGlobalProxyFromEnv({ http_proxy: `http://127.0.0.1:${proxy}`, no_proxy: '' }))
  for (const keepAlive of [false, true]) {
    const client = new GuardedClient({ ...here, keepAlive })
    context.after(() => client.close())
    assert.equal(Buffer.from((await client.send(of(`http://127.0.0.1:${port}/`))).body).toString(), 'itself')
  }
  assert.equal(proxied, 0)
})
