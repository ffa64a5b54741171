/** SIGKILL of the real gateway while a skill runs in a container: the container goes on, and the next life takes what it gives. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
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
