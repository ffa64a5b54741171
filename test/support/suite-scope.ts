/** What a whole suite has started goes when its last test is over, in reverse order. To be called where the suite is described. */
import { after } from 'node:test'
import type { Scope } from './gateway-process.ts'

export function suiteScope(): Scope {
  const hooks: (() => Promise<void>)[] = []
  after(async () => {
    for (const run of hooks) await run()
  })
  return { after: (run) => void hooks.unshift(run) }
}
