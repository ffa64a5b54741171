/**
 * Durable intake from MQTT: what waits in a persistent session is read to its end by the gateway, and by a bare consumer that only
 * acknowledges, in turns on the same Mosquitto.
 */
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { Mosquitto, mosquittoPath } from '../support/mosquitto.ts'
import { acceptedPerSecond, against, barePerSecond, durableIntake, inTurns, orderText, personOf, startIntake } from './intake.ts'
import { median, type Bench, type Measure } from './measure.ts'

interface Rig {
  readonly mosquitto: Mosquitto
  readonly people: MqttClient
}

export const mqtt: Bench = async (options) => {
  if (mosquittoPath() === null) return [{ what: 'durable intake', value: null, unit: '/s', note: 'no Mosquitto on this machine' }]
  const mosquitto = await Mosquitto.start(options)
  const people = await connectAsync(mosquitto.url(), { protocolVersion: 5 })
  people.on('error', () => {})
  options.after(() => people.endAsync(true))
  const count = 2_000 * options.seconds
  const filled = (session: string): Promise<string> => fill({ mosquitto, people }, session, count)
  const [ours = [], bare = []] = await inTurns(options, [
    {
      name: 'gateway',
      run: async (session) => {
        const account = { kind: 'mqtt', url: mosquitto.url(), topic: session, client_id: await filled(session) }
        const gateway = await startIntake(options, account)
        const perSecond = await acceptedPerSecond(gateway, count)
        await gateway.kill9()
        return perSecond
      },
    },
    {
      name: 'bare consumer',
      run: async (session) => barePerSecond('bare-mqtt.ts', [mosquitto.url(), await filled(session), String(count)]),
    },
  ])
  return [
    durableIntake(ours, count),
    {
      what: 'of a bare consumer that acknowledges',
      value: against(ours, bare),
      unit: '×',
      target: { atLeast: 0.5 },
      note: 'which keeps nothing',
    },
    { what: 'bare consumer', value: median(bare), unit: '/s' },
  ] satisfies readonly Measure[]
}

/** A session of that name with so many messages in it; its topic is its name. */
async function fill({ mosquitto, people }: Rig, name: string, count: number): Promise<string> {
  const properties = { sessionExpiryInterval: 0xff_ff_ff_ff }
  const reader = await connectAsync(mosquitto.url(), { protocolVersion: 5, clean: false, clientId: name, reconnectPeriod: 0, properties })
  await reader.subscribeAsync(name, { qos: 1 })
  await reader.endAsync()
  for (let at = 0; at < count; at += 500) {
    const some = Array.from({ length: Math.min(500, count - at) }, (_, i) => at + i)
    await Promise.all(
      some.map((number) =>
        people.publishAsync(name, orderText(number), {
          qos: 1,
          properties: { contentType: 'application/json', userProperties: { id: `m-${number}`, user_id: personOf(number) } },
        }),
      ),
    )
  }
  return name
}
