/** A test with a scope of its own, swept in the other order: the gateway goes before what it is connected to. */
import { test } from 'node:test'
import type { Scope } from './gateway-process.ts'

export const sweptTest = (name: string, timeout: number, run: (scope: Scope) => Promise<void>): void =>
  void test(name, { timeout }, async () => {
    const hooks: (() => Promise<void>)[] = []
    try {
      await run({ after: (hook) => void hooks.push(hook) })
    } finally {
      for (const hook of hooks.toReversed()) await hook()
    }
  })
