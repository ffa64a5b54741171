/** SIGKILL of the real gateway while a skill runs in a container: the container goes on, and the next life takes what it gives. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { JsonObject, JsonValue } from '#contract'
import { docker, dockerPath, startEngine } from '../support/docker.ts'
import { startGateway } from '../support/gateway-process.ts'

const CODE = `import time
def run(input, ctx):
    ctx.progress("running")
    print("once")
    time.sleep(3)
    return {"key": ctx.key}
`
const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : assert.fail(JSON.stringify(value)))
/** Reaches out, and again as long as nobody answers; a refusal is its answer. */
const FETCHING = `import time, urllib.error, urllib.request
def fetch(url):
    for _ in range(150):
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode()
        except urllib.error.HTTPError as error:
            return 'refused %d' % error.code
        except OSError:
            time.sleep(0.1)
def run(input, ctx):
    first = fetch(input['url'])
    ctx.progress("running")
    while (second := fetch(input['url'])) == first:
        time.sleep(0.05)
    return {"first": first, "second": second, "other": fetch('http://evil.example/')}
`
const MISSING = dockerPath() === null && process.env['CI'] !== 'true'

test(
  'a run that outlives the gateway is adopted, and happens once',
  { timeout: 240_000, skip: MISSING ? 'no container engine' : false },
  async (context) => {
    const scope = { after: (run: () => Promise<void>) => context.after(run) }
    const engine = await startEngine(scope)
    const config = { skills: { sandbox: 'docker', docker: { socket: engine.socket, image: engine.image, max_containers: 2, parked: 0 } } }
    const gateway = await startGateway(context, { config })
    const post = async (path: string, body: unknown, headers: { readonly [name: string]: string } = {}): Promise<JsonObject> => {
      const json = { 'content-type': 'application/json', ...headers }
      const response = await gateway.fetch(path, { method: 'POST', headers: json, body: JSON.stringify(body) })
      const answer = (await response.json()) as JsonObject
      assert.ok(response.ok, JSON.stringify(answer))
      return answer
    }
    const descriptor = {
      id: 'pay',
      version: '1.0.0',
      inputs: {},
      outputs: { key: { type: 'string', description: 'Its key' } },
      runtime: { language: 'python', entrypoint: 'main.py' },
    }
    await post('/v1/skills', { descriptor, files: { 'main.py': CODE } })
    const { run_id: id } = await post('/v1/skills/pay/invoke', {}, { prefer: 'respond-async' })
    const events = await gateway.fetch(`/v1/runs/${textOf(id)}/events`)
    let told = ''
    for await (const chunk of events.body ?? []) {
      told += Buffer.from(chunk as Uint8Array).toString()
      if (told.includes('"running"')) break
    }
    await gateway.kill9()

    const next = await startGateway(context, { dir: gateway.dir, config })
    const run = (await (await next.fetch(`/v1/runs/${textOf(id)}?wait=30`)).json()) as JsonObject
    assert.deepEqual([run['status'], run['attempts'], run['output']], ['done', 1, { key: run['key'] }])
    const letters = (await (await next.fetch('/v1/dead-letters?kind=run')).json()) as { readonly data: readonly JsonObject[] }
    assert.deepEqual(letters.data, [])
    const instance = (await readFile(join(next.dir, '.openclaw', 'instance'), 'utf8')).trim()
    await next.stop()
    assert.equal(await docker(engine.socket, 'ps', '--all', '--quiet', '--filter', `label=openclaw.instance=${instance}`), '')
  },
)

test(
  'a run that outlives the gateway has its way out again, and what it is denied stands in its log',
  { timeout: 240_000, skip: MISSING ? 'no container engine' : false },
  async (context) => {
    const scope = { after: (run: () => Promise<void>) => context.after(run) }
    const engine = await startEngine(scope)
    let said = 'in the first life'
    const server = createServer((_request, response) => response.end(said)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    context.after(() => void server.close())
    const place = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const docker = { socket: engine.socket, image: engine.image, max_containers: 2, parked: 0 }
    const config = { skills: { sandbox: 'docker', docker, private_hosts: [place] } }
    const gateway = await startGateway(context, { config })
    const post = async (path: string, body: unknown): Promise<JsonObject> => {
      const headers = { 'content-type': 'application/json', prefer: 'respond-async' }
      const response = await gateway.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
      const answer = (await response.json()) as JsonObject
      assert.ok(response.ok, JSON.stringify(answer))
      return answer
    }
    const text = (description: string): JsonObject => ({ type: 'string', description })
    const descriptor = {
      id: 'watch',
      version: '1.0.0',
      inputs: { url: text('What is looked at') },
      outputs: { first: text('First'), second: text('What it became'), other: text('Not for it') },
      runtime: { language: 'python', entrypoint: 'main.py' },
      network: { allow: [place] },
      timeout_ms: 60_000,
    }
    await post('/v1/skills', { descriptor, files: { 'main.py': FETCHING } })
    const { run_id: id } = await post('/v1/skills/watch/invoke', { input: { url: `http://${place}/` } })
    assert.ok(typeof id === 'string')
    const events = await gateway.fetch(`/v1/runs/${id}/events`)
    let told = ''
    for await (const chunk of events.body ?? []) {
      told += Buffer.from(chunk as Uint8Array).toString()
      if (told.includes('"running"')) break
    }
    await gateway.kill9()
    said = 'in the second life'

    const next = await startGateway(context, { dir: gateway.dir, config })
    const run = (await (await next.fetch(`/v1/runs/${id}?wait=30`)).json()) as JsonObject
    const output = { first: 'in the first life', second: 'in the second life', other: 'refused 403' }
    assert.deepEqual([run['status'], run['attempts'], run['output']], ['done', 1, output], JSON.stringify(run))
    const logs = await (await next.fetch(`/v1/runs/${id}/logs`)).text()
    assert.match(logs, /^egress: evil\.example:80 is not among the hosts of the skill: it may reach 127\.0\.0\.1:\d+/m)
    await next.stop()
  },
)
