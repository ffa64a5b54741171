import assert from 'node:assert/strict'
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createSecureServer } from 'node:https'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { isPublicAddress } from '../../../gateway/guarded/address.ts'
import { Registry } from '../../../gateway/observe/metrics.ts'
import { egressFetch } from '../../../skills/egress/fetch.ts'
import { Gate } from '../../../skills/egress/gate.ts'
import { openWay, serve } from '../../support/egress.ts'
import type { Way } from '../../support/egress.ts'
import { quietLog } from '../../support/quiet-log.ts'

/** What the supervisor does in the sandbox: 127.0.0.1 to the socket. Its address. */
async function forwarder(context: TestContext, { path, door: { token } }: Pick<Way, 'path' | 'door'>): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const door = connect({ path, allowHalfOpen: true })
    door.write(token)
    for (const [end, other] of [
      [client, door],
      [door, client],
    ] as const) {
      end.on('error', () => other.destroy())
      end.pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What a machine of a developer may lack, and CI may not. */
const without = (program: string): string | false =>
  process.env['CI'] !== 'true' && spawnSync(program, ['version']).error !== undefined && `${program} is not here`

function ran(program: string, args: readonly string[], env: { readonly [name: string]: string }): Promise<{ code: number; text: string }> {
  return new Promise((resolve) => {
    const limits = { timeout: 20_000, env: { PATH: process.env['PATH'] ?? '', ...env } }
    execFile(program, [...args], limits, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: out + err }),
    )
  })
}

/** A key and a certificate for localhost. */
function certificate(context: TestContext): { readonly key: string; readonly cert: string } {
  const dir = mkdtempSync(join(tmpdir(), 'cert-'))
  context.after(() => rmSync(dir, { recursive: true }))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const args = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout ${key} -out ${cert}`
  execFileSync('openssl', args.split(' '), { stdio: 'ignore' })
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

const python = `import urllib.request
try: print(urllib.request.urlopen(%URL%, timeout=9).read().decode())
except Exception as e: print(type(e).__name__, e, getattr(e, 'read', bytes)().decode())`

describe('through the proxy', () => {
  const clients: readonly (readonly [name: string, program: string, args: (url: string) => readonly string[]])[] = [
    ['curl', 'curl', (url) => ['-sS', url]],
    ['curl by CONNECT', 'curl', (url) => ['-sS', '-p', url]],
    ['python', 'python3', (url) => ['-c', python.replace('%URL%', JSON.stringify(url))]],
    [
      'node',
      process.execPath,
      (url) => ['-e', `fetch(${JSON.stringify(url)}).then((a) => a.text()).then(console.log, (e) => console.log(e.message, e.cause))`],
    ],
  ]
  for (const [name, program, args] of clients) {
    test(`${name} reaches what is declared and nothing else`, { skip: without(program) }, async (context) => {
      const port = await serve(context, (_request, response) => response.end('hello'))
      const place = `127.0.0.1:${port}`
      const way = await openWay(context, { allow: [place, '127.0.0.1'], privateHosts: [place] })
      const proxy = await forwarder(context, way)
      const env = { http_proxy: proxy, https_proxy: proxy, HTTP_PROXY: proxy, HTTPS_PROXY: proxy, NODE_USE_ENV_PROXY: '1', no_proxy: '' }
      const good = await ran(program, args(`http://${place}/`), env)
      assert.match(good.text, /hello/)
      for (const url of [
        'http://169.254.169.254/latest/meta-data/',
        'http://127.0.0.1:1234/',
        'http://2130706433/',
        'https://evil.example/',
      ]) {
        const bad = await ran(program, args(url), env)
        assert.doesNotMatch(bad.text, /hello/, url)
      }
      const { allowed, denied } = way.door.end()
      assert.deepEqual([allowed, denied], [1, 4])
    })
  }

  test('HTTPS stays between the skill and the host', { skip: without('openssl') || without('curl') }, async (context) => {
    const { key, cert } = certificate(context)
    const server = createSecureServer({ key, cert }, (_request, response) => response.end('hello')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    context.after(() => server.close())
    const port = (server.address() as AddressInfo).port
    const place = `localhost:${port}`
    const way = await openWay(context, { allow: [place], privateHosts: [place], names: { localhost: ['127.0.0.1'] } })
    const { text } = await ran('curl', ['-sSk', '-x', await forwarder(context, way), `https://${place}/`], {})
    assert.match(text, /hello/)
    assert.equal(way.door.end().allowed, 1)
    const gate = new Gate({ isPublicAddress, privateHosts: [place], resolve: () => Promise.resolve(['127.0.0.1']) })
    const means = { gate, log: quietLog, metrics: new Registry() }
    const request = {
      skill: 's',
      key: 'k',
      allow: [place, `127.0.0.1:${port}`],
      url: `https://${place}/`,
      method: 'GET',
      headers: {},
      body: null,
      maxBytes: 1_000,
      signal: AbortSignal.timeout(9_000),
    }
    assert.equal(Buffer.from((await egressFetch({ ...means, ca: cert })(request)).body).toString(), 'hello')
    await assert.rejects(egressFetch(means)(request), { code: 'EGRESS_UNREACHABLE' })
    const elsewhere = new Gate({ isPublicAddress, privateHosts: [`127.0.0.1:${port}`] })
    const wrongName = { ...request, url: `https://127.0.0.1:${port}/` }
    await assert.rejects(egressFetch({ ...means, gate: elsewhere, ca: cert })(wrongName), { code: 'EGRESS_UNREACHABLE' })
    server.closeAllConnections()
  })
})
