/**
 * Every way in which a call of a skill is cut short ends its processes in the container within a second: seen from outside, among the
 * processes of this machine.
 */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { textOf } from '#contract'
import type { JsonObject } from '#contract'
import { ended, post, say } from '../support/conversation.ts'
import { dockerPath, startEngine } from '../support/docker.ts'
import { eventually } from '../support/eventually.ts'
import { startGateway, temporaryFolder, type GatewayProcess, type Scope } from '../support/gateway-process.ts'
import { startModelStub } from '../support/model-stub.ts'
import { sweepContainers } from '../support/skill-world.ts'

/** From when it was told to end. */
const END_MS = 1_000
const START_MS = 20_000
const DRAIN_MS = 1_000

/** Its process has a name of its own among all of the machine: what it sleeps for. */
const codeOf = (mark: string): string => `import subprocess
def run(input, ctx):
    subprocess.run(["sleep", "${mark}"])
    return {}
`
const markOf = (id: string): string => `3600.${process.pid}${Buffer.from(id).readUInt16BE()}`

function isRunning(id: string): boolean {
  const line = `sleep\0${markOf(id)}\0`
  return readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1') === line
    } catch {
      return false
    }
  })
}
const runs = (id: string): Promise<void> => eventually(() => isRunning(id), `the process of ${id}`, START_MS)
const isOver = (id: string, withinMs = END_MS): Promise<void> => eventually(() => !isRunning(id), `the end of ${id}`, withinMs)

const skip = dockerPath() === null && process.env['CI'] !== 'true' ? 'no container engine' : false

describe('a skill that is cut short', { skip, timeout: 180_000 }, () => {
  const hooks: (() => Promise<unknown>)[] = []
  let gateway: GatewayProcess

  before(async () => {
    const scope: Scope = { after: (run) => void hooks.unshift(run) }
    const engine = await startEngine(scope)
    const model = await startModelStub({ log: join(temporaryFolder(scope), 'model.log') })
    hooks.unshift(() => model.stop())
    const config = {
      skills: { sandbox: 'docker', docker: { socket: engine.socket, image: engine.image, parked: 0 } },
      llm: { providers: { stub: { base_url: model.baseUrl, api: 'chat', api_key: 'k' } }, defaults: { primary: 'stub/stub' } },
      agents: { assistant: { skills: ['*'], queue: { mode: 'interrupt' } } },
      shutdown: { drain: `${DRAIN_MS}ms` },
    }
    const dir = temporaryFolder(scope)
    scope.after(() => sweepContainers(engine, dir))
    gateway = await startGateway(scope, { dir, config })
    hooks.unshift(() => gateway.stop())
    for (const id of ['left', 'unwatched', 'cancelled', 'late', 'interrupted', 'drained']) {
      const runtime = { language: 'python', entrypoint: 'main.py' }
      const descriptor = { id, version: '1.0.0', inputs: {}, outputs: {}, runtime, timeout_ms: 60_000 }
      const answer = await post(gateway, '/v1/skills', { descriptor, files: { 'main.py': codeOf(markOf(id)) } })
      assert.ok(answer.ok, await answer.text())
    }
  })
  after(async () => {
    for (const end of hooks) await end()
  })

  for (const [id, accept] of [
    ['left', 'application/json'],
    ['unwatched', 'text/event-stream'],
  ] as const) {
    test(`because its client went away (${accept})`, async () => {
      const abort = new AbortController()
      const headers = { 'content-type': 'application/json', accept }
      const answer = gateway.fetch(`/v1/skills/${id}/invoke`, { method: 'POST', headers, body: '{}', signal: abort.signal })
      const gone = answer.then((response) => response.text()).catch(() => '')
      await runs(id)
      abort.abort()
      await isOver(id)
      await gone
    })
  }

  test('because somebody cancelled it', async () => {
    const answer = await post(gateway, '/v1/skills/cancelled/invoke', {}, { prefer: 'respond-async' })
    const id = textOf(((await answer.json()) as JsonObject)['run_id'])
    await runs('cancelled')
    assert.equal((await gateway.fetch(`/v1/runs/${id}/cancel`, { method: 'POST' })).status, 202)
    await isOver('cancelled')
    const run = (await (await gateway.fetch(`/v1/runs/${id}?wait=5`)).json()) as JsonObject
    assert.deepEqual([run['status'], (run['error'] as JsonObject)['code']], ['failed', 'cancelled'])
  })

  test('because its time was over', async () => {
    const timeoutMs = 1_500
    const answer = post(gateway, '/v1/skills/late/invoke', { timeout_ms: timeoutMs })
    await runs('late')
    await isOver('late', timeoutMs + END_MS)
    assert.deepEqual(((await (await answer).json()) as JsonObject)['code'], 'SKILL_TIMEOUT')
  })

  test('because a newer message interrupted its turn', async () => {
    const first = await say(gateway, 'use skills: interrupted')
    await runs('interrupted')
    const second = await say(gateway, 'never mind')
    await isOver('interrupted')
    const { status, reason, replies } = await ended(gateway, first)
    assert.deepEqual([status, reason?.code, replies.length], ['done', 'INTERRUPTED', 0])
    assert.equal((await ended(gateway, second)).replies[0]?.text, 're: never mind')
  })

  test('because the gateway drains, which waits no longer than it may', async () => {
    await say(gateway, 'use skills: drained', 'ben')
    await runs('drained')
    gateway.signal('SIGTERM')
    await isOver('drained', DRAIN_MS + END_MS)
    assert.deepEqual(await gateway.ended, { code: 0, signal: null })
  })
})
