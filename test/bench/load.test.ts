/** The measuring instruments themselves: a bench that lies is worse than none. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { describe, test, type TestContext } from 'node:test'
import { Histogram } from './histogram.ts'
import { runLoad, type LoadJob } from './job.ts'
import { isMet, median } from './measure.ts'

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close().closeAllConnections())
  const address = server.address()
  return typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : ''
}

const job = (url: string, rest: Partial<LoadJob>): LoadJob => ({
  url,
  path: '/v1/messages',
  headers: { authorization: 'Bearer x' },
  body: '{"n":"%N%","user":"%U%"}',
  connections: 4,
  pace: 'closed',
  until: { requests: 200 },
  expect: { status: 202, text: 'queued' },
  limitSeconds: 20,
  ...rest,
})

describe('the load generator', () => {
  test('sends as many requests as it was asked for, no two alike, each sender its own', async (t) => {
    const bodies: string[] = []
    const url = await serve(t, (request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        bodies.push(body)
        response.writeHead(202, { 'content-length': 6 }).end('queued')
      })
    })
    const result = await runLoad(job(url, { turnsPerUser: 10 }))
    assert.deepEqual([result.requests, result.wrong, new Set(bodies).size], [200, 0, 200])
    const users = Map.groupBy(bodies, (body) => (JSON.parse(body) as { user: string }).user)
    assert.ok([...users.values()].every((of) => of.length <= 10))
    assert.ok(users.size >= 20)
  })

  test('counts an answer that is not as expected as wrong, and times only the right ones', async (t) => {
    let count = 0
    const url = await serve(t, (request, response) => {
      request.resume()
      response.writeHead(count++ % 4 === 0 ? 503 : 202, { 'content-length': 6 }).end('queued')
    })
    const result = await runLoad(job(url, {}))
    assert.deepEqual([result.requests, result.wrong], [150, 50])
    assert.match(result.firstWrong ?? '', /503/)
  })

  test('times an offered load from when each request was due, however long the server stalls', async (t) => {
    let isFirst = true
    const url = await serve(t, (request, response) => {
      request.resume()
      const answer = (): void => void response.writeHead(202, { 'content-length': 6 }).end('queued')
      if (isFirst) {
        // One connection, 300 ms: all that fall due meanwhile have waited, though each was then answered at once.
        isFirst = false
        setTimeout(answer, 300)
      } else answer()
    })
    const result = await runLoad(job(url, { connections: 1, pace: { perSecond: 500 }, until: { requests: 200 } }))
    assert.equal(result.requests, 200)
    assert.ok(result.p50Ms > 20, `p50 ${result.p50Ms} ms`)
    assert.ok(result.maxMs >= 295, `max ${result.maxMs} ms`)
  })

  test('fails when the server goes away, and says why', async (t) => {
    const url = await serve(t, (request) => request.socket.destroy())
    await assert.rejects(runLoad(job(url, {})), /ended without saying.*closed the connection/s)
  })
})

describe('the histogram', () => {
  test('is at most 1.6 % off, and exact at the maximum', () => {
    const histogram = new Histogram()
    for (let value = 1; value <= 100_000; value++) histogram.record(value)
    for (const q of [0.01, 0.5, 0.9, 0.99]) {
      const off = Math.abs(histogram.quantile(q) - q * 100_000) / (q * 100_000)
      assert.ok(off <= 1 / 64, `${q}: ${off}`)
    }
    assert.deepEqual([histogram.quantile(1), histogram.max, histogram.count], [100_000, 100_000, 100_000])
  })

  test('keeps small values exactly and answers 0 when it is empty', () => {
    const histogram = new Histogram()
    assert.equal(histogram.quantile(0.5), 0)
    for (const value of [0, 1, 63, 64, 127]) histogram.record(value)
    assert.deepEqual(
      [0.2, 0.4, 0.6, 0.8, 1].map((q) => histogram.quantile(q)),
      [0, 1, 63, 64, 127],
    )
  })
})

test('a figure that could not be had misses its target', () => {
  const figure = { what: 'x', unit: 'ms' }
  assert.equal(isMet({ ...figure, value: null, target: { below: 1 } }), false)
  assert.equal(isMet({ ...figure, value: 1, target: { below: 1 } }), false)
  assert.equal(isMet({ ...figure, value: 1, target: { atMost: 1 } }), true)
  assert.equal(isMet({ ...figure, value: 0.59, target: { atLeast: 0.6 } }), false)
  assert.equal(isMet({ ...figure, value: 7 }), null)
  assert.deepEqual([median([3, 1, 2]), median([4, 1])], [2, 2.5])
})
