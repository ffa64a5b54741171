/**
 * What docs/skills/operate.md promises to an operator: its commands, as they stand and in the order in which they stand, against the real gateway;
 * and a canary over HTTP, whose callers keep to their side, and which goes back by itself when it fails.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { JsonObject } from '#contract'
import { startChild } from '../support/child.ts'
import { post } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const GUIDE = readFileSync(join(ROOT, 'docs/skills/operate.md'), 'utf8')
const SHAPE = { inputs: { type: 'object' }, outputs: { type: 'object' }, effect: 'none' }
const RUNTIME = { language: 'javascript', entrypoint: 'main.js' }

async function configure(gateway: GatewayProcess, skills: JsonObject, nth: number): Promise<void> {
  const file = join(gateway.dir, 'openclaw.yaml')
  writeFileSync(`${file}.new`, JSON.stringify({ skills }))
  renameSync(`${file}.new`, file)
  await gateway.told(new RegExp(`(The configuration was read again[\\s\\S]*){${nth}}`), 10_000)
}

test('every command of the operating guide does what it says', { timeout: 120_000 }, async (t) => {
  const gateway = await startGateway(t)
  const { dir } = gateway
  const weather = (version: string): void => {
    mkdirSync(join(dir, 'weather'), { recursive: true })
    writeFileSync(join(dir, 'weather', 'skill.json'), JSON.stringify({ id: 'weather', version, ...SHAPE, runtime: RUNTIME }))
    writeFileSync(join(dir, 'weather', 'main.js'), `export const run = () => ({ version: '${version}' })\n`)
  }
  const openclaw = async (...args: readonly string[]): Promise<string> => {
    const env = { PATH: process.env['PATH'], OPENCLAW_DIR: dir }
    const child = startChild([join(ROOT, 'cli', 'openclaw.ts'), ...args], { env, cwd: dir })
    const { code } = await child.ended
    assert.equal(code, 0, `${args.join(' ')}\n${child.output()}`)
    return child.output()
  }
  const blocks = [...GUIDE.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, body = '']) => body.trim().split('\n'))
  const ran: string[] = []
  for (const line of blocks.flat()) {
    const words = line.replace(/\s+#.*$/, '').split(/\s+/)
    const [program = '', ...args] = words
    if (program === 'openssl') {
      const key = execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      // From here on only what was signed with it comes in.
      if (args.includes('-pubout')) await configure(gateway, { signatures: { policy: 'enforce', keys: { release: key } } }, 1)
    } else {
      assert.equal(`${program} ${args[0] ?? ''}`, 'npx openclaw', `a command that no test runs: ${line}`)
      if (args.includes('register')) weather(args.includes('--hold') ? '1.3.0' : '1.2.0')
      if (args.includes('--hold')) await configure(gateway, {}, 2)
      await openclaw(...args.slice(1))
    }
    ran.push(words.slice(0, 4).join(' '))
  }
  assert.deepEqual(ran, [
    'openssl genpkey -algorithm ed25519',
    'openssl pkey -in release.pem',
    'npx openclaw skills register',
    'npx openclaw skills register',
    'npx openclaw skills canary',
    'npx openclaw skills promote',
    'npx openclaw skills rollback',
  ])
  const shown = (await (await gateway.fetch('/v1/skills/weather')).json()) as { readonly tracks: readonly JsonObject[] }
  assert.deepEqual([shown.tracks[0]?.['stable'], shown.tracks[0]?.['canary']], ['1.2.0', null])
  assert.match(await openclaw('skills', 'show', 'weather'), /1\.3\.0 was rolled back: by hand/)
})

test('callers keep to their side of a canary, and one that fails goes back by itself', { timeout: 120_000 }, async (t) => {
  const metricsPort = await freePort()
  const gateway = await startGateway(t, { env: { OPENCLAW_METRICS_PORT: String(metricsPort) } })
  const register = async (version: string, code: string, hold: boolean): Promise<void> => {
    const descriptor = { id: 'side', version, ...SHAPE, runtime: RUNTIME }
    const response = await post(gateway, '/v1/skills', { descriptor, files: { 'main.js': code }, hold })
    assert.equal(response.status, 201, await response.text())
  }
  const canary = async (version: string): Promise<void> => {
    const body = JSON.stringify({ version, weight: 0.5 })
    const headers = { 'content-type': 'application/json' }
    assert.equal((await gateway.fetch('/v1/skills/side/canary', { method: 'PUT', headers, body })).status, 200)
  }
  await register('1.0.0', 'export const run = () => ({})', false)
  await register('1.1.0', 'export const run = () => ({})', true)
  await canary('1.1.0')
  const secrets = await Promise.all(
    Array.from({ length: 24 }, async (_, at) => {
      const response = await post(gateway, '/v1/keys', { name: `caller-${at}`, scopes: ['skills:execute'] })
      return ((await response.json()) as { readonly secret: string }).secret
    }),
  )
  const call = async (secret: string): Promise<string> => {
    const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
    const response = await fetch(`${gateway.url}/v1/skills/side/invoke`, { method: 'POST', headers, body: '{}' })
    const { version } = (await response.json()) as { readonly version?: string }
    return version ?? `failed ${response.status}`
  }
  const sides = new Map<string, string>()
  for (let round = 0; round < 5; round++) {
    const versions = await Promise.all(secrets.map(call))
    for (const [at, version] of versions.entries()) {
      const secret = secrets[at] ?? ''
      assert.equal(version, sides.get(secret) ?? version, 'a caller changed sides')
      sides.set(secret, version)
    }
  }
  const risky = secrets.filter((secret) => sides.get(secret) === '1.1.0')
  assert.deepEqual(new Set(sides.values()), new Set(['1.0.0', '1.1.0']), 'one in sixteen million has all on one side')

  await register('1.2.0', 'export const run = () => { throw new Error("never") }', true)
  await canary('1.2.0')
  let failures = 0
  for (let version = await call(risky[0] ?? ''); version !== '1.0.0'; version = await call(risky[failures % risky.length] ?? '')) {
    assert.equal(version, 'failed 502')
    failures += 1
    assert.ok(failures < 200, 'it is not taken back')
  }
  assert.ok(failures >= 50, `${failures} calls are too few to judge by`)
  const { tracks } = (await (await gateway.fetch('/v1/skills/side')).json()) as { readonly tracks: readonly JsonObject[] }
  assert.deepEqual([tracks[0]?.['stable'], tracks[0]?.['canary'], tracks[0]?.['weight']], ['1.0.0', null, 0])
  assert.match(JSON.stringify(tracks[0]?.['note']), /1\.2\.0 was rolled back: 100 % of its last \d+ calls failed/)
  assert.match(await eventsOf(gateway, /"name":"skill\.rolled_back".*\n\n/), /"version":"1\.2\.0","stable":"1\.0\.0"/)
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  assert.match(metrics, /^openclaw_skill_rollbacks_total 1$/m)
  assert.match(metrics, /^openclaw_skill_runs_total\{code="ok"\} \d+$/m)
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** All that happened so far, up to what is looked for. */
async function eventsOf(gateway: GatewayProcess, wanted: RegExp): Promise<string> {
  const over = new AbortController()
  const signal = AbortSignal.any([over.signal, AbortSignal.timeout(10_000)])
  const { body } = await gateway.fetch('/v1/events/stream', { headers: { 'last-event-id': '0' }, signal })
  assert.ok(body !== null)
  let text = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (wanted.test(text)) break
  }
  over.abort()
  return text
}
