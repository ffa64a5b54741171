/**
 * The outside of the MQTT channel: a real Mosquitto, people who publish and read the replies, and a proxy before it that sees what
 * is acknowledged and breaks the line.
 */
import { connectAsync } from 'mqtt'
import type { IPublishPacket, MqttClient } from 'mqtt'
import { parser } from 'mqtt-packet'
import type { Packet } from 'mqtt-packet'
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Saying } from '../../contract/channel-world.ts'
import type { Scope } from '../../support/gateway-process.ts'
import type { Mosquitto } from '../../support/mosquitto.ts'
import { TcpProxy, type Direction } from '../../support/tcp-proxy.ts'
import { BrokerWorld } from '../broker-world.ts'

let count = 0
const PASSWORD = 'let-me-in-please'

interface Said {
  readonly topic: string
  readonly payload: string
  readonly responseTopic: string
  readonly contentType: string
  readonly userProperties: { readonly [name: string]: string }
}
/** What one connection of the gateway has been given, by the broker's numbers. */
interface Line {
  readonly given: Map<number, string>
  readonly up: ReturnType<typeof parser>
  readonly down: ReturnType<typeof parser>
  verdict: 'pass' | 'cut'
}

export class MqttWorld extends BrokerWorld<Said, IPublishPacket> {
  static readonly password: string = PASSWORD
  readonly secrets: readonly string[] = [PASSWORD]
  readonly lacks: ChannelWorld['lacks'] = {
    rate: 'a broker names no time to wait',
    split: 'a reply may have 256 MB',
    groups: 'there are none',
    edits: 'there are none',
  }
  readonly #mosquitto: Mosquitto
  readonly #people: MqttClient
  readonly #base: string = `w${++count}`
  readonly #lines = new Map<number, Line>()
  readonly #version: 4 | 5
  #opened = 0

  private constructor(mosquitto: Mosquitto, proxy: TcpProxy, people: MqttClient, version: 4 | 5) {
    super(proxy)
    this.#mosquitto = mosquitto
    this.#people = people
    this.#version = version
    proxy.tap = (bytes, direction, line) => this.#see(bytes, direction, line)
    people.on('message', (topic, payload, packet) => this.#receive(topic, payload, packet))
  }

  static async open(scope: Scope, mosquitto: Mosquitto, version: 4 | 5 = 5): Promise<MqttWorld> {
    const proxy = await TcpProxy.open(scope, mosquitto.port)
    const people = await connectAsync(mosquitto.url(), { protocolVersion: 5, username: 'tester', password: PASSWORD })
    people.on('error', () => {})
    scope.after(() => people.endAsync(true))
    const world = new MqttWorld(mosquitto, proxy, people, version)
    await people.subscribeAsync(`${world.#base}/to/#`, { qos: 1 })
    return world
  }

  get settings(): JsonObject {
    return {
      kind: 'mqtt',
      url: this.#mosquitto.url(this.proxy.port),
      topic: `${this.#base}/in/#`,
      username: 'tester',
      password: this.isRefused ? 'not-the-password' : PASSWORD,
      protocol_version: this.#version,
      reply_allow: [`${this.#base}/to/*`],
    }
  }

  async says(text: string, { from = 'ann' }: Saying = {}): Promise<string> {
    const responseTopic = this.isForNobody() ? 'somewhere/else' : `${this.#base}/to/${from}`
    return this.publish({ topic: from, payload: text, responseTopic, contentType: 'text/plain', userProperties: { user_id: from } })
  }

  async echo(arrived: Arrived): Promise<void> {
    const packet = this.messageOf(arrived)
    if (packet === undefined) return
    const userProperties = { ...packet.properties?.userProperties } as { [name: string]: string }
    await this.publish({ topic: 'ann', payload: packet.payload.toString(), responseTopic: '', contentType: 'text/plain', userProperties })
  }

  async garbage(): Promise<void> {
    await this.publish({ topic: 'ann', payload: '{"never', responseTopic: '', contentType: 'application/json', userProperties: {} })
  }

  refusals(): number {
    return this.#opened
  }

  protected async give(key: string, { topic, payload, responseTopic, contentType, userProperties }: Said): Promise<void> {
    await this.#people.publishAsync(`${this.#base}/in/${topic}`, payload, {
      qos: 1,
      properties: { contentType, userProperties: { ...userProperties, id: key }, ...(responseTopic === '' ? {} : { responseTopic }) },
    })
  }

  #receive(topic: string, payload: Buffer, message: IPublishPacket): void {
    const id = String(message.properties?.userProperties?.['openclaw-delivery'])
    this.hear({ id, chat: topic.split('/').at(-1) ?? '', text: payload.toString(), message })
  }

  #see(bytes: Buffer, direction: Direction, number: number): 'pass' | 'cut' {
    const line = this.#lines.get(number) ?? this.#newLine(number)
    line.verdict = 'pass'
    line[direction].parse(bytes)
    this.news.tell()
    return line.verdict
  }

  #newLine(number: number): Line {
    const options = { protocolVersion: this.#version }
    const line: Line = { given: new Map(), up: parser(options), down: parser(options), verdict: 'pass' }
    line.up.on('packet', (packet: Packet) => this.#up(packet, line))
    line.down.on('packet', (packet: Packet) => this.#down(packet, line))
    this.#lines.set(number, line)
    this.#opened++
    return line
  }

  #up(packet: Packet, line: Line): void {
    if (packet.cmd === 'publish' && this.strikes('transient')) line.verdict = 'cut'
    if (packet.cmd !== 'puback' || line.verdict === 'cut') return
    const key = line.given.get(packet.messageId ?? -1)
    if (key !== undefined) this.settled(key)
  }

  #down(packet: Packet, line: Line): void {
    if (packet.cmd === 'puback' && this.strikes('lost')) line.verdict = 'cut'
    if (packet.cmd === 'publish' && packet.messageId !== undefined)
      line.given.set(packet.messageId, String(packet.properties?.userProperties?.['id']))
  }
}
