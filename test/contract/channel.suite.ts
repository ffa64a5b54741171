/**
 * The definition of "works" for every channel: what is promised to whoever writes through it, held against the real gateway process
 * and the platform as people on it see it. A channel's own test calls `channelSuite` with a way to open its world; what only
 * that platform has it tests beside this.
 */
import { describe } from 'node:test'
import type { OpenWorld } from './channel-world.ts'
import { crashSuite } from './channel/crash.ts'
import { disturbanceSuite } from './channel/disturbance.ts'
import { givenWorld } from './channel/given.ts'
import { guardSuite } from './channel/guard.ts'
import { inboundSuite } from './channel/inbound.ts'
import { outboundSuite } from './channel/outbound.ts'

export interface SuiteOptions {
  /** Why none of it can run here; shown as skipped. */
  readonly skip?: string | undefined
}

export function channelSuite(name: string, open: OpenWorld, { skip }: SuiteOptions = {}): void {
  describe(`channel: ${name}`, { skip: skip ?? false }, () => {
    const given = givenWorld(open)
    inboundSuite(given)
    outboundSuite(given)
    crashSuite(given)
    disturbanceSuite(given)
    guardSuite(given)
  })
}
