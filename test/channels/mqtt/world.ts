/**
 * The outside of the MQTT channel: a real Mosquitto, people who publish and read the replies, and a proxy before it that sees what
 * is acknowledged and breaks the line.
 */
import { connectAsync } from 'mqtt'
import type { IPublishPacket, MqttClient } from 'mqtt'
import { parser } from 'mqtt-packet'
import type { Packet } from 'mqtt-packet'
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Mishap, Saying } from '../../contract/channel-world.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import type { Mosquitto } from '../../support/mosquitto.ts'
import { News } from '../../support/news.ts'
import { TcpProxy, type Direction } from '../../support/tcp-proxy.ts'

let count = 0
const PASSWORD = 'let-me-in-please'

interface Said {
  readonly topic: string
  readonly payload: string
  readonly responseTopic: string
  readonly contentType: string
  readonly userProperties: { readonly [name: string]: string }
}
interface Planned {
  readonly kind: Mishap
  times: number
  after: number
}
/** What one connection of the gateway has been given, by the broker's numbers. */
interface Line {
  readonly given: Map<number, string>
  readonly up: ReturnType<typeof parser>
  readonly down: ReturnType<typeof parser>
  verdict: 'pass' | 'cut'
}

export class MqttWorld implements ChannelWorld {
  static readonly password: string = PASSWORD
  readonly strangers: boolean = false
  readonly resend = 'id' as const
  readonly maxText: null = null
  readonly secrets: readonly string[] = [PASSWORD]
  readonly lacks: ChannelWorld['lacks'] = {
    rate: 'a broker names no time to wait',
    split: 'a reply may have 256 MB',
    groups: 'there are none',
    edits: 'there are none',
  }
  readonly #mosquitto: Mosquitto
  readonly #proxy: TcpProxy
  readonly #people: MqttClient
  readonly #base: string = `w${++count}`
  readonly #news = new News()
  readonly #lines = new Map<number, Line>()
  readonly #said = new Map<string, Said>()
  readonly #open = new Set<string>()
  readonly #arrived: (Arrived & { readonly packet: IPublishPacket })[] = []
  readonly #version: 4 | 5
  #mishap: Planned | null = null
  #subscribed = 0
  #refused = 0
  #isRefused = false
  #opened = 0

  private constructor(mosquitto: Mosquitto, proxy: TcpProxy, people: MqttClient, version: 4 | 5) {
    this.#mosquitto = mosquitto
    this.#proxy = proxy
    this.#people = people
    this.#version = version
    proxy.tap = (bytes, direction, line) => this.#see(bytes, direction, line)
    people.on('message', (topic, payload, packet) => this.#hear(topic, payload, packet))
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
      url: this.#mosquitto.url(this.#proxy.port),
      topic: `${this.#base}/in/#`,
      username: 'tester',
      password: this.#isRefused ? 'not-the-password' : PASSWORD,
      protocol_version: this.#version,
      reply_allow: [`${this.#base}/to/*`],
    }
  }

  async attach(gateway: GatewayProcess): Promise<void> {
    const before = this.#subscribed
    const ended = gateway.ended.then(() => true)
    while (this.#subscribed === before && !(this.#isRefused && this.#refused > 0)) {
      if ((await Promise.race([this.changed(), ended])) === true) return
    }
  }

  async says(text: string, { from = 'ann' }: Saying = {}): Promise<string> {
    const isRefused = this.#mishap?.kind === 'permanent'
    if (isRefused) this.#mishap = null
    const responseTopic = isRefused ? 'somewhere/else' : `${this.#base}/to/${from}`
    return this.#publish({ topic: from, payload: text, responseTopic, contentType: 'text/plain', userProperties: { user_id: from } })
  }

  async redeliver(key: string): Promise<void> {
    const said = this.#said.get(key)
    if (said !== undefined) await this.#give(key, said)
  }

  unacknowledged(): readonly string[] {
    return [...this.#open]
  }

  arrived(): readonly Arrived[] {
    return this.#arrived
  }

  changed(): Promise<void> {
    return this.#news.changed()
  }

  mishap(kind: Mishap, times = 1, after = 0): void {
    this.#mishap = { kind, times, after }
  }

  async cut(): Promise<void> {
    this.#proxy.cut()
  }

  connections(): number {
    return this.#proxy.open
  }

  async echo({ id }: Arrived): Promise<void> {
    const packet = this.#arrived.find((one) => one.id === id)?.packet
    if (packet === undefined) return
    const userProperties = { ...packet.properties?.userProperties } as { [name: string]: string }
    await this.#publish({ topic: 'ann', payload: packet.payload.toString(), responseTopic: '', contentType: 'text/plain', userProperties })
  }

  async garbage(): Promise<void> {
    await this.#publish({ topic: 'ann', payload: '{"never', responseTopic: '', contentType: 'application/json', userProperties: {} })
  }

  async refuseCredentials(): Promise<void> {
    this.#isRefused = true
  }

  refusals(): number {
    return this.#opened
  }

  async edit(): Promise<void> {}

  async #publish(said: Said): Promise<string> {
    const key = `m-${this.#said.size}`
    this.#said.set(key, said)
    await this.#give(key, said)
    return key
  }

  async #give(key: string, { topic, payload, responseTopic, contentType, userProperties }: Said): Promise<void> {
    this.#open.add(key)
    await this.#people.publishAsync(`${this.#base}/in/${topic}`, payload, {
      qos: 1,
      properties: { contentType, userProperties: { ...userProperties, id: key }, ...(responseTopic === '' ? {} : { responseTopic }) },
    })
    this.#news.tell()
  }

  /** As the promise for `id` wants it: a repeat is known by our delivery's id. */
  #hear(topic: string, payload: Buffer, packet: IPublishPacket): void {
    const id = String(packet.properties?.userProperties?.['openclaw-delivery'])
    if (this.#arrived.some((one) => one.id === id)) return
    const text = payload.toString()
    this.#arrived.push({ id, chat: topic.split('/').at(-1) ?? '', text, raw: text, at: Date.now(), packet })
    this.#news.tell()
  }

  #see(bytes: Buffer, direction: Direction, number: number): 'pass' | 'cut' {
    const line = this.#lines.get(number) ?? this.#newLine(number)
    line.verdict = 'pass'
    line[direction].parse(bytes)
    this.#news.tell()
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
    if (packet.cmd === 'publish' && this.#strikes('transient')) line.verdict = 'cut'
    if (packet.cmd !== 'puback' || line.verdict === 'cut') return
    const key = line.given.get(packet.messageId ?? -1)
    if (key !== undefined) this.#open.delete(key)
  }

  #down(packet: Packet, line: Line): void {
    if (packet.cmd === 'puback' && this.#strikes('lost')) line.verdict = 'cut'
    if (packet.cmd === 'suback') this.#subscribed++
    if (packet.cmd === 'connack' && (packet.reasonCode ?? packet.returnCode ?? 0) !== 0) this.#refused++
    if (packet.cmd === 'publish' && packet.messageId !== undefined)
      line.given.set(packet.messageId, String(packet.properties?.userProperties?.['id']))
  }

  #strikes(kind: Mishap): boolean {
    const planned = this.#mishap
    if (planned === null || planned.kind !== kind || planned.after-- > 0) return false
    if (--planned.times === 0) this.#mishap = null
    return true
  }
}
