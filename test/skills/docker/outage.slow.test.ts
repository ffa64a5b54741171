/**
 * An engine that hangs, dies and comes back, idle and in the middle of a call: what callers are told and how soon, and that nobody has
 * to restart the gateway. The engine is our own.
 */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Ended } from '../../../skills/sandbox/sandbox.ts'
import { jobFor, startSandbox, type Code, type ContainedOptions, type Contained } from '../../support/container.ts'
import { dockerdPath, runtimeImage } from '../../support/docker.ts'
import { eventually } from '../../support/eventually.ts'
import { suiteScope } from '../../support/suite-scope.ts'
import { Dockerd } from '../../support/dockerd.ts'
import type { Scope } from '../../support/gateway-process.ts'

const GOOD: Code = { language: 'python', id: 'good', code: 'def run(input, ctx):\n  return 1\n' }
/** To be used again: seconds, and a bound for a machine that does other things too. */
const BACK_MS = 60_000
const LONG: Code = { language: 'python', id: 'long', code: 'import time\ndef run(input, ctx):\n  time.sleep(30)\n  return 1\n' }
const codeOf = ({ outcome }: Ended): string => (outcome.status === 'ok' ? 'ok' : outcome.code)

describe(
  'an engine in trouble',
  { skip: dockerdPath() === null && process.env['CI'] !== 'true' && 'dockerd is not here, or we are not root' },
  () => {
    const scope = suiteScope()
    let dockerd: Dockerd
    let image: string
    before(async () => {
      dockerd = await Dockerd.start(scope, dockerdPath() ?? 'dockerd')
      image = await runtimeImage(dockerd.socket)
    })

    const start = (t: Scope, options: ContainedOptions = {}): Promise<Contained> =>
      startSandbox(t, { socket: dockerd.socket, image }, options)
    /** A call that is at work. */
    const atWork = async ({ sandbox }: Contained): Promise<{ readonly ended: Promise<Ended> }> => {
      const started = Promise.withResolvers<void>()
      const ended = sandbox.run(jobFor(LONG, {}, { timeoutMs: 20_000, tell: ({ is }) => void (is === 'started' && started.resolve()) }))
      await started.promise
      return { ended }
    }
    const isWellAgain = async ({ sandbox }: Contained): Promise<void> => {
      let ended: Ended | null = null
      const isWell = async (): Promise<boolean> => codeOf((ended = await sandbox.run(jobFor(GOOD)))) === 'ok'
      await eventually(isWell, () => `a call that is well (still ${JSON.stringify(ended?.outcome)})`, BACK_MS)
    }

    test('that is stopped in mid-call ends the call as unavailable, and is used again when it is back', async (t) => {
      const contained = await start(t)
      const { ended } = await atWork(contained)
      await dockerd.stop()
      const { outcome, hasStarted } = await ended
      // And no timeout: it was not waited for.
      assert.ok(['unavailable', 'crashed'].includes(outcome.status === 'error' ? outcome.code : ''), JSON.stringify(outcome))
      assert.equal(hasStarted, true)
      const refused = await contained.sandbox.run(jobFor(GOOD))
      assert.deepEqual([codeOf(refused), refused.hasStarted], ['unavailable', false])
      assert.match(refused.outcome.status === 'error' ? refused.outcome.message : '', /No container engine answers|broke off/)
      assert.match((await contained.sandbox.report()).reason ?? '', /No container engine answers|broke off/)
      await dockerd.up()
      await isWellAgain(contained)
    })

    test('that is killed in mid-call, likewise', async (t) => {
      const contained = await start(t)
      const { ended } = await atWork(contained)
      await dockerd.kill9()
      assert.equal(codeOf(await ended), 'unavailable')
      await dockerd.up()
      await isWellAgain(contained)
      assert.ok((await contained.containers()).length <= 2)
    })

    test('that hangs is given up within the limit, then at once, and nothing else waits for it', async (t) => {
      const contained = await start(t)
      assert.equal(codeOf(await contained.sandbox.run(jobFor(GOOD))), 'ok')
      dockerd.signal('SIGSTOP')
      t.after(() => dockerd.signal('SIGCONT'))
      const others = Array.from({ length: 3 }, (_, at) => ({ ...GOOD, id: `other${at}` }))
      const from = performance.now()
      const codes = await Promise.all(others.map(async (code) => codeOf(await contained.sandbox.run(jobFor(code)))))
      assert.deepEqual(codes, ['unavailable', 'unavailable', 'unavailable'])
      const firstMs = performance.now() - from
      // Known by now: no more waiting. One after the other they would take three times as long as those beside each other.
      const again = performance.now()
      for (let at = 0; at < 3; at++) await contained.sandbox.run(jobFor({ ...GOOD, id: `late${at}` }))
      const laterMs = performance.now() - again
      assert.ok(laterMs < 2 * firstMs, `${laterMs} ms, the first ${firstMs} ms`)
      dockerd.signal('SIGCONT')
      await isWellAgain(contained)
    })

    test('that hangs does not hold up a stop', async () => {
      const contained = await start({ after: () => {} })
      assert.equal(codeOf(await contained.sandbox.run(jobFor(GOOD))), 'ok')
      dockerd.signal('SIGSTOP')
      // It hangs until it is told to go on, below: to end at all is what is asked.
      await contained.sandbox.stop()
      dockerd.signal('SIGCONT')
      // What could not be removed then is removed by the next life.
      const next = await startSandbox(scope, { socket: dockerd.socket, image }, { dir: contained.dir })
      await eventually(async () => (await next.containers()).length === 0, 'their removal', BACK_MS)
    })

    test('that is not there at all is said, and found when it comes', async (t) => {
      await dockerd.stop()
      const contained = await start(t)
      assert.equal(codeOf(await contained.sandbox.run(jobFor(GOOD))), 'unavailable')
      assert.equal((await contained.sandbox.report()).isAvailable, false)
      await dockerd.up()
      await isWellAgain(contained)
    })
  },
)
