import { after, before } from 'node:test'
import { channelSuite } from '../../contract/channel.suite.ts'
import { Mosquitto, mosquittoPath } from '../../support/mosquitto.ts'
import { MqttWorld } from './world.ts'

const hooks: (() => Promise<void>)[] = []
let mosquitto: Mosquitto
const skip = mosquittoPath() === null ? 'Mosquitto is not on this machine' : undefined
before(async () => {
  if (skip === undefined) mosquitto = await Mosquitto.start({ after: (hook) => void hooks.push(hook) }, { password: MqttWorld.password })
})
after(async () => {
  for (const hook of hooks) await hook()
})

channelSuite('mqtt', (scope) => MqttWorld.open(scope, mosquitto), { skip })
