/** A gateway that was killed in the middle of a call, and the one after it: what becomes of the run and of the containers. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { before, describe, test, type TestContext } from 'node:test'
import type { SkillEvent } from '#contract'
import { LABELS } from '../../../skills/sandbox/docker/box.ts'
import { readInstance } from '../../../skills/sandbox/docker/instance.ts'
import type { Adoption } from '../../../skills/sandbox/sandbox.ts'
import { startChild } from '../../support/child.ts'
import { jobFor, startSandbox, type Contained } from '../../support/container.ts'
import { docker, withoutDocker, startEngine, type TestEngine } from '../../support/docker.ts'
import { eventually } from '../../support/eventually.ts'
import { suiteScope } from '../../support/suite-scope.ts'
import { temporaryFolder } from '../../support/gateway-process.ts'

const PROGRAM = join(import.meta.dirname, '..', '..', 'support', 'contained-run.ts')
const known = { skill: 'tried', egress: [], timeoutMs: 60_000 }
/** Goes on for so many seconds after it said that it goes. */
const going = (seconds: number): string => `
import time
def run(input, ctx):
  ctx.progress('going')
  time.sleep(${seconds})
  print('nearly', flush=True)
  return 'done after all'
`

describe('runs that outlive a gateway', { skip: withoutDocker() }, () => {
  const scope = suiteScope()
  let engine: TestEngine
  before(async () => {
    engine = await startEngine(scope)
  })

  /** A life that was killed while its run went on; and the folder that it had. */
  const killed = async (t: TestContext, key: string, seconds: number, { grade = 'lease', first = '' } = {}): Promise<string> => {
    const dir = temporaryFolder(t)
    const child = startChild([PROGRAM, engine.socket, engine.image, dir, key, going(seconds), grade, first])
    await child.said(/going/, 20_000)
    await child.kill9()
    return dir
  }
  /** How soon is held by test/e2e/skill-crash. */
  const gone = ({ containers }: Contained): Promise<void> =>
    eventually(async () => (await containers()).length === 0, 'the end of all containers', 60_000)

  const listen: Adoption = {
    ...known,
    tell: () => {},
    call: () => Promise.resolve({ status: 'ok', output: null }),
    signal: new AbortController().signal,
  }

  for (const grade of ['lease', 'fresh']) {
    test(`is taken up by its key while it goes on, and nothing is left (${grade})`, async (t) => {
      const key = randomUUID()
      const dir = await killed(t, key, 3, { grade })
      const next = await startSandbox(t, engine, { dir })
      const events: SkillEvent[] = []
      const ended = await next.sandbox.adopt(key, {
        ...listen,
        tell: (event) => void events.push(event),
      })
      ended?.acknowledge?.()
      assert.deepEqual(ended?.outcome.status === 'ok' && ended.outcome.output, 'done after all')
      assert.ok(events.some((event) => event.is === 'log' && event.text.includes('nearly')))
      await gone(next)
    })
  }

  test('has its outcome kept when it ended while there was no gateway', async (t) => {
    const key = randomUUID()
    const dir = await killed(t, key, 0.3)
    // It ends meanwhile: of its processes only the supervisor, and one kept ready, are left then.
    const label = `label=${LABELS.instance}=${(await readInstance(dir)) ?? ''}`
    const ids = (await docker(engine.socket, 'ps', '--quiet', '--filter', label)).split('\n')
    const sleeping = async (): Promise<boolean> => {
      const found = await Promise.all(ids.map((id) => docker(engine.socket, 'exec', id, 'ls', '/tmp').catch(() => 'skill')))
      // What is asked in the moment of cleaning up is killed with the rest.
      return found.some((files) => files.includes('skill'))
    }
    await eventually(async () => !(await sleeping()), 'the end of its work')
    const next = await startSandbox(t, engine, { dir })
    const ended = await next.sandbox.adopt(key, listen)
    assert.deepEqual(ended?.outcome.status === 'ok' && ended.outcome.output, 'done after all')
    await gone(next)
  })

  test('is the last of its attempts, not one whose outcome was not let go yet', async (t) => {
    const key = randomUUID()
    const dir = await killed(t, key, 3, { first: 'def run(input, ctx):\n  return "the first attempt"\n' })
    const next = await startSandbox(t, engine, { dir })
    const ended = await next.sandbox.adopt(key, listen)
    ended?.acknowledge?.()
    assert.deepEqual(ended?.outcome.status === 'ok' && ended.outcome.output, 'done after all')
    await gone(next)
  })

  test('is ended when nobody asks for it, and so are the idle ones', async (t) => {
    const dir = await killed(t, randomUUID(), 60)
    const next = await startSandbox(t, engine, { dir })
    assert.ok((await next.containers()).length > 0, 'the start waited')
    assert.equal(await next.sandbox.adopt('another key', listen), null)
    await gone(next)
  })

  test('can be cancelled by the gateway that took it up', async (t) => {
    const key = randomUUID()
    const dir = await killed(t, key, 60)
    const next = await startSandbox(t, engine, { dir })
    const abort = new AbortController()
    const adopted = next.sandbox.adopt(key, { ...listen, signal: abort.signal })
    abort.abort()
    const ended = await adopted
    assert.equal(ended?.outcome.status === 'error' && ended.outcome.code, 'cancelled')
    await gone(next)
  })

  test('leaves its slot, and so its user, to itself', async (t) => {
    const key = randomUUID()
    const dir = await killed(t, key, 4)
    const next = await startSandbox(t, engine, { dir })
    const uid = { language: 'python' as const, code: 'import os\ndef run(input, ctx):\n  return os.getuid()\n' }
    const ended = await next.sandbox.run(jobFor(uid))
    const [first = '', ...more] = await next.containers()
    const found = await docker(engine.socket, 'inspect', '--format', '{{.State.Running}} {{.Config.User}}', first, ...more)
    // What the dead one was just asking for may be made, but nobody starts it.
    const users = found.split('\n').filter((line) => line.startsWith('true'))
    assert.ok(users.length >= 2)
    assert.equal(new Set(users).size, users.length)
    assert.ok(ended.outcome.status === 'ok' && found.includes(JSON.stringify(ended.outcome.output)))
    assert.notEqual(await next.sandbox.adopt(key, listen), null)
  })

  test('of another gateway is not touched', async (t) => {
    const other = await startSandbox(t, engine, { parked: 1 })
    await other.sandbox.run(jobFor({ language: 'shell', code: 'echo 1 >&3' }))
    const before = await other.containers()
    const dir = await killed(t, randomUUID(), 60)
    const next = await startSandbox(t, engine, { dir, adoptWithinMs: 100 })
    await gone(next)
    const now = await other.containers()
    assert.ok(before.length > 0 && before.every((id) => now.includes(id)))
  })
})
