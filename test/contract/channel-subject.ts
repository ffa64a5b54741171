/**
 * The gateway under the channel suite: the real process, killed by SIGKILL at the point that `OPENCLAW_TEST_KILL` names,
 * the first time it comes there in this folder.
 */
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { serve } from '../../gateway/run.ts'
import { die, withPoints } from '../support/kill-point.ts'

const dir = process.env['OPENCLAW_DIR'] ?? '.'
const killAt = process.env['OPENCLAW_TEST_KILL']
const preload = process.env['OPENCLAW_TEST_PRELOAD']

/** One kill in the life of a folder. */
function point(name: string): void {
  const mark = join(dir, 'killed')
  if (name !== killAt || existsSync(mark)) return
  closeSync(openSync(mark, 'w'))
  die()
}

const POINTS: { readonly [method: string]: string } = { accept: 'accept', acceptAll: 'accept', sending: 'sending', finish: 'sent' }

if (preload !== undefined) await import(preload)
await serve({
  env: process.env,
  print: (line) => void process.stdout.write(`${line}\n`),
  around: { store: (store) => withPoints(store, POINTS, point) },
})
// As gateway/main.ts does: a library may leave timers behind.
process.exit(0)
