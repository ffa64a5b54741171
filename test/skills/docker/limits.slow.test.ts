/** Skills that take too much of something, end badly, or are many: how each ends, and that the next call is none the worse for it. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { JsonValue, SkillErrorCode } from '#contract'
import type { Ended } from '../../../skills/sandbox/sandbox.ts'
import { jobFor, startSandbox, type Code, type Contained } from '../../support/container.ts'
import { docker, withoutDocker, startEngine, type TestEngine } from '../../support/docker.ts'
import { suiteScope } from '../../support/suite-scope.ts'

const python = (id: string, code: string, resources: Code['resources'] = {}): Code => ({ language: 'python', id, code, resources })
const GOOD = python('good', 'def run(input, ctx):\n  return 1\n')
const SLEEP = python('sleep', 'import time\ndef run(input, ctx):\n  time.sleep(input)\n  return input\n')

interface Bad {
  readonly what: string
  readonly code: Code
  readonly ends: SkillErrorCode
  readonly timeoutMs?: number
}
const BAD: readonly Bad[] = [
  {
    what: 'takes too much memory',
    ends: 'oom',
    code: python('hog', 'def run(input, ctx):\n  b = []\n  while True: b.append(bytearray(1 << 20))\n', { memoryMb: 64 }),
  },
  {
    what: 'takes too much memory in a child process, and goes on',
    ends: 'oom',
    code: python(
      'child',
      'import subprocess, sys\ndef run(input, ctx):\n  subprocess.run([sys.executable, "-c", "b=[]\\nwhile 1: b.append(bytearray(1<<20))"])\n  return 1\n',
      { memoryMb: 64 },
    ),
  },
  {
    what: 'makes too many processes',
    ends: 'pids_exhausted',
    code: python('fork', 'import os, time\ndef run(input, ctx):\n  while True:\n    if os.fork() == 0: time.sleep(60)\n', { pids: 32 }),
  },
  { what: 'never ends', ends: 'timeout', timeoutMs: 500, code: python('spin', 'def run(input, ctx):\n  while True: pass\n') },
  {
    what: 'ignores signals',
    ends: 'timeout',
    timeoutMs: 500,
    code: python('deaf', 'import signal, time\ndef run(input, ctx):\n  signal.signal(15, signal.SIG_IGN)\n  while True: time.sleep(1)\n'),
  },
  {
    what: 'floods its output',
    ends: 'output_limit',
    code: python('flood', 'import os\ndef run(input, ctx):\n  while True: os.write(1, b"x" * 65536)\n'),
  },
  { what: 'dies of a signal', ends: 'crashed', code: python('dead', 'import os\ndef run(input, ctx):\n  os.kill(os.getpid(), 11)\n') },
  { what: 'raises', ends: 'crashed', code: python('raise', 'def run(input, ctx):\n  raise ValueError("no")\n') },
]

describe('skills that go wrong in containers', { skip: withoutDocker() }, () => {
  const scope = suiteScope()
  let engine: TestEngine
  let contained: Contained
  before(async () => {
    engine = await startEngine(scope)
    contained = await startSandbox(scope, engine)
  })
  const codeOf = ({ outcome }: Ended): string => (outcome.status === 'ok' ? 'ok' : outcome.code)
  const outputOf = ({ outcome }: Ended): JsonValue => (outcome.status === 'ok' ? outcome.output : `${outcome.code}: ${outcome.message}`)

  for (const { what, code, ends, timeoutMs = 8_000 } of BAD) {
    test(`one that ${what} ends as ${ends}, and the next call is well`, async () => {
      const ended = await contained.sandbox.run(jobFor(code, {}, { timeoutMs }))
      assert.equal(codeOf(ended), ends, JSON.stringify(ended))
      assert.equal(ended.hasStarted, true)
      // Kept in the container; the gateway's own words, for one that is not, are others.
      if (ends === 'timeout') assert.equal(outputOf(ended), `timeout: it took longer than ${timeoutMs} ms`)
      assert.equal(outputOf(await contained.sandbox.run(jobFor(GOOD))), 1)
    })
  }

  test('after an abnormal end the container is not used again', async () => {
    const code = python(
      'turns',
      'import os, time\ndef run(input, ctx):\n  if input: time.sleep(9)\n  return os.stat("/proc/1").st_ctime_ns\n',
    )
    const born = async (): Promise<JsonValue> => outputOf(await contained.sandbox.run(jobFor(code, false)))
    const first = await born()
    assert.equal(await born(), first)
    assert.equal(codeOf(await contained.sandbox.run(jobFor(code, true, { timeoutMs: 200 }))), 'timeout')
    assert.notEqual(await born(), first)
  })

  test('a call that is cancelled ends soon, in the queue and at work', async (t) => {
    const one = await startSandbox(t, engine, { maxContainers: 1 })
    const [work, queue] = [new AbortController(), new AbortController()]
    const started = Promise.withResolvers<void>()
    const tell = ({ is }: { readonly is: string }): void => void (is === 'started' && started.resolve())
    const working = one.sandbox.run(jobFor(SLEEP, 9, { signal: work.signal, tell }))
    await started.promise
    const queued = one.sandbox.run(jobFor(GOOD, {}, { signal: queue.signal }))
    queue.abort()
    assert.deepEqual([codeOf(await queued), (await queued).hasStarted], ['cancelled', false])
    work.abort()
    const { outcome } = await working
    // By its supervisor; where that did not hear of it, the gateway gives it up later, in other words.
    assert.equal(outcome.status === 'error' && `${outcome.code}: ${outcome.message}`, 'cancelled: it was stopped')
  })

  test('there are never more containers than the budget, the queue is bounded, and a wait ends', async (t) => {
    const small = await startSandbox(t, engine, { maxContainers: 2, maxQueued: 3, queueMs: 4_000 })
    const end = new AbortController()
    const working = Array.from({ length: 2 }, async (_, at) => {
      const started = Promise.withResolvers<void>()
      const tell = ({ is }: { readonly is: string }): void => void (is === 'started' && started.resolve())
      const done = small.sandbox.run(jobFor({ ...SLEEP, id: `s${at}` }, 30, { grade: 'fresh', signal: end.signal, tell }))
      await started.promise
      return () => done
    })
    const ends = await Promise.all(working)
    const late = Array.from({ length: 5 }, (_, at) => small.sandbox.run(jobFor({ ...SLEEP, id: `late${at}` }, 0, { grade: 'fresh' })))
    // Three wait, the others learn at once that too many do.
    const [first] = await Promise.all([Promise.race(late.slice(0, 3).map(async (run) => (await run, 'a wait'))), ...late.slice(3)])
    assert.equal(first, 'a wait')
    const codes = await Promise.all(late.map(async (run) => codeOf(await run)))
    assert.deepEqual(codes, ['busy', 'busy', 'busy', 'busy', 'busy'])
    assert.equal((await small.containers()).length, 2)
    end.abort()
    assert.deepEqual(await Promise.all(ends.map(async (done) => codeOf(await done()))), ['cancelled', 'cancelled'])
  })

  test('a thousand calls of one skill hold up no other', async (t) => {
    const shared = await startSandbox(t, engine, { maxContainers: 2, maxQueued: 2_000 })
    let done = 0
    const nap = python('nap', 'import time\ndef run(input, ctx):\n  time.sleep(0.05)\n  return 1\n')
    const crowd = Array.from({ length: 40 }, () => shared.sandbox.run(jobFor(nap, {})).then(() => (done += 1)))
    const single = await shared.sandbox.run(jobFor(GOOD, {}, { tenant: 'other' }))
    assert.equal(outputOf(single), 1)
    assert.ok(done < 20, `${done} of the crowd went first`)
    await Promise.all(crowd)
  })

  test('stop leaves no container, also one that is at work', async (t) => {
    const going = await startSandbox(t, engine, { parked: 2 })
    const started = Promise.withResolvers<void>()
    const working = going.sandbox.run(jobFor(SLEEP, 9, { tell: ({ is }) => void (is === 'started' && started.resolve()) }))
    await started.promise
    assert.ok((await going.containers()).length > 0)
    await going.sandbox.stop()
    assert.equal(codeOf(await working), 'unavailable')
    assert.deepEqual(await going.containers(), [])
    assert.equal(codeOf(await going.sandbox.run(jobFor(GOOD))), 'unavailable')
  })

  test('a container that somebody kills under a call is a crash', async (t) => {
    const going = await startSandbox(t, engine)
    const started = Promise.withResolvers<void>()
    const working = going.sandbox.run(jobFor(SLEEP, 9, { tell: ({ is }) => void (is === 'started' && started.resolve()) }))
    await started.promise
    const [id = ''] = await going.containers()
    await docker(engine.socket, 'kill', id)
    const ended = await working
    assert.deepEqual([codeOf(ended), ended.hasStarted], ['crashed', true])
    assert.equal(outputOf(await going.sandbox.run(jobFor(GOOD))), 1)
  })
})
