/** Very many calls of skills in containers at once, through the whole gateway: bounded, fair, none lost; and what is too much is told to come back. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { JsonObject } from '#contract'
import { post, problemOf } from '../support/conversation.ts'
import { dockerPath, startEngine, type TestEngine } from '../support/docker.ts'
import { startGateway, temporaryFolder, type GatewayProcess, type Scope } from '../support/gateway-process.ts'
import { containersOf, registerWorldly, skillsConfig, startSkillWorld, sweepContainers } from '../support/skill-world.ts'

const CROWD = 200
const CONTAINERS = 4
/** The one skill has nine of ten calls. */
const idOf = (call: number): 'many' | 'few' => (call >= CROWD * 0.9 ? 'few' : 'many')
const LIMIT_MS = 120_000
const LOOK_MS = 50
const MAX_GROWTH_MB = 96

const rssMb = ({ pid }: GatewayProcess): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1_024

const skip = dockerPath() === null && process.env['CI'] !== 'true' ? 'no container engine' : false

describe('a crowd of calls', { skip, timeout: 240_000 }, () => {
  const hooks: (() => Promise<unknown>)[] = []
  const scope: Scope = { after: (run) => void hooks.unshift(run) }
  let engine: TestEngine

  before(async () => {
    engine = await startEngine(scope)
  })
  after(async () => {
    for (const end of hooks) await end()
  })
  const live = async (skills: { readonly [key: string]: unknown }): Promise<GatewayProcess> => {
    const dir = temporaryFolder(scope)
    scope.after(() => sweepContainers(engine, dir))
    const gateway = await startGateway(scope, { dir, config: { skills } })
    hooks.unshift(() => gateway.stop())
    return gateway
  }

  test('is answered whole, by few containers, and the skill with few calls does not wait for the other', async (context) => {
    const docker = { socket: engine.socket, image: engine.image, max_containers: CONTAINERS, parked: 1 }
    const gateway = await live({ sandbox: 'docker', docker, max_concurrent: 16, queue: CROWD, queue_time: '100s' })
    for (const id of ['many', 'few']) {
      const what = { n: { type: 'integer', description: 'A number' } }
      const runtime = { language: 'python', entrypoint: 'main.py' }
      const descriptor = { id, version: '1.0.0', inputs: what, outputs: what, runtime, effect: 'none' }
      const files = { 'main.py': 'def run(input, ctx):\n    return {"n": input["n"]}\n' }
      assert.ok((await post(gateway, '/v1/skills', { descriptor, files })).ok)
    }
    const before = rssMb(gateway)
    let most = { containers: 0, mb: 0 }
    const over = new AbortController()
    const watching = (async () => {
      for (; !over.signal.aborted; await wait(LOOK_MS)) {
        const containers = (await containersOf(engine, gateway.dir)).length
        most = { containers: Math.max(most.containers, containers), mb: Math.max(most.mb, rssMb(gateway)) }
      }
    })()
    const from = performance.now()
    const last = { many: 0, few: 0 }
    const call = async (n: number): Promise<void> => {
      const id = idOf(n)
      const answer = await gateway.fetch(`/v1/skills/${id}/invoke`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: { n } }),
        signal: AbortSignal.timeout(LIMIT_MS),
      })
      const body = (await answer.json()) as JsonObject
      assert.deepEqual([answer.status, body['output']], [200, { n }], JSON.stringify(body))
      last[id] = performance.now() - from
    }
    try {
      await Promise.all(Array.from({ length: CROWD }, (_, n) => call(n)))
    } finally {
      over.abort()
      await watching
    }
    context.diagnostic(
      `${Math.round(last.many)} ms for all, ${Math.round(last.few)} ms for the few; ${most.containers} containers; ${Math.round(before)} → ${Math.round(most.mb)} MB`,
    )
    assert.ok(most.containers > 1 && most.containers <= CONTAINERS, `${most.containers} containers`)
    assert.ok(last.few < last.many * 0.7, `the few waited ${last.few} of ${last.many} ms`)
    assert.ok(most.mb - before < MAX_GROWTH_MB, `${before} MB became ${most.mb}`)
  })

  test('that is too large is told to come back, and those who wait are served', async () => {
    const world = await startSkillWorld(scope)
    const gateway = await live(skillsConfig(engine, world, { max_concurrent: 1, queue: 1 }))
    await registerWorldly(gateway, world, { id: 'slow', effect: 'none' })
    world.open(false)
    const call = (): Promise<Response> => post(gateway, '/v1/skills/slow/invoke', {})
    const first = call()
    await world.hasBegun(1)
    const others = [call(), call()]
    const refused = await Promise.race(others)
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1'])
    assert.equal((await problemOf(refused)).code, 'SKILLS_BUSY')
    world.open(true)
    const statuses = (await Promise.all([first, ...others])).map(({ status }) => status)
    assert.deepEqual(statuses.sort(), [200, 200, 503])
  })
})
