/** One call of a skill in a sandbox as the benches make it: it succeeds or ends the bench; and how long what is asked for takes. */
import type { Job } from '../../skills/sandbox/sandbox.ts'
import type { Code, Contained } from '../support/container.ts'
import { eventually } from '../support/eventually.ts'

export const PYTHON: Code = { language: 'python', code: 'def run(input, ctx):\n  return {"n": input["n"] + 1}\n' }
export const NODE: Code = { language: 'node', code: 'export const run = (input) => ({ n: input.n + 1 })' }

/** Often enough for a figure in milliseconds. */
const LOOK_MS = 2

export async function answer({ sandbox }: Pick<Contained, 'sandbox'>, job: Job): Promise<void> {
  const { outcome, acknowledge } = await sandbox.run(job)
  acknowledge?.()
  if (outcome.status !== 'ok') throw new Error(`${outcome.code}: ${outcome.message}`)
}

export async function timed(run: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await run()
  return performance.now() - from
}

/** The sandbox tells nobody what is ready and what is gone. */
export const until = (holds: () => boolean, what: string): Promise<void> => eventually(holds, what, 20_000, LOOK_MS)

/** Nothing is there, and nothing is being made or ended. */
export const isEmpty = ({ sandbox }: Contained): boolean => Object.values(sandbox.census()).every((count) => count === 0)
