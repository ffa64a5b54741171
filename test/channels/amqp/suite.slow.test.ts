/** The channel suite over a real RabbitMQ, one node for all its tests. */
import { after } from 'node:test'
import { channelSuite } from '../../contract/channel.suite.ts'
import type { Scope } from '../../support/gateway-process.ts'
import { Rabbitmq, rabbitmqPath } from '../../support/rabbitmq.ts'
import { AmqpWorld } from './world.ts'

const hooks: (() => Promise<void>)[] = []
const scope: Scope = { after: (run) => void hooks.push(run) }
after(async () => {
  for (const run of hooks) await run()
})

let node: Promise<Rabbitmq> | null = null
channelSuite('amqp', async (test) => AmqpWorld.open(test, await (node ??= Rabbitmq.start(scope))), {
  skip: rabbitmqPath() === null ? 'there is no RabbitMQ here; set RABBITMQ_SERVER_PATH' : undefined,
})
