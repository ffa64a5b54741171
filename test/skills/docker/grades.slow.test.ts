/** Skills in real containers: what they get and give, what one call leaves to the next by grade, and what holds them in. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { JsonValue, SkillEvent } from '#contract'
import type { Ended } from '../../../skills/sandbox/sandbox.ts'
import { jobFor, startSandbox, type Code, type Contained } from '../../support/container.ts'
import { withoutDocker, startEngine, type TestEngine } from '../../support/docker.ts'
import { suiteScope } from '../../support/suite-scope.ts'

const PYTHON: Code = { language: 'python', code: 'def run(input, ctx):\n  return {"n": input["n"] + 1}\n' }
const NODE: Code = { language: 'node', code: 'export const run = (input) => ({ n: input.n + 1 })' }
const SHELL: Code = { language: 'shell', code: 'read -r line; echo heard; echo "{\\"n\\":2}" >&3' }

const outputOf = ({ outcome }: Ended): JsonValue => {
  assert.equal(outcome.status, 'ok', JSON.stringify(outcome))
  return outcome.output
}

describe('skills in containers', { skip: withoutDocker() }, () => {
  const scope = suiteScope()
  let engine: TestEngine
  let contained: Contained
  before(async () => {
    engine = await startEngine(scope)
    contained = await startSandbox(scope, engine, { maxContainers: 6, parked: 1 })
  })

  for (const grade of ['fresh', 'lease', 'resident'] as const) {
    for (const code of [PYTHON, NODE, SHELL]) {
      test(`runs ${code.language}, ${grade}`, async () => {
        const events: SkillEvent[] = []
        for (let n = 0; n < 2; n++) {
          const ended = await contained.sandbox.run(jobFor(code, { n: 1 }, { grade, tell: (event) => void events.push(event) }))
          assert.deepEqual(outputOf(ended), { n: 2 })
          assert.equal(ended.hasStarted, true)
          assert.ok(ended.outcome.times !== undefined && ended.outcome.times.runMs > 0)
        }
        assert.equal(events.filter(({ is }) => is === 'started').length, 2)
        if (code === SHELL) assert.ok(events.some((event) => event.is === 'log' && event.text.includes('heard')))
      })
    }
  }

  const MARKED: Code = {
    language: 'python',
    id: 'marked',
    code: `
import os, sys
seen = []
def run(input, ctx):
  seen.append(1)
  old = os.listdir('/tmp')
  open('/tmp/mark', 'w').write('x')
  return {'host': open('/proc/sys/kernel/random/boot_id').read() and os.stat('/proc/1').st_ctime_ns, 'old': 'mark' in old, 'calls': len(seen), 'uid': os.getuid()}
`,
  }
  const marked = async (grade: 'fresh' | 'lease' | 'resident', more = {}): Promise<{ [name: string]: JsonValue }> =>
    outputOf(await contained.sandbox.run(jobFor(MARKED, {}, { grade, ...more }))) as { [name: string]: JsonValue }

  test('a fresh call shares nothing with the one before', async () => {
    const [a, b] = [await marked('fresh'), await marked('fresh')]
    assert.notEqual(a['host'], b['host'])
    assert.deepEqual([b['old'], b['calls']], [false, 1])
  })

  test('a lease keeps the container, not the process and not what it wrote', async () => {
    const [a, b] = [await marked('lease'), await marked('lease')]
    assert.equal(a['host'], b['host'])
    assert.deepEqual([b['old'], b['calls']], [false, 1])
  })

  test('a resident keeps the process, for more calls than a lease serves', async () => {
    for (let call = 1; call <= 120; call++) assert.equal((await marked('resident'))['calls'], call)
  })

  test('a lease serves one tenant, one version and one set of secrets, and no other', async () => {
    const first = await marked('lease')
    for (const more of [{ tenant: 'other' }, { secrets: { TOKEN: 'a' } }, { secrets: { TOKEN: 'b' } }]) {
      const other = await marked('lease', more)
      assert.notEqual(other['host'], first['host'], JSON.stringify(more))
    }
  })

  test('containers that are there at the same time have different users', async () => {
    const slow: Code = {
      ...MARKED,
      id: 'slow',
      code: `${MARKED.code}\n_run = run\ndef run(input, ctx):\n  import time; time.sleep(0.6)\n  return _run(input, ctx)\n`,
    }
    const both = await Promise.all([1, 2].map(() => contained.sandbox.run(jobFor(slow, {}, { grade: 'fresh' }))))
    const [a, b] = both.map((ended) => (outputOf(ended) as { uid: number }).uid)
    assert.notEqual(a, b)
    assert.ok(a !== undefined && a >= 20_000)
  })

  test('a skill has no rights, no network, and nowhere to write but /tmp', async () => {
    const probe: Code = {
      language: 'python',
      id: 'probe',
      code: `
import os, socket, ctypes
def tried(f):
  try: f(); return 'did'
  except OSError as e: return type(e).__name__ + ' ' + str(e.errno)
def run(input, ctx):
  status = dict(l.split(':\\t', 1) for l in open('/proc/self/status').read().splitlines() if ':\\t' in l)
  libc = ctypes.CDLL(None, use_errno=True)
  def syscall(n):
    if libc.syscall(n, 0x10000000, 0, 0, 0, 0) < 0: raise OSError(ctypes.get_errno(), '')
  open('/tmp/x', 'w').write('#!/bin/sh\\n'); os.chmod('/tmp/x', 0o755)
  return {
    'caps': [status['CapEff'], status['CapBnd']], 'nnp': status['NoNewPrivs'], 'seccomp': status['Seccomp'],
    'root': tried(lambda: open('/x', 'w')), 'etc': tried(lambda: open('/etc/passwd', 'a')), 'run': tried(lambda: os.execv('/tmp/x', ['x'])),
    'net': tried(lambda: socket.create_connection(('169.254.169.254', 80), 1)), 'vsock': tried(lambda: socket.socket(40, 1)),
    'uring': tried(lambda: syscall(425)), 'unshare': tried(lambda: syscall(272)), 'pid1': tried(lambda: open('/proc/1/mem', 'rb')),
    'env': open('/proc/self/environ').read(), 'docker': os.path.exists('/var/run/docker.sock'),
  }
`,
    }
    const found = outputOf(await contained.sandbox.run(jobFor(probe, {}, { secrets: { TOKEN: 'hush' } }))) as { [name: string]: JsonValue }
    assert.deepEqual(found['caps'], ['0000000000000000', '0000000000000000'])
    assert.deepEqual([found['nnp'], found['seccomp']], ['1', '2'])
    assert.deepEqual([found['root'], found['etc']], ['OSError 30', 'PermissionError 13'])
    for (const name of ['run', 'vsock', 'uring', 'unshare', 'pid1']) assert.match(JSON.stringify(found[name]), /PermissionError/, name)
    assert.match(JSON.stringify(found['net']), /101|113/)
    assert.ok(!JSON.stringify(found['env']).includes('hush'))
    assert.equal(found['docker'], false)
  })

  test('the report says what isolates here and what the engine is', async () => {
    const report = await contained.sandbox.report()
    assert.equal(report.isAvailable, true, report.reason ?? '')
    assert.ok(report.isolates.length > 3 && report.leaves.length > 1)
    assert.match(JSON.stringify(report.facts['engine']), /Docker|Podman/)
    assert.ok(report.warnings.every((warning) => !warning.includes('another version')))
  })

  test('an image that is not there, and a runtime that is not, are said to be missing', async (t) => {
    const none = await startSandbox(t, engine, { image: 'openclaw/none:1' })
    assert.match((await none.sandbox.report()).reason ?? '', /no image openclaw\/none:1.*docker\/build\.sh/)
    const { outcome, hasStarted } = await none.sandbox.run(jobFor(PYTHON, { n: 1 }))
    assert.equal(outcome.status === 'error' && outcome.code, 'unavailable')
    assert.match(outcome.status === 'error' ? outcome.message : '', /docker\/build\.sh/)
    assert.equal(hasStarted, false)
    const other = await startSandbox(t, engine, { runtime: 'kata-none' })
    assert.match((await other.sandbox.report()).reason ?? '', /no runtime (kata-none|by its socket)/)
  })
})
