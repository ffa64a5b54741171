/**
 * The outside of the AMQP channel: a real RabbitMQ, people who publish to its queue and read the replies from queues of their own, and a
 * proxy before it that sees what is acknowledged and breaks the line.
 */
import type { ConfirmChannel, ConsumeMessage, Options } from 'amqplib'
import { connect } from 'amqplib'
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Mishap, Saying } from '../../contract/channel-world.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import { News } from '../../support/news.ts'
import type { Rabbitmq } from '../../support/rabbitmq.ts'
import { TcpProxy, type Direction } from '../../support/tcp-proxy.ts'
import { Wire } from './wire.ts'

const PEOPLE = ['ann', 'bob']
const NOBODY = 'nobody'
let count = 0

interface Said {
  readonly content: Buffer
  readonly options: Options.Publish
}

interface Planned {
  readonly kind: Mishap
  times: number
  after: number
}

export class AmqpWorld implements ChannelWorld {
  readonly strangers: boolean = false
  readonly resend = 'id' as const
  readonly maxText: null = null
  readonly lacks: ChannelWorld['lacks'] = {
    rate: 'a broker names no time to wait',
    split: 'a reply may have 16 MB',
    groups: 'there are none',
    edits: 'there are none',
  }
  readonly #rabbitmq: Rabbitmq
  readonly #proxy: TcpProxy
  readonly #channel: ConfirmChannel
  readonly #queue: string
  readonly #news = new News()
  readonly #wires = new Map<number, Wire>()
  readonly #said = new Map<string, Said>()
  readonly #open = new Set<string>()
  readonly #arrived: (Arrived & { readonly message: ConsumeMessage })[] = []
  #mishap: Planned | null = null
  #consuming = 0
  #isRefused = false

  private constructor(rabbitmq: Rabbitmq, proxy: TcpProxy, channel: ConfirmChannel, queue: string) {
    this.#rabbitmq = rabbitmq
    this.#proxy = proxy
    this.#channel = channel
    this.#queue = queue
    proxy.tap = (bytes, direction, line) => this.#see(bytes, direction, line)
  }

  static async open(scope: Scope, rabbitmq: Rabbitmq): Promise<AmqpWorld> {
    const queue = `in-${++count}`
    const proxy = await TcpProxy.open(scope, rabbitmq.port)
    const connection = await connect(rabbitmq.url())
    connection.on('error', () => {})
    scope.after(() => connection.close())
    const channel = await connection.createConfirmChannel()
    const world = new AmqpWorld(rabbitmq, proxy, channel, queue)
    await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
    for (const person of PEOPLE) {
      await channel.assertQueue(world.#replyQueue(person), { exclusive: true })
      await channel.consume(world.#replyQueue(person), (message) => world.#hear(person, message), { noAck: true })
    }
    return world
  }

  get settings(): JsonObject {
    const url = this.#rabbitmq.url(this.#proxy.port)
    return {
      kind: 'amqp',
      url: this.#isRefused ? url.replace(this.#rabbitmq.password, 'not-the-password') : url,
      queue: this.#queue,
      reply_allow: ['to-*'],
    }
  }

  get secrets(): readonly string[] {
    return [this.#rabbitmq.password]
  }

  async attach(gateway: GatewayProcess): Promise<void> {
    const before = this.#consuming
    const ended = gateway.ended.then(() => true)
    while (this.#consuming === before && !(this.#isRefused && this.#proxy.opened > 0)) {
      if ((await Promise.race([this.changed(), ended])) === true) return
    }
  }

  async says(text: string, { from = 'ann' }: Saying = {}): Promise<string> {
    const isRefused = this.#mishap?.kind === 'permanent'
    if (isRefused) this.#mishap = null
    return this.#publish(Buffer.from(text), {
      replyTo: this.#replyQueue(isRefused ? NOBODY : from),
      headers: { 'x-user-id': from },
      contentType: 'text/plain',
    })
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
    const message = this.#arrived.find((one) => one.id === id)?.message
    if (message === undefined) return
    const { headers, contentType } = message.properties
    await this.#publish(message.content, { headers, contentType })
  }

  async garbage(): Promise<void> {
    await this.#publish(Buffer.from('{"never'), { contentType: 'application/json' })
  }

  async refuseCredentials(): Promise<void> {
    this.#isRefused = true
  }

  refusals(): number {
    return this.#proxy.opened
  }

  async edit(): Promise<void> {}

  #replyQueue(person: string): string {
    return `to-${person}-${this.#queue}`
  }

  async #publish(content: Buffer, options: Options.Publish): Promise<string> {
    const key = `m-${this.#said.size}`
    const said = { content, options }
    this.#said.set(key, said)
    await this.#give(key, said)
    return key
  }

  async #give(key: string, { content, options }: Said): Promise<void> {
    this.#open.add(key)
    this.#channel.sendToQueue(this.#queue, content, { ...options, messageId: key, persistent: true })
    await this.#channel.waitForConfirms()
    this.#news.tell()
  }

  /** As the promise for `id` wants it: a repeat is known by its message id. */
  #hear(chat: string, message: ConsumeMessage | null): void {
    const id = String(message?.properties.messageId)
    if (message === null || this.#arrived.some((one) => one.id === id)) return
    const text = message.content.toString()
    this.#arrived.push({ id, chat, text, raw: text, at: Date.now(), message })
    this.#news.tell()
  }

  #see(bytes: Buffer, direction: Direction, line: number): 'pass' | 'cut' {
    const wire = this.#wires.get(line) ?? new Wire()
    this.#wires.set(line, wire)
    const seen = wire.read(bytes, direction)
    for (const event of seen) if (this.#strikes(event.is)) return 'cut'
    for (const event of seen) {
      if (event.is === 'consuming') this.#consuming++
      if (event.is === 'settled') for (const id of event.ids) this.#open.delete(id)
    }
    this.#news.tell()
    return 'pass'
  }

  /** Broken before it is published, or after it is done and before that is told. */
  #strikes(event: string): boolean {
    const planned = this.#mishap
    if (planned === null || event !== (planned.kind === 'transient' ? 'publish' : planned.kind === 'lost' ? 'confirmed' : '')) return false
    if (planned.after-- > 0) return false
    if (--planned.times === 0) this.#mishap = null
    return true
  }
}
