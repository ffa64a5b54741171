/**
 * How far away a skill is: in containers by grade and language, cold, many at once; beside `docker run --rm` and beside a plain child process,
 * which isolates nothing, in the same run.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { setTimeout as wait } from 'node:timers/promises'
import type { Job } from '../../skills/sandbox/sandbox.ts'
import { jobFor, startSandbox, type Code, type Contained } from '../support/container.ts'
import { docker, dockerPath, startEngine, type TestEngine } from '../support/docker.ts'
import type { Bench, BenchOptions, Measure } from './measure.ts'
import { median } from './measure.ts'
import { embedded } from './skills-embedded.ts'

const CODES: readonly Code[] = [
  { language: 'python', code: 'def run(input, ctx):\n  return {"n": input["n"] + 1}\n' },
  { language: 'node', code: 'export const run = (input) => ({ n: input.n + 1 })' },
]
const GRADES = [
  { grade: 'fresh', calls: 25, p50: 8, p95: 25 },
  { grade: 'lease', calls: 50, p50: 6, p95: 20 },
  { grade: 'resident', calls: 500, p50: 1, p95: null },
] as const
const COLD = 8
const PARKED = 3
const CROWD = 200
const REST_MS = 50
/** The one that the image is made of, and no wrapper. */
const PYTHON = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'

export const skills: Bench = async (options) => {
  const without = await embedded(options)
  if (dockerPath() === null) return [...without, { what: 'in containers', value: null, unit: 'ms', note: 'there is no Docker here' }]
  options.say('the image')
  const engine = await startEngine(options)
  const warm = await startSandbox(options, engine, { maxContainers: 8, parked: PARKED })
  const rows: Measure[] = []
  for (const code of CODES) for (const each of GRADES) rows.push(...(await graded(options, warm, code, each)))
  rows.push(await overrun(options, warm), await rate(options, warm, 'lease', 35), await rate(options, warm, 'resident', 5_000))
  await warm.sandbox.stop()
  rows.push(...(await cold(options, engine)))
  rows.push(...(await crowd(options, engine)))
  return [...rows, ...without]
}

const LIMIT_MS = 300

/** A skill that never ends, over its time limit. */
async function overrun({ say }: BenchOptions, { sandbox }: Contained): Promise<Measure> {
  say('over its time')
  const took: number[] = []
  for (let at = 0; at < 5; at++) {
    const job = jobFor({ language: 'python', id: 'spins', code: 'def run(input, ctx):\n  while True: pass\n' }, {}, { timeoutMs: LIMIT_MS })
    const { outcome } = await sandbox.run(job)
    took.push((outcome.times?.runMs ?? 0) - LIMIT_MS)
  }
  return { what: 'python, a time limit is overrun by at most', value: Math.max(...took), unit: 'ms', target: { atMost: 400 } }
}

/** One container, one call after another, for two seconds. */
async function rate({ say }: BenchOptions, contained: Contained, grade: 'lease' | 'resident', atLeast: number): Promise<Measure> {
  say(`${grade}, one after another`)
  const [code] = CODES
  if (code === undefined) throw new Error('There is no code.')
  const from = performance.now()
  let calls = 0
  for (; performance.now() - from < 2_000; calls++)
    await answer(contained, jobFor({ ...code, id: `rate-${grade}` }, { n: calls }, { grade }))
  const value = (calls / (performance.now() - from)) * 1_000
  return { what: `python, ${grade}, one container, one caller`, value, unit: '/s', target: { atLeast } }
}

async function graded({ say }: BenchOptions, contained: Contained, code: Code, goal: (typeof GRADES)[number]): Promise<readonly Measure[]> {
  const { grade, calls } = goal
  say(`${code.language}, ${grade}`)
  const took: number[] = []
  for (let call = 0; call <= calls; call++) {
    // Every call finds one ready: what it costs to make them ready is told by "cold" and "at once".
    if (call > 0 && grade !== 'resident') await isRested(contained, grade)
    const ms = await timed(() => answer(contained, jobFor(code, { n: call }, { grade })))
    // The first makes it ready.
    if (call > 0) took.push(ms)
  }
  const what = `${code.language}, ${grade}, ready ahead`
  return [
    {
      what: `${what}: p50`,
      value: median(took),
      unit: 'ms',
      target: { atMost: goal.p50 },
      note: `${calls} calls, ${grade === 'resident' ? 'one after another' : 'a moment apart'}`,
    },
    { what: `${what}: p95`, value: quantile(took, 0.95), unit: 'ms', ...(goal.p95 === null ? {} : { target: { atMost: goal.p95 } }) },
  ]
}

/** As many are ready as are kept so, and nothing is being made; and what was started ahead in them had the time to come up. */
async function isRested({ sandbox }: Contained, grade: 'fresh' | 'lease'): Promise<void> {
  await until(() => {
    const { parked, leased, starting, ending } = sandbox.census()
    return (grade === 'fresh' ? parked >= PARKED : leased > 0) && starting === 0 && ending === 0
  })
  await wait(REST_MS)
}

/** Nothing is ready, and nothing stays: from the call until its container is gone, as `docker run --rm` is. */
async function cold(options: BenchOptions, engine: TestEngine): Promise<readonly Measure[]> {
  const contained = await startSandbox(options, engine, { parked: 0 })
  const [first] = CODES
  if (first === undefined) return []
  const [replies, lives, runs, offline, plain]: [number[], number[], number[], number[], number[]] = [[], [], [], [], []]
  const program = 'import json,sys; print(json.dumps({"n": json.load(sys.stdin)["n"] + 1}))'
  for (let at = 0; at < COLD; at++) {
    options.say(`cold ${at + 1} of ${COLD}`)
    // In turn, so that whatever else the machine does meets all alike.
    const from = performance.now()
    await answer(contained, jobFor(first, { n: at }, { grade: 'fresh' }))
    replies.push(performance.now() - from)
    await until(() => Object.values(contained.sandbox.census()).every((count) => count === 0))
    lives.push(performance.now() - from)
    runs.push(await timed(() => docker(engine.socket, 'run', '--rm', engine.image, 'python3', '-c', 'print(1)')))
    offline.push(await timed(() => docker(engine.socket, 'run', '--rm', '--network', 'none', engine.image, 'python3', '-c', 'print(1)')))
    plain.push(await timed(() => piped(PYTHON, ['-c', program], '{"n":1}')))
  }
  await contained.sandbox.stop()
  const run = median(runs)
  return [
    { what: 'python, cold: reply, p50', value: median(replies), unit: 'ms', target: { atMost: 150 } },
    { what: 'python, cold: reply, p95', value: quantile(replies, 0.95), unit: 'ms', target: { atMost: 300 } },
    { what: 'python, cold: until gone, p50', value: median(lives), unit: 'ms' },
    { what: 'docker run --rm, p50', value: run, unit: 'ms', note: 'without a limit or a filter of ours' },
    { what: 'docker run --rm --network none, p50', value: median(offline), unit: 'ms', note: 'the same' },
    { what: 'cold life beside docker run', value: median(lives) / run, unit: '×', target: { atMost: 0.6 } },
    { what: 'cold life beside docker run --network none', value: median(lives) / median(offline), unit: '×' },
    { what: 'plain child process, python, p50', value: median(plain), unit: 'ms', note: 'isolates nothing' },
  ]
}

/** Two skills, one with nine tenths of the calls. */
async function crowd(options: BenchOptions, engine: TestEngine): Promise<readonly Measure[]> {
  options.say(`${CROWD} at once`)
  const max = 6
  const contained = await startSandbox(options, engine, { maxContainers: max, parked: 1, maxQueued: CROWD })
  const [code] = CODES
  if (code === undefined) return []
  const took: { readonly few: number[]; readonly many: number[] } = { few: [], many: [] }
  let most = 0
  const watch = setInterval(() => {
    const { starting, parked, leased, busy, ending } = contained.sandbox.census()
    most = Math.max(most, starting + parked + leased + busy + ending)
  }, 5)
  const from = performance.now()
  await Promise.all(
    Array.from({ length: CROWD }, async (_, at) => {
      const id = at % 10 === 0 ? 'few' : 'many'
      await answer(contained, jobFor({ ...code, id }, { n: at }))
      took[id].push(performance.now() - from)
    }),
  )
  const seconds = (performance.now() - from) / 1_000
  clearInterval(watch)
  await contained.sandbox.stop()
  return [
    { what: `${CROWD} calls at once: all answered after`, value: seconds, unit: 's', note: `${Math.round(CROWD / seconds)} a second` },
    { what: `${CROWD} calls at once: containers at most`, value: most, unit: '', target: { atMost: max } },
    {
      what: 'the skill with a tenth of the calls is done after',
      value: Math.max(...took.few) / Math.max(...took.many),
      unit: 'of the other’s time',
      target: { atMost: 0.6 },
    },
  ]
}

async function answer({ sandbox }: Contained, job: Job): Promise<void> {
  const { outcome, acknowledge } = await sandbox.run(job)
  acknowledge?.()
  if (outcome.status !== 'ok') throw new Error(`${outcome.code}: ${outcome.message}`)
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await run()
  return performance.now() - from
}

async function piped(program: string, args: readonly string[], input: string): Promise<void> {
  const running = promisify(execFile)(program, [...args])
  running.child.stdin?.end(input)
  await running
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !holds(); await wait(2))
    if (performance.now() > end) throw new Error('it never came to that')
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0
}
