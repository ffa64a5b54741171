/**
 * The gateway under the tests of crashes in mid-call: the real process, which dies by SIGKILL when so many calls of skills have come to the point
 * that it was told (`OPENCLAW_TEST_POINT`, `OPENCLAW_TEST_CALLS`). Those that came first wait there.
 */
import type { Store } from '#contract'
import { run } from '../../../gateway/run.ts'
import { die } from '../../support/kill-point.ts'

const wanted = process.env['OPENCLAW_TEST_POINT'] ?? ''
const calls = Number(process.env['OPENCLAW_TEST_CALLS'] ?? 1)

const MOMENT_MS = 300
let came = 0
async function point(name: string): Promise<void> {
  if (name !== wanted) return
  came += 1
  // Whatever the sandboxes do after a call has its time.
  if (came === calls) setTimeout(die, MOMENT_MS)
  await new Promise(() => undefined)
}

/** Unstarted: on record as begun, and not begun. Ended: over, and not on record. */
const withPoints = (store: Store): Store => {
  const runs: Store['runs'] = {
    ...store.runs,
    async start(...given) {
      const attempt = await store.runs.start(...given)
      await point('unstarted')
      return attempt
    },
    async finish(...given) {
      await point('ended')
      await store.runs.finish(...given)
    },
  }
  const turns: Store['turns'] = {
    ...store.turns,
    async startStep(step) {
      const started = await store.turns.startStep(step)
      if (step.kind === 'skill') await point('unstarted')
      return started
    },
    async finishStep(step) {
      if (step.key.startsWith('skill:')) await point('ended')
      return store.turns.finishStep(step)
    },
  }
  const ports = new Map<string | symbol, unknown>(Object.entries({ runs, turns }))
  return new Proxy(store, {
    get(object, name) {
      const member: unknown = ports.get(name) ?? Reflect.get(object, name)
      return typeof member === 'function' ? member.bind(object) : member
    },
  })
}

const running = await run({
  env: process.env,
  print: (line) => void process.stdout.write(`${line}\n`),
  around: { store: withPoints },
})
process.on('SIGTERM', () => void running.stop().then(() => process.exit(0)))
