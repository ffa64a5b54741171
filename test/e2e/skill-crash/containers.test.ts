/**
 * SIGKILL of the real gateway around calls of skills in containers, handed in over the API and made by an agent in a chat: while they run, when
 * they have ended and are not on record, when they are on record as begun and are not. In the next life each is adopted, made again or called
 * unknown, by its effect; how often its code ran is counted outside; and nothing idle is left at the engine.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { textOf } from '#contract'
import type { JsonObject } from '#contract'
import { ended, post, say } from '../../support/conversation.ts'
import { docker, dockerPath, startEngine, type TestEngine } from '../../support/docker.ts'
import { eventually } from '../../support/eventually.ts'
import { startGateway, temporaryFolder, type GatewayProcess, type Scope } from '../../support/gateway-process.ts'
import { startModelStub, type ModelStub } from '../../support/model-stub.ts'
import { containersOf, registerWorldly, skillsConfig, startSkillWorld, sweepContainers } from '../../support/skill-world.ts'

const ENTRY = new URL('./subject.ts', import.meta.url).pathname
const EFFECTS = ['none', 'idempotent', 'once'] as const
/** From when the gateway is ready, on a machine that does nothing else. */
const STRAY_MS = 5_000
/** What was adopted is over before it goes; nothing is promised of how soon. */
const ADOPTED_MS = 60_000
/** Here three runs and their tests are beside it: so many times what it takes to ask the engine once is added. */
const ASKINGS = 20

interface Came {
  readonly status: string
  /** Times that its code ran. */
  readonly ran: number
}
type Outcomes = { readonly [effect in (typeof EFFECTS)[number]]: Came }
const ADOPTED: Outcomes = { none: { status: 'done', ran: 1 }, idempotent: { status: 'done', ran: 1 }, once: { status: 'done', ran: 1 } }
const DIED: Outcomes = { none: { status: 'done', ran: 2 }, idempotent: { status: 'done', ran: 2 }, once: { status: 'unknown', ran: 1 } }
const UNBORN: Outcomes = { none: { status: 'done', ran: 1 }, idempotent: { status: 'done', ran: 1 }, once: { status: 'unknown', ran: 0 } }

interface Crash {
  readonly name: string
  readonly grade?: 'fresh'
  /** Where each life but the last ends; running: when the code of all of them runs. */
  readonly kills: readonly ('running' | 'ended' | 'unstarted')[]
  /** Their containers die too. */
  readonly isEngineLost?: boolean
  readonly expected: Outcomes
}

const CRASHES: readonly Crash[] = [
  { name: 'while they run: they are adopted', kills: ['running'], expected: ADOPTED },
  { name: 'while they run, and their containers with it: by their effect', kills: ['running'], isEngineLost: true, expected: DIED },
  { name: 'when they have ended and are not on record: they are adopted', kills: ['ended'], expected: ADOPTED },
  { name: 'so, in containers that are used once', kills: ['ended'], grade: 'fresh', expected: ADOPTED },
  { name: 'so, and again in the life that adopts them', kills: ['ended', 'ended'], expected: ADOPTED },
  { name: 'before they were started: by their effect', kills: ['unstarted'], expected: UNBORN },
]

/** Three calls, one of each effect, and what became of them. */
interface Way {
  readonly begin: (gateway: GatewayProcess) => Promise<Begun>
  readonly judge: (gateway: GatewayProcess, begun: Begun, expected: Outcomes) => Promise<void>
}
/** Ids by effect. */
type Begun = ReadonlyMap<string, string>

const runs: Way = {
  begin: async (gateway) =>
    new Map(
      await Promise.all(
        EFFECTS.map(async (effect) => {
          const answer = await post(
            gateway,
            `/v1/skills/${effect}/invoke`,
            {},
            { prefer: 'respond-async', 'idempotency-key': `k-${effect}` },
          )
          return [effect, textOf(((await answer.json()) as JsonObject)['run_id'])] as const
        }),
      ),
    ),
  async judge(gateway, begun, expected) {
    for (const [effect, id] of begun) {
      const run = (await (await gateway.fetch(`/v1/runs/${id}?wait=25`)).json()) as JsonObject
      const { status } = expected[effect as (typeof EFFECTS)[number]]
      assert.equal(run['status'], status, JSON.stringify(run))
      assert.deepEqual(run['output'], status === 'done' ? { key: run['key'] } : null)
    }
    const letters = (await (await gateway.fetch('/v1/dead-letters?kind=run')).json()) as { readonly data: readonly JsonObject[] }
    const unknown = expected.once.status === 'unknown' ? [begun.get('once')] : []
    assert.deepEqual(
      letters.data.map(({ ref }) => ref),
      unknown,
    )
  },
}

const turns: Way = {
  begin: async (gateway) =>
    new Map(await Promise.all(EFFECTS.map(async (effect) => [effect, await say(gateway, `use skills: ${effect}`, effect)] as const))),
  async judge(gateway, begun, expected) {
    for (const [effect, id] of begun) {
      const { status, replies, steps } = await ended(gateway, id, 25_000)
      assert.deepEqual([status, replies.map(({ text }) => text)], ['done', [`re: use skills: ${effect}`]])
      const step = steps.find(({ kind }) => kind === 'skill')
      const { status: came } = expected[effect as (typeof EFFECTS)[number]]
      assert.equal(step?.status, came, effect)
      // Recorded in passing, after the turn.
      const isRecorded = async (): Promise<boolean> => {
        const found = await (await gateway.fetch(`/v1/runs?skill=${effect}&status=done`)).json()
        return (found as { readonly data: readonly unknown[] }).data.length === 1
      }
      if (came === 'done') await eventually(isRecorded, `the output of ${effect}`, 3_000)
    }
  },
}

const skip = dockerPath() === null && process.env['CI'] !== 'true' ? 'no container engine' : false

describe('calls of skills around which the gateway is killed', { skip, timeout: 600_000 }, () => {
  const hooks: (() => Promise<unknown>)[] = []
  let engine: TestEngine
  let model: ModelStub
  before(async () => {
    const scope = { after: (run: () => Promise<void>): void => void hooks.unshift(run) }
    engine = await startEngine(scope)
    model = await startModelStub({ log: join(temporaryFolder(scope), 'model.log') })
    hooks.unshift(() => model.stop())
  })
  after(async () => {
    for (const end of hooks) await end()
  })

  for (const [caller, way] of Object.entries({ runs, turns })) {
    for (const crash of CRASHES) {
      test(`${caller}, killed ${crash.name}`, (context) => crashed(context, way, crash))
    }
  }

  async function crashed(context: TestContext, way: Way, { kills, grade, isEngineLost = false, expected }: Crash): Promise<void> {
    // What was begun last ends first.
    const hooks: (() => Promise<void>)[] = []
    const scope: Scope = { after: (run) => void hooks.unshift(run) }
    context.after(async () => {
      for (const run of hooks) await run()
    })
    const world = await startSkillWorld(scope)
    const llm = { providers: { stub: { base_url: model.baseUrl, api: 'chat', api_key: 'k' } }, defaults: { primary: 'stub/stub' } }
    const skills = skillsConfig(engine, world, { parked: 1, ...(grade !== undefined && { grade }) })
    const config = { skills, llm, agents: { assistant: { skills: EFFECTS } } }
    const dir = temporaryFolder(scope)
    scope.after(() => sweepContainers(engine, dir))
    const live = (point = ''): Promise<GatewayProcess> =>
      startGateway(scope, {
        dir,
        config,
        entry: ENTRY,
        env: { OPENCLAW_TEST_POINT: point, OPENCLAW_TEST_CALLS: String(EFFECTS.length) },
      })
    world.open(kills[0] !== 'running')
    let begun: Begun | null = null
    for (const kill of kills) {
      const gateway = await live(kill)
      if (begun === null) {
        for (const effect of EFFECTS) await registerWorldly(gateway, world, { id: effect, effect })
        begun = await way.begin(gateway)
      }
      if (kill === 'running') {
        await world.hasBegun(EFFECTS.length)
        await gateway.kill9()
      } else assert.equal((await gateway.ended).signal, 'SIGKILL')
    }
    assert.ok(begun !== null)
    const left = await containersOf(engine, dir)
    if (isEngineLost) await docker(engine.socket, 'rm', '--force', ...left)

    const next = await live()
    const isAtWork = kills[0] === 'running' && !isEngineLost ? EFFECTS.length : 0
    await strays(dir, left, isAtWork, next.readyAt)
    world.open(true)
    await way.judge(next, begun, expected)
    for (const effect of EFFECTS) {
      const keys = world.begun(effect)
      assert.equal(keys.length, expected[effect].ran, `${effect} ran with ${keys.join(', ')}`)
      assert.ok(new Set(keys).size <= 1, 'always with the same key')
    }
    await eventually(async () => (await among(dir, left)).length === 0, 'the end of what was adopted', ADOPTED_MS)
    await next.stop()
    assert.deepEqual(await containersOf(engine, dir), [])
  }

  const among = async (dir: string, ids: readonly string[]): Promise<readonly string[]> =>
    (await containersOf(engine, dir)).filter((id) => ids.includes(id))

  /** Of those of former lives none is left but as many as are at work. */
  async function strays(dir: string, left: readonly string[], atWork: number, since: number): Promise<void> {
    const askedAt = Date.now()
    await containersOf(engine, dir)
    const withinMs = STRAY_MS + ASKINGS * (Date.now() - askedAt) - (Date.now() - since)
    await eventually(async () => (await among(dir, left)).length <= atWork, 'the end of each stray', withinMs)
    assert.equal((await among(dir, left)).length, atWork)
  }
})
