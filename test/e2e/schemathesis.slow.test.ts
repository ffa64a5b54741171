/**
 * The gateway's OpenAPI document held against the gateway itself by schemathesis: what fits the schemas is taken, what does not is
 * refused, every status, header and body is one of those documented, and nothing ends in a 500. What it is told stands beside.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { startGateway, temporaryFolder } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { facilities } from '../support/machine.ts'

const here = join(import.meta.dirname, 'schemathesis')
const program = facilities(process.env).find(({ name }) => name === 'schemathesis')?.path ?? null
const skip = program === null && process.env['CI'] !== 'true' ? 'schemathesis is not here' : false
/** So long as they are open these have no end; test/gateway/http/{events,audit}.test.ts read them. */
const ENDLESS = ['/v1/events/stream', '/v1/audit/stream']

/** It stands in the file, so that nothing that is tried over the API can revoke it. */
const KEY = `ock_live_Fuzzer01_${'f'.repeat(43)}`
const config = {
  // These reach out, and the first says 503 for as long as nobody has told it with whom to search.
  skills: { entries: { 'web-search': { enabled: false }, 'http-fetch': { enabled: false } } },
  keys: [{ name: 'fuzzer', roles: ['admin'], sha256: createHash('sha256').update(KEY).digest('hex') }],
}

test('what the document says of any request holds', { skip, timeout: 600_000 }, async (t) => {
  const gateway = await startGateway(t, { config, env: { OPENCLAW_LOG_LEVEL: 'error' } })
  await fuzz(t, gateway, { settings: '', args: [] })
  assert.equal((await gateway.fetch('/readyz')).status, 200)
})

test('it holds too for things that are there', { skip, timeout: 600_000 }, async (t) => {
  const gateway = await startGateway(t, { config, env: { OPENCLAW_LOG_LEVEL: 'error' } })
  const settings = Object.entries(await things(gateway)).map(
    ([path, id]) =>
      `[[operations]]\ninclude-path-regex = '^${path.replaceAll(/[{}]/g, '[$&]')}(/|$)'\nparameters = { 'path.id' = '${id}' }\n`,
  )
  // What is deleted is not there any more.
  await fuzz(t, gateway, { settings: settings.join('\n'), args: ['--include-path-regex', '[{]', '--exclude-method', 'DELETE', '-n', '10'] })
})

async function fuzz(
  t: TestContext,
  gateway: GatewayProcess,
  { settings, args }: { readonly settings: string; readonly args: readonly string[] },
): Promise<void> {
  assert.ok(program !== null, 'schemathesis is missing')
  const dir = temporaryFolder({ after: (run) => t.after(run) })
  writeFileSync(join(dir, 'schemathesis.toml'), `${readFileSync(join(here, 'schemathesis.toml'), 'utf8')}\n${settings}`)
  const child = spawn(
    program,
    [
      `--config-file=${join(dir, 'schemathesis.toml')}`,
      'run',
      `${gateway.url}/v1/openapi.json`,
      `--header=Authorization: Bearer ${KEY}`,
      '--checks=all',
      '--no-color',
      ...ENDLESS.flatMap((path) => ['--exclude-path', path]),
      ...args,
    ],
    {
      cwd: dir,
      env: {
        PATH: process.env['PATH'],
        HOME: dir,
        LANG: 'C.UTF-8',
        PYTHONPATH: here,
        SCHEMATHESIS_HOOKS: 'hooks',
        PYTHONDONTWRITEBYTECODE: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  t.after(() => void child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  assert.equal(code, 0, said.slice(said.indexOf('= FAILURES')))
  const [summary, generated] = /(\d+) generated.*/.exec(said) ?? []
  assert.ok(Number(generated) > 500, `so little was tried: ${summary}`)
  t.diagnostic(summary ?? '')
}

/** Path of the document up to its parameter → one that there is. */
async function things(gateway: GatewayProcess): Promise<{ readonly [path: string]: string }> {
  const post = async (path: string, body: object): Promise<{ readonly [name: string]: unknown }> => {
    const response = await gateway.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    assert.ok(response.ok, `${path}: ${response.status}`)
    return (await response.json()) as { [name: string]: unknown }
  }
  const message = await post('/v1/messages?wait=30', { payload: 'hello' })
  const webhook = await post('/v1/webhooks', { url: 'https://receiver.example/hook', events: ['*'] })
  const delivery = await post(`/v1/webhooks/${String(webhook['id'])}/test`, {})
  const agent = await post('/v1/agents', { name: 'fuzzed', version: '1.0' })
  const key = await post('/v1/keys', { name: 'fuzzed', roles: ['viewer'] })
  const run = await post('/v1/skills/calculator/invoke', { input: { expression: '1+1' } })
  return {
    '/v1/messages/{id}': String(message['message_id']),
    '/v1/sessions/{id}': String(message['session']),
    '/v1/webhooks/{id}': String(webhook['id']),
    '/v1/webhook-deliveries/{id}': String(delivery['id']),
    '/v1/agents/{id}': String(agent['id']),
    '/v1/keys/{id}': String(key['id']),
    '/v1/runs/{id}': String(run['run_id']),
    '/v1/skills/{id}': 'calculator',
  }
}
