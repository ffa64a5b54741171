/** What holds skills in, in figures: how far a time limit is overrun, how soon one that floods is ended, and what waiting containers weigh. */
import { readFileSync, readdirSync } from 'node:fs'
import { jobFor, startSandbox, type Code, type Contained } from '../support/container.ts'
import { docker, type TestEngine } from '../support/docker.ts'
import type { BenchOptions, Measure } from './measure.ts'
import { answer, NODE, PYTHON, until } from './skill-call.ts'
import { rssMb } from './vitals.ts'

const LIMIT_MS = 300
const TRIES = 5
const PARKED = 6
const LOOK_MS = 5
const SPINS: Code = { language: 'python', id: 'spins', code: 'def run(input, ctx):\n  while True: pass\n' }
const FLOODS: Code = {
  language: 'python',
  id: 'floods',
  code: 'import os\ndef run(input, ctx):\n  while True: os.write(1, b"x" * 65536)\n',
}

export async function limits(options: BenchOptions, engine: TestEngine): Promise<readonly Measure[]> {
  const contained = await startSandbox(options, engine, { maxContainers: 4, parked: 1 })
  const rows = [await overrun(options, contained), ...(await flood(options, contained))]
  await contained.sandbox.stop()
  for (const [code, atMost] of [
    [PYTHON, 10],
    [NODE, 15],
  ] as const)
    rows.push(await weight(options, engine, { code, atMost }))
  return rows
}

async function overrun({ say }: BenchOptions, { sandbox }: Contained): Promise<Measure> {
  say('over its time')
  const took: number[] = []
  for (let at = 0; at < TRIES; at++) {
    const { outcome } = await sandbox.run(jobFor(SPINS, {}, { timeoutMs: LIMIT_MS }))
    if (outcome.status === 'ok' || outcome.code !== 'timeout') throw new Error(`it ended by ${JSON.stringify(outcome)}`)
    took.push((outcome.times?.runMs ?? 0) - LIMIT_MS)
  }
  return { what: 'python, a time limit is overrun by at most', value: Math.max(...took), unit: 'ms', target: { atMost: 400 } }
}

/** Writes as fast as it can. This process reads it, as a gateway does. */
async function flood({ say }: BenchOptions, { sandbox }: Contained): Promise<readonly Measure[]> {
  say('a flood')
  const took: number[] = []
  const before = rssMb(process.pid)
  let most = before
  const watch = setInterval(() => (most = Math.max(most, rssMb(process.pid))), LOOK_MS)
  for (let at = 0; at < TRIES; at++) {
    const { outcome } = await sandbox.run(jobFor(FLOODS))
    if (outcome.status === 'ok' || outcome.code !== 'output_limit') throw new Error(`it ended by ${JSON.stringify(outcome)}`)
    took.push(outcome.times?.runMs ?? 0)
  }
  clearInterval(watch)
  return [
    { what: 'python, a flood of output is ended after at most', value: Math.max(...took), unit: 'ms', target: { atMost: 500 } },
    { what: 'memory of its reader grows meanwhile by', value: most - before, unit: 'MB', target: { atMost: 32 }, note: `${TRIES} floods` },
  ]
}

/** Processes of waiting containers and the engine's one beside each; what they share with others counts by its part (PSS, proc(5)). */
async function weight(
  options: BenchOptions,
  engine: TestEngine,
  { code, atMost }: { readonly code: Code; readonly atMost: number },
): Promise<Measure> {
  options.say(`${code.language}, parked`)
  const contained = await startSandbox(options, engine, { maxContainers: 2 * PARKED, parked: PARKED })
  await answer(contained, jobFor(code, { n: 0 }, { grade: 'fresh' }))
  await until(() => contained.sandbox.census().parked >= PARKED, 'containers that are ready')
  const ids = await contained.containers()
  const pids = await Promise.all(ids.map(async (id) => Number(await docker(engine.socket, 'inspect', '--format', '{{.State.Pid}}', id))))
  const first = pids.filter((pid) => pid > 0)
  const what = `${code.language}, memory of a parked container`
  try {
    const mb = first.reduce((sum, pid) => sum + weightOf(pid), 0) / first.length
    return { what, value: mb, unit: 'MB', target: { atMost }, note: `${first.length} containers` }
  } catch (error) {
    return { what, value: null, unit: 'MB', note: `its processes cannot be seen from here: ${String(error)}` }
  } finally {
    await contained.sandbox.stop()
  }
}

function weightOf(first: number): number {
  const parents = new Map(readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [[Number(name), parentOf(name)] as const] : [])))
  const family = new Set([first])
  for (let before = 0; before < family.size;) {
    before = family.size
    for (const [pid, parent] of parents) if (family.has(parent)) family.add(pid)
  }
  const beside = parents.get(first)
  return [...family, ...(beside === undefined ? [] : [beside])].reduce((sum, pid) => sum + pssMb(pid), 0)
}

/** 0: it has gone. */
function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return 0
  }
}

function pssMb(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1_024
}
