/** The supervisor as a plain child process: what it says, how calls end, what is left of them. Namespaces and limits have tests of their own. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { JsonValue, SkillOutcome } from '#contract'
import { Cell } from '../../../skills/sandbox/cell.ts'
import type { CellEnded } from '../../../skills/sandbox/cell.ts'
import { bundleOf, jobOf, realClock, startSupervisor } from '../../support/supervisor.ts'
import type { Heard, Supervised } from '../../support/supervisor.ts'

type Language = 'python' | 'node' | 'shell'
const EXTENSIONS = { python: 'py', node: 'mjs', shell: 'sh' } as const
const NO_EXTRAS = { deps: null, egress: null, limits: null }

let open: Supervised | null = null
afterEach(async () => {
  await open?.stop()
  open = null
})

async function start(language: Language, code: string): Promise<Supervised> {
  open = await startSupervisor(language)
  assert.deepEqual(await open.cell.ready(10_000), { is: 'idle' })
  assert.equal(await open.cell.load(bundleOf(language, { [`main.${EXTENSIONS[language]}`]: code }), NO_EXTRAS), null)
  return open
}

async function run(
  { cell }: Supervised,
  input: JsonValue = null,
  more: Parameters<typeof jobOf>[1] = {},
): Promise<{ readonly outcome: SkillOutcome; readonly heard: Heard; readonly ended: CellEnded; readonly isClean: boolean }> {
  const { job, heard } = jobOf(input, more)
  const ended = await cell.invoke(job)
  return { outcome: ended.outcome, heard, ended, isClean: await cell.idle() }
}

const code = (outcome: SkillOutcome): string => (outcome.status === 'ok' ? 'ok' : outcome.code)
const message = (outcome: SkillOutcome): string => (outcome.status === 'ok' ? '' : outcome.message)
async function outcomeOf(language: Language, source: string, more: Parameters<typeof jobOf>[1] = {}): Promise<SkillOutcome> {
  const { outcome, isClean } = await run(await start(language, source), null, more)
  assert.equal(isClean, true)
  return outcome
}
const python = (source: string, more?: Parameters<typeof jobOf>[1]): Promise<SkillOutcome> => outcomeOf('python', source, more)
const node = (source: string, more?: Parameters<typeof jobOf>[1]): Promise<SkillOutcome> => outcomeOf('node', source, more)
const shell = (source: string, more?: Parameters<typeof jobOf>[1]): Promise<SkillOutcome> => outcomeOf('shell', source, more)

describe('what an author writes', () => {
  const told = { secrets: { TOKEN: 's3' }, traceparent: '00-1-2-01', key: 'k1' }
  const wanted = { doubled: 42, token: 's3', key: 'k1', trace: '00-1-2-01' }
  const sources: readonly (readonly [Language, string, string])[] = [
    [
      'python',
      'run(input, ctx)',
      'import os\ndef run(input, ctx):\n    print("out")\n    ctx.progress({"half": 1})\n    ctx.log("noted")\n    return {"doubled": input["n"] * 2, "token": ctx.secrets["TOKEN"], "key": ctx.key, "trace": os.environ["TRACEPARENT"]}',
    ],
    [
      'python',
      'async run(input, ctx)',
      'import asyncio\nasync def run(input, ctx):\n    print("out")\n    ctx.progress({"half": 1})\n    ctx.log("noted")\n    await asyncio.sleep(0)\n    return {"doubled": input["n"] * 2, "token": ctx.secrets["TOKEN"], "key": ctx.key, "trace": ctx.traceparent}',
    ],
    [
      'node',
      'an ES module',
      'export async function run(input, ctx) { console.log("out"); ctx.progress({ half: 1 }); ctx.log("noted"); return { doubled: input.n * 2, token: ctx.secrets.TOKEN, key: ctx.key, trace: process.env.TRACEPARENT } }',
    ],
    [
      'shell',
      'input on stdin, output to descriptor 3',
      'n=$(sed "s/[^0-9]//g")\necho out\necho "{\\"doubled\\": $((n * 2)), \\"token\\": \\"$TOKEN\\", \\"key\\": \\"$OPENCLAW_KEY\\", \\"trace\\": \\"$TRACEPARENT\\"}" >&3',
    ],
  ]
  for (const [language, what, source] of sources) {
    test(`${language}: ${what}`, async () => {
      const { outcome, heard, isClean } = await run(await start(language, source), { n: 21 }, told)
      assert.deepEqual(outcome, { status: 'ok', output: wanted })
      assert.equal(heard.text('stdout'), 'out\n')
      if (language !== 'shell') assert.deepEqual([heard.progress(), heard.text('log')], [[{ half: 1 }], 'noted\n'])
      assert.equal(isClean, true)
    })
  }

  test('node: a CommonJS file', async () => {
    open = await startSupervisor('node')
    await open.cell.ready(10_000)
    await open.cell.load(
      bundleOf('node', {
        'main.js': 'const { twice } = require("./lib/twice.js"); exports.run = (n) => twice(n)',
        'lib/twice.js': 'exports.twice = (n) => n * 2',
      }),
      NO_EXTRAS,
    )
    assert.deepEqual((await run(open, 4)).outcome, { status: 'ok', output: 8 })
  })

  test('python: files of the bundle are imported', async () => {
    open = await startSupervisor('python')
    await open.cell.ready(10_000)
    await open.cell.load(
      bundleOf('python', {
        'src/main.py': 'import twice\ndef run(n, ctx): return twice.twice(n)',
        'src/twice.py': 'def twice(n): return n * 2',
      }),
      NO_EXTRAS,
    )
    assert.deepEqual((await run(open, 4)).outcome, { status: 'ok', output: 8 })
  })

  test('an input of a megabyte, also where nobody reads it', async () => {
    const input = 'x'.repeat(1_000_000)
    assert.deepEqual((await run(await start('python', 'def run(input, ctx): return len(input)'), input)).outcome, {
      status: 'ok',
      output: 1_000_000,
    })
    await open?.stop()
    assert.deepEqual((await run(await start('shell', 'echo 1 >&3'), input)).outcome, { status: 'ok', output: 1 })
  })

  for (const [language, source] of [
    ['python', 'def run(input, ctx):\n    try: ctx.call("bad")\n    except RuntimeError as e: return [ctx.call("adder", [2, 3]), e.code]'],
    [
      'node',
      'export const run = async (input, ctx) => { const code = await ctx.call("bad").catch((e) => e.code); return [await ctx.call("adder", [2, 3]), code] }',
    ],
  ] as const) {
    test(`${language}: calls another skill`, async () => {
      const asked: unknown[] = []
      const call = (skill: string, input: JsonValue, n: number): Promise<SkillOutcome> => {
        asked.push([skill, input, n])
        return Promise.resolve(skill === 'bad' ? { status: 'error', code: 'not_found', message: 'none such' } : { status: 'ok', output: 5 })
      }
      const { outcome } = await run(await start(language, source), null, { call })
      assert.deepEqual(outcome, { status: 'ok', output: [5, 'not_found'] })
      assert.deepEqual(asked, [
        ['bad', null, 1],
        ['adder', [2, 3], 2],
      ])
    })
  }
})

describe('how a call ends', () => {
  test('by what it threw, with the trace in the log', async () => {
    const { outcome, heard } = await run(await start('python', 'def run(input, ctx): raise ValueError("no such user")'))
    assert.deepEqual([code(outcome), message(outcome)], ['crashed', 'ValueError: no such user'])
    assert.match(heard.text('stderr'), /Traceback[^]*main\.py", line 1/)
    await open?.stop()
    assert.equal(message(await node('export const run = async () => { throw new TypeError("no") }')), 'TypeError: no')
    await open?.stop()
    assert.equal(
      message(await node('export const run = () => new Promise(() => setTimeout(() => { throw new Error("later") }))')),
      'Error: later',
    )
  })

  test('by what its file lacks', async () => {
    assert.match(message(await python('def main(): pass')), /main\.py defines no run\(input, ctx\)/)
    await open?.stop()
    assert.match(message(await node('export const main = 1')), /main\.mjs exports no function run\(input, ctx\)/)
    await open?.stop()
    assert.match(message(await python('def run(:')), /SyntaxError/)
  })

  test('by an exit code or a signal, with the last line of stderr', async () => {
    assert.match(message(await shell('echo broken >&2; exit 3')), /exit code 3: broken$/)
    await open?.stop()
    assert.match(message(await python('import os, signal\ndef run(i, c): os.kill(os.getpid(), signal.SIGSEGV)')), /SIGSEGV/)
    await open?.stop()
    assert.match(message(await python('import os\ndef run(i, c): os.kill(os.getpid(), 40)')), /signal 40/)
    await open?.stop()
    assert.match(message(await python('import os\ndef run(i, c): os._exit(0)')), /exit code 0/)
    await open?.stop()
    assert.match(message(await node('export const run = () => new Promise(() => {})')), /never settled/)
  })

  test('as invalid_output when it gives what is no JSON', async () => {
    const outputs: readonly (readonly [Language, string])[] = [
      ['python', 'def run(i, c): return float("nan")'],
      ['python', 'def run(i, c): return {"a": object()}'],
      ['python', 'def run(i, c): return "\\ud800"'],
      ['python', 'def run(i, c):\n    a = []\n    a.append(a)\n    return a'],
      ['node', 'export const run = () => ({ a: [Infinity] })'],
      ['node', 'export const run = () => 1n'],
      ['node', 'export const run = () => {}'],
      ['shell', 'echo NaN >&3'],
      ['shell', ':'],
      ['shell', 'head -c 400000 /dev/zero | tr "\\0" "[" >&3'],
    ]
    for (const [language, source] of outputs) {
      assert.equal(code(await outcomeOf(language, source)), 'invalid_output', source)
      await open?.stop()
    }
  })

  test('as output_limit when its output is too long', async () => {
    assert.match(message(await python('def run(i, c): return "x" * (5 << 20)')), /5242882 bytes; at most 1048576/)
    await open?.stop()
    assert.equal(code(await node('export const run = () => "x".repeat(5 << 20)')), 'output_limit')
    await open?.stop()
    assert.equal(code(await shell('head -c 5000000 /dev/zero >&3')), 'output_limit')
  })

  test('at its deadline, also asleep, stopped, or deaf to signals', async () => {
    for (const source of [
      'import time\ndef run(i, c): time.sleep(60)',
      'import os, signal\ndef run(i, c): os.kill(os.getpid(), signal.SIGSTOP)',
      'import signal\ndef run(i, c):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while True: pass',
      'import os\ndef run(i, c):\n    for fd in (0, 1, 2, 4): os.close(fd)\n    while True: pass',
    ]) {
      const { outcome, ended, isClean } = await run(await start('python', source), null, { timeoutMs: 400 })
      assert.deepEqual([code(outcome), message(outcome), isClean], ['timeout', 'it took longer than 400 ms', true])
      assert.ok(ended.runMs < 2_000, String(ended.runMs))
      await open?.stop()
    }
  })

  test('when it is cancelled: at once, or after the half second that a skill with a signal has', async () => {
    for (const [source, limit] of [
      ['import time\ndef run(i, c):\n    c.progress(1)\n    time.sleep(60)', 450],
      [
        'import signal, time\ndef run(i, c):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    c.progress(1)\n    while True: time.sleep(1)',
        3_000,
      ],
    ] as const) {
      const stop = new AbortController()
      const supervised = await start('python', source)
      let stoppedAt = 0
      const ending = run(supervised, null, {
        signal: stop.signal,
        tell: ({ is }) => {
          if (is !== 'progress') return
          stoppedAt = realClock.now()
          stop.abort()
        },
      })
      const { outcome, isClean } = await ending
      const took = realClock.now() - stoppedAt
      assert.deepEqual([code(outcome), isClean], ['cancelled', true])
      assert.ok(took < limit, `${took} ms`)
      await supervised.stop()
    }
  })

  for (const [language, source] of [
    ['python', 'def run(i, c):\n    s = c.signal\n    c.progress(1)\n    return "tidied" if s.wait(30) and s.aborted else "not told"'],
    [
      'node',
      'export const run = (i, c) => new Promise((resolve) => { c.signal.addEventListener("abort", () => resolve("tidied")); setTimeout(() => {}, 30000); c.progress(1) })',
    ],
  ] as const) {
    test(`${language}: is told by its signal, and what it still gives counts`, async () => {
      const stop = new AbortController()
      const { outcome } = await run(await start(language, source), null, {
        signal: stop.signal,
        tell: ({ is }) => {
          if (is === 'progress') stop.abort()
        },
      })
      assert.deepEqual(outcome, { status: 'ok', output: 'tidied' })
    })
  }

  test('as output_limit in a flood, of which little is told', async () => {
    for (const source of [
      'import os\ndef run(i, c):\n    while True: os.write(1, b"x" * 65536)',
      'import os\ndef run(i, c):\n    while True: os.write(2, b"x" * 65536)',
      'def run(i, c):\n    while True: c.progress("x" * 10000)',
      'def run(i, c):\n    while True: c.log("x" * 10000)',
    ]) {
      const { outcome, heard, isClean } = await run(await start('python', source))
      assert.deepEqual([code(outcome), isClean], ['output_limit', true])
      assert.ok(heard.text('stdout').length <= 65_536 && heard.text('stderr').length <= 65_536 && heard.progress().length < 50)
      await open?.stop()
    }
  })

  test('keeps 64 KiB of what it writes, and says how much more there was', async () => {
    const { outcome, heard } = await run(await start('python', 'def run(i, c):\n    print("x" * 199_999)\n    return 1'))
    assert.equal(code(outcome), 'ok')
    assert.equal(heard.text('stdout').length, 65_536)
    assert.match(heard.text('log'), /134464 more bytes of stdout were dropped/)
  })
})

describe('what a skill forges', () => {
  const frame = (type: number, payload: string): string =>
    `import os, struct\nX = struct.pack('>IBI', ${payload.length}, ${type}, 999) + b'${payload}'\n`
  test('on stdout is a log', async () => {
    const { outcome, heard } = await run(
      await start('python', `${frame(69, '"forged"')}def run(i, c):\n    os.write(1, X)\n    return "real"`),
    )
    assert.deepEqual(outcome, { status: 'ok', output: 'real' })
    assert.match(heard.text('stdout'), /"forged"/)
  })

  test('on descriptor 3 is its own answer and no other call’s', async () => {
    const { outcome, isClean } = await run(
      await start('python', `${frame(69, '"forged"')}def run(i, c):\n    os.write(3, X + X)\n    return "real"`),
    )
    assert.deepEqual(outcome, { status: 'ok', output: 'forged' })
    assert.equal(isClean, true)
  })

  test('as an error that would be tried again is a crash', async () => {
    const forged = '{"code":"unavailable","message":"again"}'
    assert.equal(code(await python(`${frame(70, forged)}def run(i, c):\n    os.write(3, X)\n    while True: pass`)), 'crashed')
  })

  test('in another frame, an endless one, or garbage is a breach', async () => {
    for (const wire of [
      frame(71, '{"clean":true}'),
      frame(65, '{"protocol":1}'),
      "import os\nX = b'\\xff' * 64\n",
      'import os\nX = b\'{"t":"result","id":1}\\n\'\n',
      frame(72, '{"n":7,"skill":"a","input":1}'),
      frame(72, '[[[['),
    ]) {
      const { outcome, isClean } = await run(await start('python', `${wire}def run(i, c):\n    os.write(3, X)\n    while True: pass`))
      assert.deepEqual([code(outcome), isClean], ['protocol', true], wire)
      await open?.stop()
    }
  })

  test('too deep or in broken UTF-8 is a breach that only its own call feels', async () => {
    const source = `import os, struct\ndef run(i, c):\n    data = bytes.fromhex(i) if i else b'[' * 200000 + b']' * 200000\n    os.write(3, struct.pack('>IBI', len(data), 69, 1))\n    while data: data = data[os.write(3, data):]\n    while True: pass`
    const supervised = await start('python', source)
    for (const bad of ['', '22fffe22', '4e614e', '7b']) assert.equal(code((await run(supervised, bad)).outcome), 'protocol')
    assert.deepEqual((await run(supervised, '31')).outcome, { status: 'ok', output: 1 })
  })

  test('by closing descriptor 3 is a breach, at once', async () => {
    const { outcome, ended } = await run(await start('python', 'import os\ndef run(i, c):\n    os.close(3)\n    while True: pass'))
    assert.equal(code(outcome), 'protocol')
    assert.ok(ended.runMs < 3_000)
  })
})

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
    if i == 'late': threading.Thread(target=late).start()
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
    await run(supervised, 'late', { grade: 'resident' })
    await new Promise((resolve) => realClock.after(400, () => resolve(undefined)))
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
    // Its own signal pipe, and the folder that it lists.
    assert.deepEqual(outcome, { status: 'ok', output: [[0, 1, 2, 3, 4], 8] })
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
    const pid = Number(await begun.promise)
    supervised.process.stdin.end()
    const [exit] = await once(supervised.process, 'close')
    assert.equal(exit, 0)
    assert.equal(supervised.stderr(), '')
    const isThere = (): Promise<boolean> =>
      readFile(`/proc/${pid}/cmdline`).then(
        ({ length }) => length > 0,
        () => false,
      )
    for (const until = realClock.now() + 5_000; (await isThere()) && realClock.now() < until;) await setImmediate()
    assert.equal(await isThere(), false)
  })
})

test('a supervisor says nothing of its own but errors, and has no packages', async () => {
  const folder = join(import.meta.dirname, '../../../skills/sandbox/supervisor')
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.py'))) {
    assert.doesNotMatch(await readFile(join(folder, file), 'utf8'), /\bprint\(/, file)
  }
})
