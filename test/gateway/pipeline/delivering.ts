/** What the tests of deliveries share: a platform that fails as told, and waiting until deliveries rest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelFault } from '#contract'
import type { Part, SendFault } from '#contract'
import { startHub } from '../../support/hub.ts'
import type { Hub, HubOptions } from '../../support/hub.ts'

export const fault = (of: SendFault): ChannelFault => new ChannelFault(`the platform says ${of.is}`, { code: 'PLATFORM', fault: of })

/** Fails as told, one after the other, then sends. */
export const failing = (
  ...faults: readonly (SendFault | Error)[]
): { readonly send: NonNullable<HubOptions['send']>; readonly tries: Part[] } => {
  const left = [...faults]
  const tries: Part[] = []
  return {
    tries,
    send: async (part) => {
      tries.push(part)
      const next = left.shift()
      if (next !== undefined) throw next instanceof Error ? next : fault(next)
      return { id: 'platform-id' }
    },
  }
}

export const withHub = (name: string, options: HubOptions, run: (hub: Hub) => Promise<void>): void => {
  test(name, async () => {
    const hub = await startHub(options)
    try {
      await run(hub)
    } finally {
      await hub.stop()
    }
  })
}

/** Until deliveries rest and the counts are as expected. */
export async function counted(
  hub: Hub,
  expected: Partial<Record<'pending' | 'sending' | 'sent' | 'unknown' | 'dead', number>>,
): Promise<void> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const counts = await hub.store.outbox.counts()
    if (hub.deliver.running === 0 && Object.entries(expected).every(([status, count]) => counts[status as keyof typeof counts] === count))
      return
    assert.ok(Date.now() < deadline, JSON.stringify(counts))
  }
}
