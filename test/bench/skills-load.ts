/**
 * Skills under load: what a kept container gives, calls that come by chance, more fresh ones than can be made, and a crowd at once, of
 * which one skill makes nine tenths.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { jobFor, startSandbox, type Code, type Contained } from '../support/container.ts'
import type { TestEngine } from '../support/docker.ts'
import { seededRandom } from '../support/random.ts'
import type { BenchOptions, Measure } from './measure.ts'
import { median, quantile } from './measure.ts'
import { answer, NODE, PYTHON, until } from './skill-call.ts'

const CROWD = 200
const MAX_QUEUED = 16
/** Of the calls that come by chance, and of those that are too many. */
const RATE = 3
const FLOOD_RATE = 20

export async function load(options: BenchOptions, engine: TestEngine): Promise<readonly Measure[]> {
  const rows: Measure[] = []
  for (const code of [PYTHON, NODE]) {
    rows.push(await rate(options, engine, { code, grade: 'lease', containers: 1 }))
    rows.push(await rate(options, engine, { code, grade: 'lease', containers: 2, atLeast: code === PYTHON ? 70 : 22 }))
  }
  rows.push(await rate(options, engine, { code: PYTHON, grade: 'resident', containers: 1, atLeast: 5_000 }))
  rows.push(await rate(options, engine, { code: PYTHON, grade: 'resident', containers: 2 }))
  for (const code of [PYTHON, NODE]) rows.push(...(await byChance(options, engine, code)))
  return [...rows, ...(await tooMany(options, engine)), ...(await crowd(options, engine))]
}

/** A caller for each container, each one call after another. */
async function rate(
  options: BenchOptions,
  engine: TestEngine,
  of: { readonly code: Code; readonly grade: 'lease' | 'resident'; readonly containers: number; readonly atLeast?: number },
): Promise<Measure> {
  const { code, grade, containers, atLeast } = of
  options.say(`${code.language}, ${grade}, ${containers} at work`)
  const contained = await startSandbox(options, engine, { maxContainers: containers + 2, parked: 1 })
  const call = (caller: number, n: number): Promise<void> => answer(contained, jobFor({ ...code, id: `rate-${caller}` }, { n }, { grade }))
  const callers = Array.from({ length: containers }, (_, caller) => caller)
  await Promise.all(callers.map((caller) => call(caller, 0)))
  const from = performance.now()
  const end = from + options.seconds * 500
  let calls = 0
  await Promise.all(
    callers.map(async (caller) => {
      for (; performance.now() < end; calls++) await call(caller, calls)
    }),
  )
  const value = (calls * 1_000) / (performance.now() - from)
  await contained.sandbox.stop()
  const what = `${code.language}, ${grade}, ${containers === 1 ? 'one container' : `${containers} containers`}, a caller each`
  return { what, value, unit: '/s', ...(atLeast !== undefined && { target: { atLeast } }) }
}

/** As calls of many who know nothing of each other do (Poisson), each in a container of its own. */
async function byChance(options: BenchOptions, engine: TestEngine, code: Code): Promise<readonly Measure[]> {
  options.say(`${code.language}, fresh, by chance`)
  const parked = 4
  const contained = await startSandbox(options, engine, { maxContainers: 2 * parked, parked })
  await answer(contained, jobFor(code, { n: 0 }, { grade: 'fresh' }))
  await until(() => contained.sandbox.census().parked >= parked, 'containers that are ready')
  const took: number[] = []
  await offered({ rate: RATE, seconds: 2 * options.seconds, gap: exponential() }, async (n) => {
    const from = performance.now()
    await answer(contained, jobFor(code, { n }, { grade: 'fresh' }))
    took.push(performance.now() - from)
  })
  await contained.sandbox.stop()
  const what = `${code.language}, fresh, ${RATE} a second by chance, ${parked} ready`
  return [
    { what: `${what}: p50`, value: median(took), unit: 'ms', target: { atMost: 12 }, note: `${took.length} calls` },
    { what: `${what}: p95`, value: quantile(took, 0.95), unit: 'ms', target: { atMost: 60 } },
  ]
}

/** More than can be made: how many are served, and that those who wait are bounded in number. */
async function tooMany(options: BenchOptions, engine: TestEngine): Promise<readonly Measure[]> {
  options.say('python, fresh, too many')
  const contained = await startSandbox(options, engine, { maxContainers: 8, parked: 4, maxQueued: MAX_QUEUED })
  const ends = { ok: 0, busy: 0 }
  let queued = 0
  const from = performance.now()
  await offered({ rate: FLOOD_RATE, seconds: options.seconds, gap: () => 1 }, async (n) => {
    const ending = contained.sandbox.run(jobFor(PYTHON, { n }, { grade: 'fresh' }))
    queued = Math.max(queued, contained.sandbox.census().queued)
    const { outcome, acknowledge } = await ending
    acknowledge?.()
    if (outcome.status === 'ok') ends.ok += 1
    else if (outcome.code === 'busy') ends.busy += 1
    else throw new Error(`${outcome.code}: ${outcome.message}`)
  })
  const value = (ends.ok * 1_000) / (performance.now() - from)
  await contained.sandbox.stop()
  return [
    {
      what: `python, fresh, ${FLOOD_RATE} a second: served`,
      value,
      unit: '/s',
      target: { atLeast: 8 },
      note: `${ends.busy} told to come later`,
    },
    { what: `python, fresh, ${FLOOD_RATE} a second: waiting at most`, value: queued, unit: '', target: { atMost: MAX_QUEUED } },
  ]
}

/** Begins calls at this rate, whether or not those before have ended; resolves when all have. `gap` is in units of the mean one. */
async function offered(
  { rate: perSecond, seconds, gap }: { readonly rate: number; readonly seconds: number; readonly gap: () => number },
  call: (n: number) => Promise<void>,
): Promise<void> {
  const calls: Promise<void>[] = []
  const end = performance.now() + seconds * 1_000
  for (let at = performance.now(); at < end; at += (gap() * 1_000) / perSecond) {
    await wait(Math.max(0, at - performance.now()))
    calls.push(call(calls.length))
  }
  await Promise.all(calls)
}

function exponential(): () => number {
  const random = seededRandom(7)
  return () => -Math.log(1 - random())
}

/** Two skills, one with nine tenths of the calls. */
async function crowd(options: BenchOptions, engine: TestEngine): Promise<readonly Measure[]> {
  options.say(`${CROWD} at once`)
  const max = 6
  const contained = await startSandbox(options, engine, { maxContainers: max, parked: 1, maxQueued: CROWD })
  const took: { readonly few: number[]; readonly many: number[] } = { few: [], many: [] }
  const [from, most] = [performance.now(), watchMost(contained)]
  await Promise.all(
    Array.from({ length: CROWD }, async (_, at) => {
      const id = at % 10 === 0 ? 'few' : 'many'
      await answer(contained, jobFor({ ...PYTHON, id }, { n: at }))
      took[id].push(performance.now() - from)
    }),
  )
  const seconds = (performance.now() - from) / 1_000
  const containers = most()
  await contained.sandbox.stop()
  return [
    { what: `${CROWD} calls at once: all answered after`, value: seconds, unit: 's', note: `${Math.round(CROWD / seconds)} a second` },
    { what: `${CROWD} calls at once: containers at most`, value: containers, unit: '', target: { atMost: max } },
    {
      what: 'the skill with a tenth of the calls is done after',
      value: Math.max(...took.few) / Math.max(...took.many),
      unit: 'of the other’s time',
      target: { atMost: 0.6 },
    },
  ]
}

function watchMost({ sandbox }: Contained): () => number {
  let most = 0
  const watch = setInterval(() => {
    const { starting, parked, leased, busy, ending } = sandbox.census()
    most = Math.max(most, starting + parked + leased + busy + ending)
  }, 5)
  return () => {
    clearInterval(watch)
    return most
  }
}
