/**
 * An engine that is stopped, hangs or is restarted in the middle of a call, seen through the gateway's API: the call fails by name within its
 * time, the gateway stays ready, says what is the matter, and calls again when the engine is back. The engine is our own.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { textOf } from '#contract'
import type { JsonObject } from '#contract'
import { post, problemOf, type Problem } from '../support/conversation.ts'
import { dockerdPath, runtimeImage } from '../support/docker.ts'
import { Dockerd } from '../support/dockerd.ts'
import { eventually } from '../support/eventually.ts'
import { startGateway, type GatewayProcess, type Scope } from '../support/gateway-process.ts'
import { registerWorldly, skillsConfig, startSkillWorld, type SkillWorld } from '../support/skill-world.ts'

const TIMEOUT_MS = 6_000
/** Beyond its time a call may need this to be told of, on a machine that does other things too; an engine that hangs would take for ever. */
const SLACK_MS = 20_000
const BACK_MS = 60_000

const skip = dockerdPath() === null && process.env['CI'] !== 'true' ? 'dockerd is not here, or we are not root' : false

describe('an engine in trouble in the middle of a call', { skip, timeout: 240_000 }, () => {
  const hooks: (() => Promise<unknown>)[] = []
  let dockerd: Dockerd
  let world: SkillWorld
  let gateway: GatewayProcess

  before(async () => {
    const scope: Scope = { after: (run) => void hooks.unshift(run) }
    dockerd = await Dockerd.start(scope, dockerdPath() ?? 'dockerd')
    const engine = { socket: dockerd.socket, image: await runtimeImage(dockerd.socket) }
    world = await startSkillWorld(scope)
    gateway = await startGateway(scope, { config: { skills: skillsConfig(engine, world) } })
    hooks.unshift(() => gateway.stop())
    for (const effect of ['none', 'once'] as const) await registerWorldly(gateway, world, { id: effect, effect, timeoutMs: TIMEOUT_MS })
  })
  after(async () => {
    for (const end of hooks) await end()
  })

  const call = (id: string): Promise<Response> => post(gateway, `/v1/skills/${id}/invoke`, {})
  const isReady = async (): Promise<void> => assert.equal((await gateway.fetch('/readyz')).status, 200)
  const docker = async (): Promise<JsonObject> => {
    const { data } = (await (await gateway.fetch('/v1/skills/runtime')).json()) as { readonly data: readonly JsonObject[] }
    return data.find(({ name }) => name === 'docker') ?? assert.fail('no docker')
  }
  const isBack = async (): Promise<void> => {
    world.open(true)
    await eventually(async () => (await call('once')).status === 200, 'a call that succeeds', BACK_MS)
    assert.equal((await docker())['available'], true)
  }
  /** What a call that is at work comes to when this happens, and that it does so in time. */
  async function inTrouble(happen: () => Promise<void>): Promise<Problem> {
    world.open(false)
    const ran = world.begun('once').length
    const begun = world.hasBegun(world.begun('once').length + world.begun('none').length + 1)
    const answer = call('once')
    await begun
    const from = performance.now()
    await happen()
    const problem = await problemOf(await answer)
    assert.ok(performance.now() - from < TIMEOUT_MS + SLACK_MS, `${performance.now() - from} ms`)
    assert.equal(world.begun('once').length, ran + 1, 'never again by itself')
    return problem
  }
  const refusal = async (): Promise<void> => {
    await isReady()
    const { available, reason } = await docker()
    assert.equal(available, false)
    assert.match(textOf(reason), /engine/i)
    const from = performance.now()
    const answer = await call('none')
    assert.ok(performance.now() - from < TIMEOUT_MS + SLACK_MS, `${performance.now() - from} ms`)
    const { status, code } = await problemOf(answer)
    assert.deepEqual([status, code], [503, 'SANDBOX_UNAVAILABLE'])
  }

  test('stopped: the call fails by name, later ones are told that there is nothing, and work when it is back', async () => {
    const { status, code } = await inTrouble(() => dockerd.stop())
    assert.ok(['503 SANDBOX_UNAVAILABLE', '502 SKILL_CRASHED'].includes(`${status} ${code}`), `${status} ${code}`)
    await refusal()
    await dockerd.up()
    await isBack()
  })

  test('killed and started again: likewise', async () => {
    const { status, code } = await inTrouble(async () => {
      await dockerd.kill9()
      await dockerd.up()
    })
    assert.deepEqual([status, code], [503, 'SANDBOX_UNAVAILABLE'])
    await isReady()
    await isBack()
  })

  test('hanging: the call ends when its time is over, later ones within theirs, and work when it goes on', async () => {
    try {
      const { status, code } = await inTrouble(async () => dockerd.signal('SIGSTOP'))
      assert.deepEqual([status, code], [504, 'SKILL_TIMEOUT'])
      await refusal()
    } finally {
      dockerd.signal('SIGCONT')
    }
    await isBack()
  })
})
