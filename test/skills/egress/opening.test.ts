/** What a tunnel may be opened with: TLS that is for a host of the skill, in however many pieces it comes, and nothing that hides it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { connect } from 'node:tls'
import { MAX_HELLO_BYTES, readHello } from '../../../skills/egress/client-hello.ts'
import { parseRule } from '../../../skills/egress/match.ts'
import { judgeOpening } from '../../../skills/egress/opening.ts'
import { cut, helloFor, withExtension } from '../../support/client-hello.ts'
import { openWay, readAll, readUntil } from '../../support/egress.ts'

const rules = ['cdn.example', '*.below.example', 'other.example:8443'].map((text) => parseRule(text)).filter((rule) => rule !== null)
const on443 = { host: 'cdn.example', port: 443 }
const is = (bytes: Buffer, target = on443): string => judgeOpening(bytes, target, rules).is

describe('the first message of TLS', () => {
  test('tells the host it is for, or that it names none', async () => {
    assert.deepEqual(readHello(await helloFor('cdn.example')), { is: 'hello', name: 'cdn.example', isHidden: false })
    assert.deepEqual(readHello(await helloFor('')), { is: 'hello', name: null, isHidden: false })
  })

  test('is read the same in however many records it comes, and is partial until it is whole', async () => {
    const hello = await helloFor('cdn.example')
    for (const size of [1, 3, 100, hello.length]) assert.deepEqual(readHello(cut(hello, size)), readHello(hello), `${size}`)
    for (let length = 0; length < hello.length; length++) assert.equal(readHello(hello.subarray(0, length)).is, 'partial', `${length}`)
    assert.deepEqual(readHello(Buffer.concat([hello, Buffer.from('more')])), readHello(hello))
  })

  test('is broken where a length leads out of it, it says a thing twice, is another message, or is too long', async () => {
    const hello = await helloFor('cdn.example')
    const name = hello.subarray(hello.indexOf('cdn.example') - 5, hello.indexOf('cdn.example') + 11)
    const at = (offset: number, value: number): Buffer => {
      const changed = Buffer.from(hello)
      changed[offset] = value
      return changed
    }
    const record = Buffer.from([22, 3, 1, 64, 0])
    for (const [what, bytes] of Object.entries({
      twice: withExtension(hello, 0, name),
      'another message': at(5, 2),
      'an empty name': Buffer.from(hello.toString('latin1').replace('\0\x0bcdn', '\0\0cdn'), 'latin1'),
      'no end': Buffer.concat([record, Buffer.from([1, 0, 255, 255]), Buffer.alloc(MAX_HELLO_BYTES)]),
      'records of nothing': Buffer.from([22, 3, 1, 0, 0, 22, 3, 1, 0, 0]),
      'another record in the middle': Buffer.concat([cut(hello, 50).subarray(0, 55), Buffer.from([20, 3, 1, 0, 1, 1])]),
    }))
      assert.equal(readHello(bytes).is, 'broken', what)
    // Whatever byte is changed, it is read as something or refused, and never throws.
    for (let offset = 5; offset < hello.length; offset++) readHello(at(offset, 255))
  })

  test('is told from what is none', () => {
    for (const text of ['GET / HTTP/1.1\r\n', 'SSH-2.0-x\r\n', '\x80\x2e\x01\x03\x01'])
      assert.equal(readHello(Buffer.from(text)).is, 'other')
  })
})

describe('a tunnel', () => {
  test('is opened by TLS for a host of the skill at that port, and for no other', async () => {
    for (const name of ['cdn.example', 'CDN.example', 'a.below.example', '']) assert.equal(is(await helloFor(name)), 'fine', name)
    for (const name of ['evil.example', 'below.example', 'other.example', 'cdn.example.evil.example', 'cdn.example/'])
      assert.equal(is(await helloFor(name)), 'refused', name)
    assert.equal(is(await helloFor('other.example'), { host: 'other.example', port: 8443 }), 'fine')
    assert.equal(is(await helloFor('cdn.example'), { host: 'other.example', port: 8443 }), 'refused')
  })

  test('to port 443 is opened by TLS only, elsewhere by anything', () => {
    for (const text of ['GET / HTTP/1.1\r\n\r\n', '\x80\x2e\x01\x03\x01', 'x']) {
      assert.equal(is(Buffer.from(text)), 'refused')
      assert.equal(is(Buffer.from(text), { host: 'cdn.example', port: 80 }), 'fine')
    }
    assert.equal(is(Buffer.alloc(0)), 'partial')
  })

  test('is not opened by TLS that hides whom it is for', async () => {
    const opening = judgeOpening(withExtension(await helloFor('cdn.example'), 0xfe0d, Buffer.alloc(40)), on443, rules)
    assert.match(opening.is === 'refused' ? opening.why : '', /cdn\.example:443: its TLS hides which host/)
  })

  /** What the host behind the tunnel hears. */
  const host = async (context: TestContext): Promise<{ readonly port: number; readonly heard: () => Buffer }> => {
    const chunks: Buffer[] = []
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        chunks.push(chunk)
        socket.write('heard')
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    context.after(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    return { port: (server.address() as AddressInfo).port, heard: () => Buffer.concat(chunks) }
  }

  test('for another host behind the same address is ended before a byte goes out, and counts as denied', async (context) => {
    const { port, heard } = await host(context)
    const place = `cdn.example:${port}`
    const names = { 'cdn.example': ['127.0.0.1'] }
    const { dial, door, metrics } = await openWay(context, { allow: [place], privateHosts: [place], names, limits: { openMs: 100 } })
    const told: string[] = []
    door.begin({ skill: 'probe', key: 'k', allow: [place], onDenied: (why) => void told.push(why) })
    const tunnel = async (): Promise<Socket> => {
      const socket = await dial()
      socket.write(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`)
      await readUntil(socket, '\r\n\r\n')
      return socket
    }
    const line = connect({ socket: await tunnel(), servername: 'evil.example', host: 'evil.example' })
    const [error] = (await once(line, 'error')) as [NodeJS.ErrnoException]
    assert.match(String(error.code), /ACCESS_DENIED/)
    assert.match(told.join(), /^evil\.example:\d+, asked for in a tunnel to cdn\.example:\d+, is not among the hosts of the skill/)
    // One that never ends is not waited for.
    const slow = await tunnel()
    slow.write((await helloFor('cdn.example')).subarray(0, 50))
    await readAll(slow)
    assert.match(told[1] ?? '', /took longer than 100 ms/)
    assert.equal(heard().length, 0)

    // What is allowed goes out as it came, byte by byte.
    const hello = await helloFor('cdn.example')
    const good = await tunnel()
    for (const byte of hello) good.write(Buffer.from([byte]))
    assert.match(await readUntil(good, 'heard'), /heard/)
    assert.ok(hello.subarray(0, heard().length).equals(heard()) && heard().length > 0)
    const { allowed, denied } = door.end()
    assert.deepEqual([allowed, denied], [1, 2])
    assert.match(await metrics.text(), /openclaw_egress_total\{verdict="denied_host"\} 2/)
  })

  test('in which the host speaks first is not held up', async (context) => {
    const server = createServer((socket) => socket.on('error', () => {}).end('220 welcome\r\n')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    context.after(() => void server.close())
    const place = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const { dial } = await openWay(context, { allow: [place], privateHosts: [place] })
    const socket = await dial()
    socket.write(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`)
    assert.match(await readAll(socket), /220 welcome/)
  })
})
