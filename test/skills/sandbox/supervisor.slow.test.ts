/** The supervisor as a plain child process: what it says, and how calls end. Namespaces and limits have tests of their own. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JsonValue, SkillEvent, SkillOutcome } from '#contract'
import { realClock } from '../../support/real-clock.ts'
import type { jobOf } from '../../support/supervisor.ts'
import { code, run, supervising, type Language } from './given.ts'
import type { Supervising } from './given.ts'

const supervisors = supervising()
/** For a second one at the same time. */
const beside = supervising()
const { start, outcomeOf } = supervisors
const message = (outcome: SkillOutcome): string => (outcome.status === 'ok' ? '' : outcome.message)
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
    const supervised = await start('node', {
      'main.js': 'const { twice } = require("./lib/twice.js"); exports.run = (n) => twice(n)',
      'lib/twice.js': 'exports.twice = (n) => n * 2',
    })
    assert.deepEqual((await run(supervised, 4)).outcome, { status: 'ok', output: 8 })
  })

  test('python: files of the bundle are imported', async () => {
    const supervised = await start('python', {
      'src/main.py': 'import twice\ndef run(n, ctx): return twice.twice(n)',
      'src/twice.py': 'def twice(n): return n * 2',
    })
    assert.deepEqual((await run(supervised, 4)).outcome, { status: 'ok', output: 8 })
  })

  test('an input of a megabyte, also where nobody reads it', async () => {
    const input = 'x'.repeat(1_000_000)
    assert.deepEqual((await run(await start('python', 'def run(input, ctx): return len(input)'), input)).outcome, {
      status: 'ok',
      output: 1_000_000,
    })
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
    assert.equal(message(await node('export const run = async () => { throw new TypeError("no") }')), 'TypeError: no')
    assert.equal(
      message(await node('export const run = () => new Promise(() => setTimeout(() => { throw new Error("later") }))')),
      'Error: later',
    )
  })

  test('by what its file lacks', async () => {
    assert.match(message(await python('def main(): pass')), /main\.py defines no run\(input, ctx\)/)
    assert.match(message(await node('export const main = 1')), /main\.mjs exports no function run\(input, ctx\)/)
    assert.match(message(await python('def run(:')), /SyntaxError/)
  })

  test('by an exit code or a signal, with the last line of stderr', async () => {
    assert.match(message(await shell('echo broken >&2; exit 3')), /exit code 3: broken$/)
    assert.match(message(await python('import os, signal\ndef run(i, c): os.kill(os.getpid(), signal.SIGSEGV)')), /SIGSEGV/)
    assert.match(message(await python('import os\ndef run(i, c): os.kill(os.getpid(), 40)')), /signal 40/)
    assert.match(message(await python('import os\ndef run(i, c): os._exit(0)')), /exit code 0/)
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
    }
  })

  test('as output_limit when its output is too long', async () => {
    assert.match(message(await python('def run(i, c): return "x" * (5 << 20)')), /5242882 bytes; at most 1048576/)
    assert.equal(code(await node('export const run = () => "x".repeat(5 << 20)')), 'output_limit')
    assert.equal(code(await shell('head -c 5000000 /dev/zero >&3')), 'output_limit')
  })

  test('at its deadline, also asleep, stopped, or deaf to signals', async () => {
    for (const source of [
      'import time\ndef run(i, c): time.sleep(60)',
      'import os, signal\ndef run(i, c): os.kill(os.getpid(), signal.SIGSTOP)',
      'import signal\ndef run(i, c):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while True: pass',
      'import os\ndef run(i, c):\n    for fd in (0, 1, 2, 4): os.close(fd)\n    while True: pass',
    ]) {
      const { outcome, isClean } = await run(await start('python', source), null, { timeoutMs: 400 })
      // The supervisor's own words: where it kept no limit, the gateway would have given the call up, and said so in others.
      assert.deepEqual([code(outcome), message(outcome), isClean], ['timeout', 'it took longer than 400 ms', true])
    }
  })

  test('when it is cancelled: at once, or after the half second that a skill with a signal has', async () => {
    const stop = new AbortController()
    const order: string[] = []
    /** Resolves when it is at work. */
    const atWork = async (when: string, { start: begin }: Supervising, source: string): Promise<() => ReturnType<typeof run>> => {
      const begun = Promise.withResolvers<void>()
      const tell = ({ is }: SkillEvent): void => void (is === 'progress' && begun.resolve())
      const ending = run(await begin('python', source), null, { signal: stop.signal, tell }).finally(() => order.push(when))
      await begun.promise
      return () => ending
    }
    const deaf =
      'import signal, time\ndef run(i, c):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    c.progress(1)\n    while True: time.sleep(1)'
    const endings = [
      await atWork('after half a second', supervisors, deaf),
      await atWork('at once', beside, 'import time\ndef run(i, c):\n    c.progress(1)\n    time.sleep(60)'),
    ]
    const stoppedAt = realClock.now()
    stop.abort()
    for (const { outcome, isClean } of await Promise.all(endings.map((ending) => ending())))
      assert.deepEqual([code(outcome), isClean], ['cancelled', true])
    // Beside each other, so that a busy machine delays both.
    assert.deepEqual(order, ['at once', 'after half a second'])
    assert.ok(realClock.now() - stoppedAt >= 490)
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
    }
  })

  test('too deep or in broken UTF-8 is a breach that only its own call feels', async () => {
    const source = `import os, struct\ndef run(i, c):\n    data = bytes.fromhex(i) if i else b'[' * 200000 + b']' * 200000\n    os.write(3, struct.pack('>IBI', len(data), 69, 1))\n    while data: data = data[os.write(3, data):]\n    while True: pass`
    const supervised = await start('python', source)
    for (const bad of ['', '22fffe22', '4e614e', '7b']) assert.equal(code((await run(supervised, bad)).outcome), 'protocol')
    assert.deepEqual((await run(supervised, '31')).outcome, { status: 'ok', output: 1 })
  })

  test('by closing descriptor 3 is a breach, and nobody waits for the deadline', async () => {
    const { outcome } = await run(await start('python', 'import os\ndef run(i, c):\n    os.close(3)\n    while True: pass'))
    assert.equal(code(outcome), 'protocol')
  })
})
