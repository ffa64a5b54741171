/** The supervisor as a plain child process: what is left of calls, and what becomes of them when the gateway changes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { JsonValue, SkillOutcome } from '#contract'
import { Cell } from '../../../skills/sandbox/cell.ts'
import { eventually } from '../../support/eventually.ts'
import { realClock } from '../../support/real-clock.ts'
import { bundleOf, jobOf } from '../../support/supervisor.ts'
import type { Supervised } from '../../support/supervisor.ts'
import { NO_EXTRAS, code, run, supervising } from './given.ts'

const { start } = supervising()

/** A process that is no zombie. */
const isThere = (pid: JsonValue | undefined): Promise<boolean> =>
  readFile(`/proc/${Number(pid)}/cmdline`).then(
    ({ length }) => length > 0,
    () => false,
  )

describe('from one call to the next', () => {
  test('nothing is left: files, strange modes, deep folders, changed code, processes', async () => {
    const source = `
import os, sys, subprocess, time
HERE = os.path.dirname(__file__)
def run(what, ctx):
    if what == 'soil':
        os.chdir(os.environ['HOME'])
        open('left', 'w').write('secret')
        open(os.path.join(HERE, 'main.py'), 'a').write('\\ndef run(i, c): return "poisoned"\\n')
        open(os.path.join(HERE, 'json.py'), 'w').write('raise SystemExit')
        os.makedirs('a/b/c'); os.chmod('a/b', 0); os.mkfifo('fifo'); os.symlink('/etc', 'link')
        for _ in range(1500):
            os.mkdir('d' * 200); os.chdir('d' * 200)
        subprocess.Popen(['sleep', '300'])
        return os.getpid()
    return [sorted(os.listdir(os.environ['HOME'])), sorted(os.listdir(HERE))]
`
    const supervised = await start('python', source)
    const soiled = await run(supervised, 'soil')
    assert.deepEqual([code(soiled.outcome), soiled.isClean], ['ok', true])
    assert.deepEqual(await readdir(supervised.folder), [])
    const { outcome } = await run(supervised, 'look')
    assert.deepEqual(outcome, { status: 'ok', output: [['skill'], ['main.py']] })
  })

  test('the same process is never used again, unless it is resident', async () => {
    const supervised = await start('python', 'calls = []\ndef run(i, c):\n    calls.append(i)\n    return calls')
    for (const n of [1, 2]) assert.deepEqual((await run(supervised, n)).outcome, { status: 'ok', output: [n] })
    const resident = { grade: 'resident' } as const
    assert.deepEqual((await run(supervised, 3, resident)).outcome, { status: 'ok', output: [3] })
    assert.deepEqual((await run(supervised, 4, resident)).outcome, { status: 'ok', output: [3, 4] })
    assert.deepEqual((await run(supervised, 5)).outcome, { status: 'ok', output: [5] })
  })

  test('a resident process goes at any abnormal end, or when it speaks out of turn', async () => {
    const source = `import os, threading, time
calls = []
def late():
    time.sleep(0.05)
    os.write(3, b'\\0\\0\\0\\2E\\0\\0\\0\\1{}')
def run(i, c):
    calls.append(i)
    if i == 'hang': time.sleep(60)
    if i == 'late':
        c.progress(os.getpid())
        threading.Thread(target=late).start()
    if i == 'raise': raise ValueError('x')
    return calls
`
    const supervised = await start('python', source)
    const resident = { grade: 'resident', timeoutMs: 500 } as const
    await run(supervised, 1, resident)
    assert.equal(code((await run(supervised, 'raise', resident)).outcome), 'crashed')
    assert.deepEqual((await run(supervised, 2, resident)).outcome, { status: 'ok', output: [1, 'raise', 2] })
    assert.equal(code((await run(supervised, 'hang', resident)).outcome), 'timeout')
    assert.deepEqual((await run(supervised, 3, { grade: 'resident' })).outcome, { status: 'ok', output: [3] })
    const { heard } = await run(supervised, 'late', { grade: 'resident' })
    await eventually(async () => !(await isThere(heard.progress()[0])), 'the end of what spoke out of turn')
    assert.deepEqual((await run(supervised, 4, { grade: 'resident' })).outcome, { status: 'ok', output: [4] })
  })

  test('another bundle can be loaded, and one that leads out of its folder cannot', async () => {
    const supervised = await start('python', 'def run(i, c): return 1')
    await run(supervised, null, { grade: 'resident' })
    assert.equal(await supervised.cell.load(bundleOf('python', { 'b.py': 'def run(i, c): return 2' }), NO_EXTRAS), null)
    assert.deepEqual((await run(supervised, null, { grade: 'resident' })).outcome, { status: 'ok', output: 2 })
    for (const path of ['../b.py', '/etc/b.py', 'a/../../b.py']) {
      assert.match(String((await supervised.cell.load(bundleOf('python', { [path]: '' }), NO_EXTRAS))?.message), /leads out/)
    }
    assert.match(String((await supervised.cell.load(bundleOf('node', { 'b.js': '' }), NO_EXTRAS))?.message), /is for python/)
  })

  test('no secret stands in an environment, a command line or a file that another process can read', async () => {
    const source = `import os
def run(secret, ctx):
    found = []
    for pid in (p for p in os.listdir('/proc') if p.isdigit() and int(p) >= os.getppid()):
        for name in ('environ', 'cmdline', 'mem', 'maps'):
            try: data = open('/proc/%s/%s' % (pid, name), 'rb').read() if name != 'mem' else b''
            except OSError: continue
            if secret.encode() in data: found.append([pid, name])
    return found
`
    const secret = 'k9-very-secret'
    const { outcome } = await run(await start('python', source), secret, { secrets: { TOKEN: secret } })
    assert.deepEqual(outcome, { status: 'ok', output: [] })
  })

  test('children hold no descriptor but their five', async () => {
    const { outcome } = await run(
      await start(
        'python',
        'import os\ndef run(i, c): return sorted(int(n) for n in os.listdir("/proc/self/fd"))[:5], len(os.listdir("/proc/self/fd"))',
      ),
    )
    // And the folder that it lists.
    assert.deepEqual(outcome, { status: 'ok', output: [[0, 1, 2, 3, 4], 6] })
  })

  test('one that stays lets go of the signal that a call asked for', async () => {
    const supervised = await start(
      'python',
      'import os\ndef run(i, c):\n    assert not c.signal.wait(0)\n    return len(os.listdir("/proc/self/fd"))',
    )
    for (let call = 0; call < 3; call++) {
      const { outcome } = await run(supervised, null, { grade: 'resident' })
      assert.deepEqual(outcome, { status: 'ok', output: 8 })
    }
  })
})

describe('when the gateway changes', () => {
  const second = ({ process: child }: Supervised): Cell => {
    child.stdout.removeAllListeners('data')
    return new Cell({ stdin: child.stdin, stdout: child.stdout, ended: once(child, 'close'), clock: realClock })
  }

  test('a run that goes on is found by its key, and its outcome comes', async () => {
    const supervised = await start('python', 'def run(i, c):\n    c.progress(1)\n    return c.call("other", 7)')
    const asked = Promise.withResolvers<void>()
    const { job } = jobOf(null, { key: 'k7', call: () => (asked.resolve(), new Promise<SkillOutcome>(() => {})) })
    void supervised.cell.invoke(job)
    await asked.promise
    const cell = second(supervised)
    // Half a frame of the gateway that died.
    supervised.process.stdin.write(Buffer.from([0, 0, 4, 0, 2]))
    assert.deepEqual(await cell.ready(5_000), { is: 'busy', key: 'k7' })
    const again: unknown[] = []
    const taken = jobOf(null, { call: (skill, input, n) => (again.push([skill, input, n]), Promise.resolve({ status: 'ok', output: 8 })) })
    assert.deepEqual((await cell.adopt(taken.job))?.outcome, { status: 'ok', output: 8 })
    assert.deepEqual(again, [['other', 7, 1]])
    assert.equal(await cell.idle(), true)
    cell.close()
  })

  test('an outcome that nobody acknowledged is told again, and one that was is not', async () => {
    const supervised = await start('python', 'def run(i, c): return i')
    await run(supervised, 'out', { key: 'k8' })
    const cell = second(supervised)
    assert.deepEqual(await cell.ready(5_000), { is: 'held', key: 'k8' })
    const adopted = await cell.adopt(jobOf(null).job)
    assert.deepEqual(adopted?.outcome, { status: 'ok', output: 'out' })
    await cell.ack(adopted?.call ?? 0)
    const third = second(supervised)
    assert.deepEqual(await third.ready(5_000), { is: 'idle' })
    third.close()
  })

  test('the deadline holds although nobody listens', async () => {
    const supervised = await start('python', 'import time\ndef run(i, c): time.sleep(60)')
    void supervised.cell.invoke(jobOf(null, { key: 'k9', timeoutMs: 300 }).job)
    await setImmediate()
    const cell = second(supervised)
    const state = await cell.ready(5_000)
    assert.ok(state.is === 'busy' || state.is === 'held')
    assert.equal(code((await cell.adopt(jobOf(null).job))?.outcome ?? { status: 'ok', output: null }), 'timeout')
    cell.close()
  })

  test('it ends when its input does, and takes its processes along', async () => {
    const supervised = await start('python', 'import os, time\ndef run(i, c):\n    c.progress(os.getpid())\n    time.sleep(60)')
    const begun = Promise.withResolvers<JsonValue>()
    void supervised.cell.invoke(jobOf(null, { tell: (event) => (event.is === 'progress' ? begun.resolve(event.data) : undefined) }).job)
    const pid = await begun.promise
    supervised.process.stdin.end()
    const [exit] = await once(supervised.process, 'close')
    assert.equal(exit, 0)
    assert.equal(supervised.stderr(), '')
    await eventually(async () => !(await isThere(pid)), 'its end')
  })
})

test('a supervisor says nothing of its own but errors, and has no packages', async () => {
  const folder = join(import.meta.dirname, '../../../skills/sandbox/supervisor')
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.py'))) {
    assert.doesNotMatch(await readFile(join(folder, file), 'utf8'), /\bprint\(/, file)
  }
})
