/** How far away a skill is where there is no container engine: JavaScript in QuickJS, Python and Node in bubblewrap. */
import { BubblewrapSandbox } from '../../skills/sandbox/bubblewrap/bubblewrap.ts'
import { QuickJsSandbox } from '../../skills/sandbox/quickjs/quickjs.ts'
import type { Job, Sandbox } from '../../skills/sandbox/sandbox.ts'
import { jobFor } from '../support/container.ts'
import { scriptJob } from '../support/javascript.ts'
import { facilities } from '../support/machine.ts'
import { quietLog } from '../support/quiet-log.ts'
import { realClock } from '../support/real-clock.ts'
import type { BenchOptions, Measure } from './measure.ts'
import { median } from './measure.ts'

const CALLS = 30

export async function embedded({ say }: BenchOptions): Promise<readonly Measure[]> {
  const script = 'export const run = (input) => ({ n: input.n + 1 })'
  const quickjs = new QuickJsSandbox({ clock: realClock, log: quietLog, fetch: null })
  const rows: Measure[] = []
  for (const grade of ['lease', 'fresh'] as const) {
    say(`quickjs, ${grade}`)
    rows.push(await row(`javascript in QuickJS, ${grade}: p50`, quickjs, 3, () => scriptJob(script, { input: { n: 1 }, grade })))
  }
  await quickjs.stop()
  if (facilities(process.env).find(({ name }) => name === 'bubblewrap')?.path == null)
    return [...rows, { what: 'in bubblewrap', value: null, unit: 'ms', note: 'it is not here' }]
  const settings = { maxConcurrent: 2, maxQueued: 2, queueMs: 20_000 }
  const bubblewrap = new BubblewrapSandbox({ settings, log: quietLog, clock: realClock, egress: null, folders: null })
  for (const [language, code, atMost] of [
    ['python', 'def run(input, ctx):\n  return {"n": input["n"] + 1}\n', 35],
    ['node', script, 50],
  ] as const) {
    say(`bubblewrap, ${language}`)
    rows.push(
      await row(`${language} in bubblewrap: p50`, bubblewrap, atMost, () => jobFor({ language, code }, { n: 1 }, { grade: 'fresh' })),
    )
  }
  await bubblewrap.stop()
  return rows
}

/** One call after another; the first makes it ready and does not count. */
async function row(what: string, sandbox: Sandbox, atMost: number, make: () => Job): Promise<Measure> {
  const took: number[] = []
  for (let call = 0; call <= CALLS; call++) {
    const from = performance.now()
    const { outcome } = await sandbox.run(make())
    if (outcome.status !== 'ok') throw new Error(`${outcome.code}: ${outcome.message}`)
    if (call > 0) took.push(performance.now() - from)
  }
  return { what, value: median(took), unit: 'ms', target: { atMost }, note: `${CALLS} calls, one after another` }
}
