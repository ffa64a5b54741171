/** Credentials that end while a request is under way: between its header and its end nothing is done, and nothing stays open, by them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { echoRoute, startServer } from './double.ts'
import { lines, open } from './raw.ts'

test('who is revoked while the body comes in is refused, and what was asked is not done', async (t) => {
  let handled = 0
  const { url, call, keyFor } = await startServer(t, { routes: [echoRoute({ handle: () => ((handled += 1), { status: 202 }) })] })
  const { id, secret } = await keyFor(['messages:write'])
  const socket = await open(url)
  const head = [`Host: ${new URL(url).host}`, `Authorization: Bearer ${secret}`, 'Content-Type: application/json', 'Content-Length: 2']
  socket.write(lines('POST /v1/messages HTTP/1.1', ...head, 'Expect: 100-continue', ''))
  assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 100 /)
  socket.write('{')
  // Another request of it, so that the one before has been looked at when it is revoked.
  assert.equal((await call('/v1/agents', { headers: { authorization: `Bearer ${secret}` } })).status, 403)
  assert.equal((await call(`/v1/keys/${id}`, { method: 'DELETE' })).status, 204)
  socket.write('}')
  assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 401 [^]*CREDENTIAL_INVALID/)
  assert.equal(handled, 0)
  socket.destroy()
})

test('a stream that is begun while its reader is revoked ends at once', async (t) => {
  const entered = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const { url, call, keyFor } = await startServer(t, {
    routes: [
      echoRoute({
        handle: async () => {
          entered.resolve()
          await goOn.promise
          return {
            status: 200,
            events: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
          }
        },
      }),
    ],
  })
  const { id, secret } = await keyFor(['messages:write'])
  const reading = fetch(`${url}/v1/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}` },
    signal: AbortSignal.timeout(10_000),
  })
  await entered.promise
  assert.equal((await call(`/v1/keys/${id}`, { method: 'DELETE' })).status, 204)
  goOn.resolve()
  assert.equal(await (await reading).text(), 'retry: 3000\n\n')
})
