import { after } from 'node:test'
import { channelSuite } from '../../contract/channel.suite.ts'
import { Kafka, javaPath } from '../../support/kafka.ts'
import { KafkaWorld, openSite } from './world.ts'

const scope = { after: (run: () => Promise<void>): void => after(run) }
const site = javaPath() === null ? null : await openSite(scope, await Kafka.start(scope))

channelSuite('kafka', (one) => (site === null ? Promise.reject(new Error('no broker')) : KafkaWorld.open(one, site)), {
  skip: site === null ? 'no Kafka broker on this machine' : undefined,
})
