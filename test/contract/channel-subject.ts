/**
 * The gateway under the channel suite: the real process, killed by SIGKILL at the point that `OPENCLAW_TEST_KILL` names,
 * the first time it comes there in this folder.
 */
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Store } from '#contract'
import { serve } from '../../gateway/run.ts'

const dir = process.env['OPENCLAW_DIR'] ?? '.'
const killAt = process.env['OPENCLAW_TEST_KILL']
const preload = process.env['OPENCLAW_TEST_PRELOAD']

/** One kill in the life of a folder. */
function point(name: string): void {
  const mark = join(dir, 'killed')
  if (name !== killAt || existsSync(mark)) return
  closeSync(openSync(mark, 'w'))
  process.kill(process.pid, 'SIGKILL')
  // The signal takes a moment; nothing more may happen meanwhile.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
}

const POINTS: { readonly [method: string]: string } = { accept: 'accept', acceptAll: 'accept', sending: 'sending', finish: 'sent' }

function withPoints<T extends object>(port: T): T {
  return new Proxy(port, {
    get(object, name) {
      const member: unknown = Reflect.get(object, name)
      if (typeof member !== 'function') return member
      const label = POINTS[String(name)]
      if (label === undefined) return member.bind(object)
      return async (...given: unknown[]) => {
        point(`before ${label}`)
        const result: unknown = await member.apply(object, given)
        point(`after ${label}`)
        return result
      }
    },
  })
}

function around(store: Store): Store {
  const ports = { inbox: withPoints(store.inbox), outbox: withPoints(store.outbox) }
  return new Proxy(store, {
    get(object, name) {
      if (name === 'inbox' || name === 'outbox') return ports[name]
      const member: unknown = Reflect.get(object, name)
      return typeof member === 'function' ? member.bind(object) : member
    },
  })
}

if (preload !== undefined) await import(preload)
await serve({ env: process.env, print: (line) => void process.stdout.write(`${line}\n`), around: { store: around } })
// As gateway/main.ts does: a library may leave timers behind.
process.exit(0)
