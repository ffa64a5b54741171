/** Tests of the Kafka channel beside the suite: a broker for the file, and for each test a world and a gateway of its own. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Stage } from '../../contract/channel/given.ts'
import type { KafkaLine } from '../../support/kafka-line.ts'
import { Kafka, javaPath } from '../../support/kafka.ts'
import { KafkaWorld, openSite, type KafkaSite } from './world.ts'

const LIMIT_MS = 180_000

export interface Given {
  readonly stage: Stage
  readonly world: KafkaWorld
  readonly kafka: Kafka
  readonly line: KafkaLine
}

/** Why none of it can run here. */
const lacking: string | false = javaPath() === null ? 'no Kafka broker on this machine' : false

/** A broker for all tests that are then given by the returned function. */
export async function stagedTests(): Promise<(name: string, run: (given: Given) => Promise<void>) => void> {
  const scope = { after: (run: () => Promise<void>): void => after(run) }
  const site: KafkaSite | null = lacking === false ? await openSite(scope, await Kafka.start(scope)) : null
  return (name, run) => {
    test(name, { timeout: LIMIT_MS, skip: lacking }, async () => {
      assert.ok(site)
      const hooks: (() => Promise<void>)[] = []
      const own = { after: (hook: () => Promise<void>): void => void hooks.push(hook) }
      try {
        const world = await KafkaWorld.open(own, site)
        await run({ ...site, stage: new Stage(world, own), world })
      } finally {
        for (const hook of hooks.toReversed()) await hook()
        site.kafka.proxy.heal()
        await site.kafka.up()
      }
    })
  }
}
