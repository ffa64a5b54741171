import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { isPublicAddress } from '../../../gateway/guarded/address.ts'
import { fetchGuarded } from '../../../gateway/guarded/fetch.ts'

async function serve(context: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const signal = AbortSignal.timeout(20_000)
const refused = { code: 'MEDIA_REFUSED' }

test('public addresses are told from private, local and special ones', () => {
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111']) assert.equal(isPublicAddress(address), true, address)
  const special =
    '127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 255.255.255.255 224.0.0.1 ::1 :: fe80::1 fc00::1'
  for (const address of `${special} ::ffff:127.0.0.1 ::ffff:8.8.8.8 2002:7f00:1:: 64:ff9b::7f00:1 2001:db8::1 no-address`.split(' '))
    assert.equal(isPublicAddress(address), false, address)
})

test('what the operator trusts is fetched, with its type', async (context) => {
  const origin = await serve(context, (request, response) => response.setHeader('content-type', 'image/png').end(request.headers['x-key']))
  const { bytes, mediaType } = await fetchGuarded({ url: `${origin}/a`, trusted: `${origin}/bot`, headers: { 'x-key': 'k' }, signal })
  assert.deepEqual([Buffer.from(bytes).toString(), mediaType], ['k', 'image/png'])
})

test('loopback is refused as address, as name and behind a redirect', async (context) => {
  let asked = 0
  const inner = await serve(context, (_request, response) => {
    asked++
    response.end('secret')
  })
  const port = new URL(inner).port
  const outer = await serve(context, (_request, response) => response.writeHead(302, { location: inner }).end())
  await assert.rejects(fetchGuarded({ url: inner, signal }), refused)
  await assert.rejects(fetchGuarded({ url: `http://localhost:${port}`, signal }), refused)
  await assert.rejects(fetchGuarded({ url: `http://[::ffff:127.0.0.1]:${port}`, signal }), refused)
  await assert.rejects(fetchGuarded({ url: `http://2130706433:${port}`, signal }), refused)
  await assert.rejects(fetchGuarded({ url: outer, trusted: outer, signal }), refused)
  await assert.rejects(fetchGuarded({ url: 'file:///etc/passwd', signal }), refused)
  assert.equal(asked, 0)
})

test('what is too large is cut, what is not there says whether again is of use', async (context) => {
  const origin = await serve(context, (request, response) => {
    if (request.url === '/large') response.write(Buffer.alloc(2_000))
    else response.writeHead(Number(request.url?.slice(1))).end()
  })
  await assert.rejects(fetchGuarded({ url: `${origin}/large`, trusted: origin, maxBytes: 1_000, signal }), refused)
  await assert.rejects(fetchGuarded({ url: `${origin}/404`, trusted: origin, signal }), refused)
  await assert.rejects(fetchGuarded({ url: `${origin}/503`, trusted: origin, signal }), { code: 'MEDIA_UNREACHABLE' })
})

test('a header for one host does not follow a redirect to another', async (context) => {
  let seen: string | undefined
  const other = await serve(context, (request, response) => {
    seen = request.headers.authorization
    response.end('x')
  })
  const first = await serve(context, (_request, response) => response.writeHead(302, { location: other }).end())
  const attempt = fetchGuarded({ url: first, trusted: first, headers: { authorization: 'Bearer s' }, signal })
  await assert.rejects(attempt, refused)
  assert.equal(seen, undefined)
})
