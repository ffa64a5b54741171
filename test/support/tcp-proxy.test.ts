/** The proxy of the broker tests: what it does to a line, seen from both ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { TcpProxy } from './tcp-proxy.ts'

interface Pair {
  readonly proxy: TcpProxy
  readonly client: Socket
  readonly server: Socket
}

async function pair(t: TestContext): Promise<Pair> {
  const listener = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.after(() => void listener.close())
  const proxy = await TcpProxy.open({ after: (run) => t.after(run) }, (listener.address() as AddressInfo).port)
  const met = once(listener, 'connection') as Promise<[Socket]>
  const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => {})
  const [server] = await met
  server.on('error', () => {})
  t.after(() => {
    client.destroy()
    server.destroy()
  })
  return { proxy, client, server }
}

/** Unlike `once`, also where an error comes first. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('close', () => resolve()))

const heard = async (socket: Socket): Promise<string> => {
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return chunk.toString()
}

void test('carries both ways and counts', async (t) => {
  const { proxy, client, server } = await pair(t)
  client.write('up')
  assert.equal(await heard(server), 'up')
  server.write('down')
  assert.equal(await heard(client), 'down')
  assert.deepEqual([proxy.opened, proxy.open], [1, 1])
  client.end()
  server.end()
  await proxy.settled(0)
})

void test('delays without changing the order', async (t) => {
  const { proxy, client, server } = await pair(t)
  proxy.delay(50, ['up'])
  const startedAt = performance.now()
  client.write('a')
  setImmediate(() => client.write('b'))
  let text = ''
  while (text.length < 2) text += await heard(server)
  assert.equal(text, 'ab')
  assert.ok(performance.now() - startedAt >= 45)
})

void test('swallows one way in silence, and cuts what lost bytes when it is healed', async (t) => {
  const { proxy, client, server } = await pair(t)
  proxy.swallow(['down'])
  server.write('lost')
  client.write('up')
  assert.equal(await heard(server), 'up')
  assert.equal(proxy.open, 1)
  const gone = closed(client)
  while (proxy.open > 0) {
    proxy.heal()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await gone
})

void test('blocks without losing', async (t) => {
  const { proxy, client, server } = await pair(t)
  proxy.block(['up'])
  client.write('later')
  let came = ''
  server.on('data', (chunk: Buffer) => (came += chunk.toString()))
  server.write('down')
  assert.equal(await heard(client), 'down')
  assert.equal(came, '')
  const arrived = heard(server)
  proxy.heal()
  assert.equal(await arrived, 'later')
})

void test('half-closes one way and leaves the other open', async (t) => {
  const { proxy, client, server } = await pair(t)
  server.resume()
  const ended = once(server, 'end')
  proxy.halfClose('up')
  await ended
  server.write('still here')
  assert.equal(await heard(client), 'still here')
})

void test('cuts what is open and refuses what comes', async (t) => {
  const { proxy, client } = await pair(t)
  const gone = closed(client)
  proxy.refuse()
  proxy.cut()
  await gone
  const late = connect({ port: proxy.port, host: '127.0.0.1' })
  late.on('error', () => {})
  await closed(late)
  assert.equal(proxy.opened, 1)
})
