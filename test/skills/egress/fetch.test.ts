import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { LogFields } from '#contract'
import { isPublicAddress } from '../../../gateway/guarded/address.ts'
import { Registry } from '../../../gateway/observe/metrics.ts'
import type { EgressRequest, EgressResponse } from '../../../skills/egress/egress.ts'
import { egressFetch } from '../../../skills/egress/fetch.ts'
import { Gate } from '../../../skills/egress/gate.ts'
import { keepingLog, serve } from '../../support/egress.ts'

type Ask = (url: string, more?: Partial<EgressRequest>) => Promise<EgressResponse>

function fetching(
  privateHosts: readonly string[],
  names: { readonly [host: string]: readonly string[] } = {},
): { ask: Ask; lines: LogFields[] } {
  const lines: LogFields[] = []
  const resolve = (host: string): Promise<readonly string[]> => Promise.resolve(names[host] ?? [])
  const gate = new Gate({ isPublicAddress, privateHosts, resolve, limits: { connectMs: 2_000 } })
  const fetch = egressFetch({ gate, log: keepingLog(lines), metrics: new Registry() })
  const ask: Ask = (url, more = {}) =>
    fetch({
      skill: 's',
      key: 'k',
      allow: privateHosts,
      url,
      method: 'GET',
      headers: {},
      body: null,
      maxBytes: 100_000,
      signal: AbortSignal.timeout(9_000),
      ...more,
    })
  return { ask, lines }
}

/** A server that tells what it was asked. */
async function echo(context: TestContext): Promise<string> {
  const port = await serve(context, (request, response) => {
    if (request.url?.startsWith('/to?') === true) {
      const query = new URLSearchParams(request.url.slice(4))
      response.writeHead(Number(query.get('status') ?? 302), { location: query.get('url') ?? '' }).end()
      return
    }
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body })))
  })
  return `127.0.0.1:${port}`
}
const told = ({ body }: EgressResponse): { method: string; headers: Record<string, string>; body: string; url: string } =>
  JSON.parse(Buffer.from(body).toString()) as ReturnType<typeof told>

describe('code without sockets fetches', () => {
  test('from a host it declares, with method, headers and body', async (context) => {
    const place = await echo(context)
    const { ask, lines } = fetching([place])
    const answer = await ask(`http://${place}/a?b#c`, {
      method: 'post',
      headers: { 'X-Mine': '1', Host: 'evil', 'Content-Length': '9' },
      body: Buffer.from('hi'),
    })
    const { method, headers, body, url } = told(answer)
    assert.deepEqual([answer.status, method, headers['x-mine'], headers['host'], body, url], [200, 'POST', '1', place, 'hi', '/a?b'])
    assert.deepEqual(
      lines.map((line) => line['verdict']),
      ['allowed'],
    )
  })

  test('from nowhere else', async (context) => {
    const place = await echo(context)
    const { ask, lines } = fetching([place], { 'evil.example': ['93.184.216.34'] })
    const denied = { code: 'EGRESS_DENIED' }
    await assert.rejects(ask('http://evil.example/'), denied)
    await assert.rejects(ask('http://169.254.169.254/latest/', { allow: ['*'] }), denied)
    await assert.rejects(ask(`http://2130706433:${place.split(':')[1]}/`, { allow: ['*:1'] }), denied)
    await assert.rejects(ask('http://gone.example/', { allow: ['gone.example'] }), { code: 'EGRESS_UNREACHABLE' })
    assert.deepEqual(
      lines.map((line) => line['verdict']),
      ['denied_host', 'denied_address', 'denied_host', 'unresolved'],
    )
  })

  test('nothing that is no request', async () => {
    const { ask } = fetching([])
    const invalid = { code: 'EGRESS_INVALID' }
    for (const url of ['file:///etc/passwd', 'nonsense', 'http://u:p@a.example/', 'data:text/plain,x', 'ws://a.example'])
      await assert.rejects(ask(url, { allow: ['*'] }), invalid, url)
    for (const more of [{ method: 'CONNECT' }, { method: 'G T' }, { headers: { 'a b': 'c' } }, { headers: { a: 'b\r\nc: d' } }])
      await assert.rejects(ask('http://a.example/', { allow: ['*'], ...more }), invalid)
  })

  test('no header that would frame the request otherwise', async (context) => {
    const place = await echo(context)
    const headers = {
      x: 'transfer-encoding',
      'transfer-encoding': 'chunked',
      connection: 'x-gone, upgrade',
      upgrade: 'h2c',
      'x-gone': '1',
      te: 'trailers',
    }
    const seen = told(await fetching([place]).ask(`http://${place}/`, { headers })).headers
    assert.deepEqual(Object.keys(seen).toSorted(), ['accept-encoding', 'connection', 'host', 'x'])
  })

  test('no more than it may take', async (context) => {
    const port = await serve(context, (_request, response) => response.end(Buffer.alloc(200_000)))
    const { ask, lines } = fetching([`127.0.0.1:${port}`])
    await assert.rejects(ask(`http://127.0.0.1:${port}/`), { code: 'EGRESS_INVALID' })
    assert.equal(lines[0]?.['verdict'], 'limit')
  })

  test('until its signal aborts', async (context) => {
    const port = await serve(context, () => {})
    const patience = new AbortController()
    const asked = fetching([`127.0.0.1:${port}`]).ask(`http://127.0.0.1:${port}/`, { signal: patience.signal })
    setImmediate(() => patience.abort())
    await assert.rejects(asked, { code: 'EGRESS_UNREACHABLE' })
  })
})

describe('a redirect', () => {
  test('is followed to hosts that are declared, and to no other', async (context) => {
    const [first, second, third] = await Promise.all([echo(context), echo(context), echo(context)])
    const { ask } = fetching([first, second])
    const to = (url: string, status = 302): string =>
      `http://${first}/to?${new URLSearchParams({ url, status: String(status) }).toString()}`
    assert.equal(told(await ask(to('/relative'))).url, '/relative')
    assert.equal(told(await ask(to(`http://${second}/x`))).url, '/x')
    await assert.rejects(ask(to(`http://${third}/x`)), { code: 'EGRESS_DENIED' })
    await assert.rejects(ask(to('file:///etc/passwd')), { code: 'EGRESS_INVALID' })
    await assert.rejects(ask(to('http://169.254.169.254/')), { code: 'EGRESS_DENIED' })
  })

  test('takes no header to another origin that could be a secret', async (context) => {
    const [first, second] = await Promise.all([echo(context), echo(context)])
    const { ask } = fetching([first, second])
    const headers = { authorization: 'Bearer s', 'x-api-key': 's', accept: 'a/b' }
    const elsewhere = told(await ask(`http://${first}/to?url=http://${second}/`, { headers })).headers
    assert.deepEqual([elsewhere['authorization'], elsewhere['x-api-key'], elsewhere['accept']], [undefined, undefined, 'a/b'])
    assert.equal(told(await ask(`http://${first}/to?url=/here`, { headers })).headers['authorization'], 'Bearer s')
  })

  test('makes a GET of a POST after 302, and leaves it one after 307', async (context) => {
    const place = await echo(context)
    const { ask } = fetching([place])
    const post = { method: 'POST', body: Buffer.from('hi') }
    const [found, kept] = [await ask(`http://${place}/to?url=/x`, post), await ask(`http://${place}/to?status=307&url=/x`, post)].map(told)
    assert.deepEqual([found?.method, found?.body, kept?.method, kept?.body], ['GET', '', 'POST', 'hi'])
  })

  test('without end is given up', async (context) => {
    const port = await serve(context, (_request, response) => response.writeHead(302, { location: '/' }).end())
    await assert.rejects(fetching([`127.0.0.1:${port}`]).ask(`http://127.0.0.1:${port}/`), { code: 'EGRESS_INVALID' })
  })
})
