/**
 * How far away a skill is in containers that are ready, by grade and language. Beside it: cold (`skills-cold.ts`), under load
 * (`skills-load.ts`), at its limits (`skills-limit.ts`), and where there is no engine (`skills-embedded.ts`).
 */
import { setTimeout as wait } from 'node:timers/promises'
import { jobFor, startSandbox, type Code, type Contained } from '../support/container.ts'
import { dockerPath, startEngine } from '../support/docker.ts'
import type { Bench, BenchOptions, Measure } from './measure.ts'
import { median, quantile } from './measure.ts'
import { answer, NODE, PYTHON, timed, until } from './skill-call.ts'
import { cold } from './skills-cold.ts'
import { embedded } from './skills-embedded.ts'
import { limits } from './skills-limit.ts'
import { load } from './skills-load.ts'

const GRADES = [
  { grade: 'fresh', calls: 25, p50: 8, p95: 25 },
  { grade: 'lease', calls: 50, p50: 6, p95: 20 },
  { grade: 'resident', calls: 500, p50: 1, p95: null },
] as const
const PARKED = 3
const REST_MS = 50

export const skills: Bench = async (options) => {
  const without = await embedded(options)
  if (dockerPath() === null) return [...without, { what: 'in containers', value: null, unit: 'ms', note: 'there is no Docker here' }]
  options.say('the image')
  // As an engine is that nobody has set up: what `docker run` is held against has the network that it gives unasked.
  const engine = await startEngine(options, { hasBridge: true })
  const warm = await startSandbox(options, engine, { maxContainers: 8, parked: PARKED })
  const rows: Measure[] = []
  for (const code of [PYTHON, NODE]) for (const each of GRADES) rows.push(...(await graded(options, warm, code, each)))
  await warm.sandbox.stop()
  for (const part of [cold, load, limits]) rows.push(...(await part(options, engine)))
  return [...rows, ...without]
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
  }, 'rest')
  await wait(REST_MS)
}
