import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { GuardedClient } from '../../../gateway/guarded/client.ts'
import { mediaFetch } from '../../../gateway/guarded/fetch.ts'
import { realClock } from '../../support/real-clock.ts'

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
const fetchMedia = mediaFetch(new GuardedClient({ clock: realClock }))

test('what the operator trusts is fetched, with its type', async (context) => {
  const origin = await serve(context, (request, response) => response.setHeader('content-type', 'image/png').end(request.headers['x-key']))
  const { bytes, mediaType } = await fetchMedia({ url: `${origin}/a`, trusted: `${origin}/bot`, headers: { 'x-key': 'k' }, signal })
  assert.deepEqual([Buffer.from(bytes).toString(), mediaType], ['k', 'image/png'])
})

test('loopback is refused as address and as name', async (context) => {
  let asked = 0
  const inner = await serve(context, (_request, response) => {
    asked++
    response.end('secret')
  })
  const port = new URL(inner).port
  await assert.rejects(fetchMedia({ url: inner, signal }), refused)
  await assert.rejects(fetchMedia({ url: `http://localhost:${port}`, signal }), refused)
  await assert.rejects(fetchMedia({ url: `http://127.0.0.1:${port}`, trusted: `http://127.0.0.1:1`, signal }), refused)
  await assert.rejects(fetchMedia({ url: 'file:///etc/passwd', signal }), refused)
  assert.equal(asked, 0)
})

test('what is too large is cut, what is not there says whether again is of use', async (context) => {
  const origin = await serve(context, (request, response) => {
    if (request.url === '/large') response.write(Buffer.alloc(2_000))
    else response.writeHead(Number(request.url?.slice(1))).end()
  })
  await assert.rejects(fetchMedia({ url: `${origin}/large`, trusted: origin, maxBytes: 1_000, signal }), refused)
  await assert.rejects(fetchMedia({ url: `${origin}/404`, trusted: origin, signal }), refused)
  await assert.rejects(fetchMedia({ url: `${origin}/503`, trusted: origin, signal }), { code: 'MEDIA_UNREACHABLE' })
})

test('a redirect is not followed, not even to what is trusted', async (context) => {
  let followed = 0
  const origin = await serve(context, (request, response) => {
    if (request.url === '/there') followed++
    response.writeHead(302, { location: '/there' }).end()
  })
  await assert.rejects(fetchMedia({ url: `${origin}/here?token=t0ps3cret`, trusted: origin, signal }), (error: Error) => {
    assert.match(error.message, /answered 302/)
    assert.doesNotMatch(error.message, /t0ps3cret/)
    return true
  })
  assert.equal(followed, 0)
})
