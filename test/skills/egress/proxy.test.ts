import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, rm, stat } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { EGRESS_SOCKET, judgeDenials } from '../../../skills/egress/egress.ts'
import { openWay, readAll, readUntil, serve } from '../../support/egress.ts'

const get = (url: string, ...headers: readonly string[]): string =>
  `GET ${url} HTTP/1.1\r\nHost: x\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`
const tunnelTo = (to: string): string => `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`
const status = (answer: string): string => answer.slice(9, 12)

/** A TCP server on 127.0.0.1; its port. */
async function listen(context: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

describe('a skill reaches', () => {
  test('a host it declares, by CONNECT and by a plain request, and the log tells host and bytes, never a path', async (context) => {
    const port = await serve(context, (request, response) =>
      response.setHeader('x-seen', `${request.headers.host} ${request.url}`).end('hello'),
    )
    const place = `127.0.0.1:${port}`
    const { ask, dial, door, lines, metrics, proxy } = await openWay(context, { allow: [place], privateHosts: [place] })
    const plain = await ask(get(`http://${place}/secret-path?q=1`))
    assert.match(plain, /^HTTP\/1\.1 200 [\s\S]*x-seen: 127\.0\.0\.1:\d+ \/secret-path\?q=1[\s\S]*hello$/)
    const socket = await dial()
    socket.write(tunnelTo(place))
    await readUntil(socket, '\r\n\r\n')
    socket.write(`GET /secret-path HTTP/1.1\r\nHost: y\r\nConnection: close\r\n\r\n`)
    assert.match(await readAll(socket), /200 OK[\s\S]*x-seen: y \/secret-path[\s\S]*hello/)
    const { allowed, denied, bytesDown } = door.end()
    assert.deepEqual([allowed, denied, bytesDown > 10], [2, 0, true])
    await proxy.stop()
    assert.equal(lines.filter((line) => line['verdict'] === 'allowed' && line['host'] === '127.0.0.1' && line['port'] === port).length, 2)
    assert.doesNotMatch(JSON.stringify(lines), /secret-path/)
    assert.match(await metrics.text(), /openclaw_egress_total\{verdict="allowed"\} 2/)
  })

  test('nothing else: the answer names host and rules, and the report has it', async (context) => {
    const { ask, door } = await openWay(context, { allow: ['api.example.com'], names: { 'evil.example': ['93.184.216.34'] } })
    for (const question of [get('http://evil.example/'), tunnelTo('evil.example:443'), tunnelTo('api.example.com:22')]) {
      const answer = await ask(question)
      assert.equal(status(answer), '403')
      assert.match(answer, /is not among the hosts of the skill: it may reach api\.example\.com/)
    }
    const report = door.end()
    assert.deepEqual([report.denied, report.denials.length], [3, 3])
    const outcome = { status: 'error', code: 'crashed', message: 'URLError' } as const
    assert.equal((judgeDenials(outcome, report) as { code: string }).code, 'egress_denied')
    assert.deepEqual(judgeDenials(outcome, { ...report, denied: 0 }), outcome)
    assert.equal(judgeDenials({ status: 'ok', output: 1 }, report).status, 'ok')
  })

  test('nothing before a call begins and after it has ended', async (context) => {
    const port = await serve(context, (_request, response) => response.end('hello'))
    const place = `127.0.0.1:${port}`
    const { ask, dial, door } = await openWay(context, { allow: [place], privateHosts: [place] })
    const socket = await dial()
    socket.write(tunnelTo(place))
    await readUntil(socket, '\r\n\r\n')
    const closed = readAll(socket)
    door.end()
    await closed
    assert.equal(status(await ask(tunnelTo(place))), '403')
    door.begin({ skill: 'probe', key: 'other', allow: [] })
    assert.equal(status(await ask(tunnelTo(place))), '403')
  })
})

test('the first few denials are told as they happen, each once, and at the end how many there were', async (context) => {
  const { ask, door } = await openWay(context)
  const told: string[] = []
  door.begin({ skill: 'probe', key: 'k', allow: ['api.example.com'], onDenied: (why) => void told.push(why) })
  await ask(get('http://evil.example/'))
  assert.match(told.join(), /^evil\.example:80 is not among the hosts of the skill: it may reach api\.example\.com[^,]*$/)
  for (let count = 0; count < 12; count++) await ask(tunnelTo(`evil${count}.example:443`))
  await ask(get('http://evil.example/'))
  assert.equal(told.length, 8)
  door.end()
  door.end()
  assert.deepEqual(told.slice(8), ['It was denied 14 times in all.'])
})

describe('what is not public', () => {
  const allow = [
    '*',
    '127.0.0.1',
    '169.254.169.254',
    'rebind.example',
    'mixed.example',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '10.0.0.1',
  ]
  const names = { 'rebind.example': ['127.0.0.1'], 'mixed.example': ['93.184.216.34', '10.0.0.7'], localhost: ['127.0.0.1', '::1'] }

  test('is refused in every spelling, as address and behind a name, though the skill declares it', async (context) => {
    const { ask } = await openWay(context, { allow, names })
    const hosts = `127.0.0.1 127.1 0x7f.1 2130706433 0177.0.0.1 169.254.169.254 2852039166 0xa9fea9fe 10.0.0.1 0.0.0.0 100.64.0.1 [::1] [::] [fe80::1]
      [::ffff:127.0.0.1] [::ffff:7f00:1] [64:ff9b::7f00:1] rebind.example mixed.example localhost LOCALHOST. rebind.example.`
    for (const host of hosts.split(/\s+/)) {
      assert.equal(status(await ask(tunnelTo(`${host}:80`))), '403', host)
      assert.equal(status(await ask(get(`http://${host}/latest/meta-data/`))), '403', host)
    }
  })

  test('is reached where the operator excepts that very port, by name or by address, and the skill names it', async (context) => {
    const port = await serve(context, (_request, response) => response.end('hello'))
    const other = await serve(context, (_request, response) => response.end('other'))
    const privateHosts = [`rebind.example:${port}`]
    const allow = [`rebind.example:${port}`, `rebind.example:${other}`, `127.0.0.1:${port}`]
    const { ask } = await openWay(context, { allow, names, privateHosts })
    assert.equal(status(await ask(get(`http://rebind.example:${port}/`))), '200')
    assert.equal(status(await ask(get(`http://rebind.example:${other}/`))), '403')
    assert.equal(status(await ask(get(`http://127.0.0.1:${port}/`))), '403')
  })

  test('is not reached by a star, though the operator excepts it for others', async (context) => {
    const port = await serve(context, (_request, response) => response.end('hello'))
    const { ask } = await openWay(context, { allow: ['*', `*:${port}`], privateHosts: [`127.0.0.1:${port}`] })
    assert.equal(status(await ask(get(`http://127.0.0.1:${port}/`))), '403')
  })

  test('is not reached by a second answer of the name server', async (context) => {
    let asked = 0
    const port = await serve(context, (_request, response) => response.end('hello'))
    const place = `turning.example:${port}`
    const names = {
      get 'turning.example'(): readonly string[] {
        return ++asked === 1 ? ['192.0.2.1'] : ['127.0.0.1']
      },
    }
    const { ask } = await openWay(context, { allow: [place], privateHosts: [`192.0.2.1:${port}`], names })
    assert.notEqual(status(await ask(get(`http://${place}/`))), '200')
    assert.equal(asked, 1)
  })

  test('a name that nobody knows is 502 and no denial', async (context) => {
    const { ask, door } = await openWay(context, { allow: ['gone.example'] })
    assert.equal(status(await ask(get('http://gone.example/'))), '502')
    assert.equal(door.end().denied, 0)
  })
})

describe('who does not keep to HTTP', () => {
  test('is told so and gets nowhere', async (context) => {
    let seen = 0
    const port = await serve(context, (_request, response) => {
      seen++
      response.end()
    })
    const place = `127.0.0.1:${port}`
    const { ask } = await openWay(context, { allow: [place], privateHosts: [place] })
    const url = `http://${place}/`
    const questions = [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      get(`https://${place}/`),
      get(`ftp://${place}/`),
      get(`http://user:pass@${place}/`),
      tunnelTo('/'),
      tunnelTo('127.0.0.1'),
      tunnelTo(`u@${place}`),
      `POST ${url} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST ${url} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
      `POST ${url} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
      `GET ${url} HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n`,
      `GET ${url} HTTP/1.1\r\nHost: x\r\n Folded: y\r\n\r\n`,
      `GET ${url} HTTP/1.1\r\nHost : x\r\n\r\n`,
      `\u0016\u0003\u0001hello\r\n\r\n`,
    ]
    for (const question of questions) assert.match(await ask(question), /^(HTTP\/1\.1 400 |$)/, JSON.stringify(question))
    assert.equal(seen, 0)
  })

  test('has its hop-by-hop headers taken away, and a Host that is no other', async (context) => {
    let seen: readonly string[] = []
    const port = await serve(context, (request, response) => {
      seen = request.rawHeaders
      request.resume()
      response.writeHead(200, { 'keep-alive': 'timeout=9', 'proxy-authenticate': 'Basic', 'x-kept': 'yes' }).end('hello')
    })
    const place = `127.0.0.1:${port}`
    const { ask } = await openWay(context, { allow: [place], privateHosts: [place] })
    const headers = [
      'Proxy-Authorization: Basic abc',
      'Connection: x-mine, content-length, upgrade',
      'X-Mine: 1',
      'Upgrade: h2c',
      'TE: trailers',
      'X-Kept: 1',
    ]
    const answer = await ask(
      `POST http://${place}/ HTTP/1.1\r\nHost: evil.example\r\n${headers.join('\r\n')}\r\nContent-Length: 2\r\n\r\nhi`,
    )
    assert.equal(status(answer), '200')
    assert.doesNotMatch(answer, /keep-alive: timeout|proxy-authenticate/i)
    assert.match(answer, /x-kept: yes/)
    assert.deepEqual(seen, ['Host', place, 'x-kept', '1', 'content-length', '2', 'Connection', 'close'])
  })

  test('has one request on a connection: what comes behind it is not looked at', async (context) => {
    const urls: (string | undefined)[] = []
    const port = await serve(context, (request, response) => {
      urls.push(request.url)
      response.end('hello')
    })
    const place = `127.0.0.1:${port}`
    const { ask } = await openWay(context, { allow: [place], privateHosts: [place] })
    await ask(get(`http://${place}/1`) + get(`http://${place}/2`))
    await ask(get(`http://${place}/3`) + tunnelTo(place) + get('/4'))
    assert.ok(urls.includes('/1') && !urls.includes('/2') && !urls.includes('/4'), urls.join(' '))
  })

  test('has no upgrade: it is an ordinary request', async (context) => {
    const port = await serve(context, (request, response) => response.end(String(request.headers.upgrade)))
    const place = `127.0.0.1:${port}`
    const { ask } = await openWay(context, { allow: [place], privateHosts: [place] })
    assert.match(await ask(get(`http://${place}/`, 'Connection: Upgrade', 'Upgrade: websocket')), /200 OK[\s\S]*undefined$/)
  })
})

describe('a bound holds', () => {
  test('for the bytes of a call, in both directions and both ways of asking', async (context) => {
    const port = await serve(context, (request, response) => {
      request.resume()
      if (request.method === 'POST') request.on('end', () => response.end('got it'))
      else response.end(Buffer.alloc(300_000))
    })
    const place = `127.0.0.1:${port}`
    const { ask, dial, door } = await openWay(context, { allow: [place], privateHosts: [place], limits: { bytes: 100_000 } })
    const call = { skill: 'probe', key: 'k', allow: [place] }
    assert.ok((await ask(get(`http://${place}/`))).length < 200_000)
    assert.match(door.end().denials[0] ?? '', /at most 100000 bytes/)
    door.begin(call)
    const post = `POST http://${place}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n${'x'.repeat(150_000)}`
    assert.doesNotMatch(await ask(post), /got it/)
    assert.equal(door.end().denied, 1)
    for (const inside of ['GET / HTTP/1.0\r\n\r\n', `POST / HTTP/1.0\r\nContent-Length: 150000\r\n\r\n${'x'.repeat(150_000)}`]) {
      door.begin(call)
      const socket = await dial()
      socket.write(tunnelTo(place))
      await readUntil(socket, '\r\n\r\n')
      socket.write(inside)
      const answer = await readAll(socket)
      assert.ok(answer.length < 200_000 && !answer.includes('got it'))
      socket.destroy()
      assert.equal(door.end().denied, 1)
    }
  })

  test('for the size of a header, also of the answer', async (context) => {
    const port = await listen(context, (socket) => socket.end(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`))
    const place = `127.0.0.1:${port}`
    const { ask } = await openWay(context, { allow: [place], privateHosts: [place] })
    assert.equal(status(await ask(get(`http://${place}/`, `X: ${'y'.repeat(20_000)}`))), '400')
    assert.equal(status(await ask(get(`http://${place}/`))), '502')
  })

  test('for a header that does not come to its end, and for a line on which nothing happens', async (context) => {
    const port = await listen(context, () => {})
    const place = `127.0.0.1:${port}`
    const { ask, dial } = await openWay(context, { allow: [place], privateHosts: [place], limits: { headerMs: 100, idleMs: 200 } })
    assert.match(await ask('GET http://a/ HTTP/1.1\r\nX:'), /^(HTTP\/1\.1 400 |$)/)
    assert.match(await ask(get(`http://${place}/`)), /^(HTTP\/1\.1 502 |$)/)
    const socket = await dial()
    socket.write(tunnelTo(place))
    assert.match(await readAll(socket), /^HTTP\/1\.1 200 [^\n]*\r\n\r\n$/)
  })

  test('for connections at once', async (context) => {
    const port = await listen(context, (socket) => socket.on('end', () => socket.end()).resume())
    const place = `127.0.0.1:${port}`
    const { dial } = await openWay(context, { allow: [place], privateHosts: [place], limits: { connections: 4 } })
    const lines = await Promise.all([1, 2, 3, 4].map(() => dial()))
    for (const line of lines) line.write(tunnelTo(place))
    await Promise.all(lines.map((line) => readUntil(line, '\r\n\r\n')))
    const fifth = await dial()
    fifth.write(tunnelTo(place))
    assert.equal(await readAll(fifth), '')
    lines[0]?.destroy()
    // The place is free when the door has seen the end of the one before.
    let again = ''
    for (let tries = 0; tries < 100 && again === ''; tries++) {
      const socket = await dial()
      socket.write(tunnelTo(place))
      again = await readUntil(socket, '\r\n\r\n')
    }
    assert.equal(status(again), '200')
  })

  test('for lines in the log: who asks a thousand times is told of, not a thousand times', async (context) => {
    const { ask, door, lines } = await openWay(context)
    for (let count = 0; count < 200; count++) await ask(tunnelTo('a.example:443'))
    const report = door.end()
    assert.deepEqual([report.denied, report.denials.length], [200, 1])
    assert.equal(lines.length, 65)
    assert.equal(lines.at(-1)?.['requests'], 136)
  })
})

test('a half that is closed is closed on the other side, and the answer still comes', async (context) => {
  const port = await listen(context, (socket) => void readAll(socket).then((text) => socket.end(`${text.length} bytes`)))
  const place = `127.0.0.1:${port}`
  const { dial } = await openWay(context, { allow: [place], privateHosts: [place] })
  const socket = await dial()
  socket.write(tunnelTo(place))
  await readUntil(socket, '\r\n\r\n')
  socket.end('12345')
  assert.equal(await readAll(socket), '5 bytes')
})

test('a host that breaks off in the middle is not passed on as a whole answer', async (context) => {
  const port = await listen(context, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    socket.once('data', () => setImmediate(() => socket.destroy()))
  })
  const place = `127.0.0.1:${port}`
  const { ask } = await openWay(context, { allow: [place], privateHosts: [place] })
  assert.doesNotMatch(await ask(get(`http://${place}/`)), /\r\n0\r\n/)
})

describe('the directory of a door', () => {
  test('has a name that cannot be guessed and lets other users through to the socket only; nothing is left of it', async (context) => {
    const { door, root, path, proxy } = await openWay(context)
    assert.match(door.dir.slice(root.length), /^\/[\da-f]{32}$/)
    assert.equal((await stat(door.dir)).mode & 0o777, 0o711)
    assert.equal((await stat(root)).mode & 0o777, 0o711)
    assert.equal((await stat(path)).mode & 0o777, 0o666)
    await door.close()
    await door.close()
    await assert.rejects(access(door.dir))
    await proxy.stop()
    await proxy.stop()
    await assert.rejects(access(root))
    await assert.rejects(proxy.open(), { code: 'EGRESS_UNREACHABLE' })
  })

  test('of a former life is opened again for the sandbox that has it mounted, and swept when none has', async (context) => {
    const { proxy, root } = await openWay(context)
    const [kept, left] = ['a'.repeat(32), 'b'.repeat(32)]
    for (const name of [kept, left]) await mkdir(join(root, name))
    await proxy.sweep([kept])
    await access(join(root, kept))
    await assert.rejects(access(join(root, left)))
    const door = await proxy.open(kept)
    await access(join(door.dir, EGRESS_SOCKET))
    await assert.rejects(proxy.open(kept), { code: 'EGRESS_INVALID' })
    await proxy.sweep([])
    await access(door.dir)
    for (const name of ['../escape', kept, '']) await assert.rejects(proxy.open(name), { code: 'EGRESS_INVALID' })
    await door.close()
  })

  test('of a former life lets in who came before it was known whose call goes on, and nobody when that is never known', async (context) => {
    const port = await serve(context, (_request, response) => response.end('hello'))
    const place = `127.0.0.1:${port}`
    const { proxy, root } = await openWay(context, { privateHosts: [place] })
    for (const isKnown of [true, false]) {
      const name = randomBytes(16).toString('hex')
      await mkdir(join(root, name))
      const door = await proxy.open(name)
      const socket = connect(join(door.dir, EGRESS_SOCKET))
      socket.on('error', () => {})
      const answer = readAll(socket)
      socket.write(get(`http://${place}/`))
      // It has come in when a second one has, and that one is heard of.
      const second = connect(join(door.dir, EGRESS_SOCKET))
      second.on('error', () => {})
      const refusal = readAll(second)
      second.write('nonsense\r\n\r\n')
      assert.equal(status(await refusal), '400')
      if (isKnown) door.begin({ skill: 'probe', key: 'k', allow: [place] })
      else await door.close()
      const text = await answer
      assert.equal(text.includes('hello'), isKnown, text)
      await door.close()
    }
  })

  test('is not made where somebody else can write, nor where a path has no room', async (context) => {
    const { root } = await openWay(context)
    const { EgressProxy } = await import('../../../skills/egress/proxy.ts')
    const { Gate } = await import('../../../skills/egress/gate.ts')
    const { Registry } = await import('../../../gateway/observe/metrics.ts')
    const { quietLog } = await import('../../support/quiet-log.ts')
    const gate = new Gate({ isPublicAddress: () => true, privateHosts: [] })
    const open = join(dirname(root), `open-${process.pid}-${Date.now()}`)
    await mkdir(open)
    const { chmod } = await import('node:fs/promises')
    await chmod(open, 0o777)
    context.after(() => rm(open, { recursive: true, force: true }))
    for (const at of [open, join(root, 'x'.repeat(80))]) {
      const proxy = new EgressProxy({ root: at, gate, log: quietLog, metrics: new Registry() })
      await assert.rejects(proxy.start(), { code: 'EGRESS_ROOT' })
    }
  })
})
