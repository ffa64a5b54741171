/**
 * Durable intake from MQTT: what waits in a persistent session is read to its end by the gateway, and by a bare consumer that only
 * acknowledges, in turns on the same Mosquitto. The agents are held by a model that never answers, so that what is measured is acceptance alone.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { startChild } from '../support/child.ts'
import { startGateway, type GatewayProcess } from '../support/gateway-process.ts'
import { Mosquitto, mosquittoPath } from '../support/mosquitto.ts'
import { median, type Bench, type BenchOptions, type Measure } from './measure.ts'
import { startSilentModel } from './model.ts'

const ROUNDS = 3
const USERS = 1_000
/** About what a device writes about an order. */
const BODY = { order: 'A-10492', items: [{ sku: 'blue-shirt-m', count: 2 }], total: '59.80', note: 'Leave it at the door, please.' }
const LOOK_MS = 25
const WITHIN_MS = 180_000

interface Rig {
  readonly mosquitto: Mosquitto
  readonly people: MqttClient
}

export const mqtt: Bench = async (options) => {
  if (mosquittoPath() === null) return [{ what: 'durable intake', value: null, unit: '/s', note: 'no Mosquitto on this machine' }]
  const { seconds, say } = options
  const mosquitto = await Mosquitto.start(options)
  const people = await connectAsync(mosquitto.url(), { protocolVersion: 5 })
  people.on('error', () => {})
  options.after(() => people.endAsync(true))
  const rig = { mosquitto, people }
  const messages = 2_000 * seconds
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}: gateway`)
    ours.push(await gatewayRate(options, rig, await fill(rig, `gateway-${round}`, messages), messages))
    say(`round ${round} of ${ROUNDS}: bare consumer`)
    bare.push(await bareRate(rig, await fill(rig, `bare-${round}`, messages), messages))
  }
  const note = `median of ${ROUNDS} rounds in turns, ${messages} messages each`
  return [
    { what: 'durable intake', value: median(ours), unit: '/s', target: { atLeast: 3_000 }, note },
    {
      what: 'of a bare consumer that acknowledges',
      value: median(ours.map((our, round) => our / (bare[round] ?? Number.NaN))),
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
        people.publishAsync(name, JSON.stringify({ ...BODY, number }), {
          qos: 1,
          properties: { contentType: 'application/json', userProperties: { id: `m-${number}`, user_id: `user-${number % USERS}` } },
        }),
      ),
    )
  }
  return name
}

async function gatewayRate(options: BenchOptions, { mosquitto }: Rig, name: string, count: number): Promise<number> {
  const { config } = await startSilentModel(options)
  const account = { kind: 'mqtt', url: mosquitto.url(), topic: name, client_id: name }
  const gateway = await startGateway(options, { config: { ...config, channels: { bench: account } } })
  const perSecond = await rate(gateway, count)
  await gateway.kill9()
  return perSecond
}

/** From the first acceptance that is seen to the last. */
async function rate(gateway: GatewayProcess, count: number): Promise<number> {
  let first: { readonly at: number; readonly accepted: number } | null = null
  for (const deadline = Date.now() + WITHIN_MS; Date.now() < deadline; await delay(LOOK_MS)) {
    const text = await (await gateway.fetch('/api/metrics')).text()
    const line = /^openclaw_messages_total\{[^}]*channel="bench"[^}]*direction="in"[^}]*status="accepted"[^}]*\} (\d+)/m.exec(text)
    const accepted = Number(line?.[1] ?? 0)
    const at = performance.now()
    if (accepted > 0) first ??= { at, accepted }
    if (accepted >= count && first !== null) return ((count - first.accepted) / (at - first.at)) * 1_000
  }
  throw new Error(`${count} messages were not accepted within ${WITHIN_MS} ms`)
}

async function bareRate({ mosquitto }: Rig, name: string, count: number): Promise<number> {
  const child = startChild([join(import.meta.dirname, 'bare-mqtt.ts'), mosquitto.url(), name, String(count)])
  try {
    const [, perSecond] = await child.said(/read (\d+) a second/, WITHIN_MS)
    return Number(perSecond)
  } finally {
    await child.kill9()
  }
}
