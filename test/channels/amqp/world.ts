/**
 * The outside of the AMQP channel: a real RabbitMQ, people who publish to its queue and read the replies from queues of their own, and a
 * proxy before it that sees what is acknowledged and breaks the line.
 */
import type { ConfirmChannel, ConsumeMessage, Options } from 'amqplib'
import { connect } from 'amqplib'
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Saying } from '../../contract/channel-world.ts'
import type { Scope } from '../../support/gateway-process.ts'
import type { Rabbitmq } from '../../support/rabbitmq.ts'
import { TcpProxy, type Direction } from '../../support/tcp-proxy.ts'
import { BrokerWorld } from '../broker-world.ts'
import { Wire } from './wire.ts'

const PEOPLE = ['ann', 'bob']
const NOBODY = 'nobody'
let count = 0

interface Said {
  readonly content: Buffer
  readonly options: Options.Publish
}

export class AmqpWorld extends BrokerWorld<Said, ConsumeMessage> {
  readonly lacks: ChannelWorld['lacks'] = {
    rate: 'a broker names no time to wait',
    split: 'a reply may have 16 MB',
    groups: 'there are none',
    edits: 'there are none',
  }
  readonly #rabbitmq: Rabbitmq
  readonly #channel: ConfirmChannel
  readonly #queue: string
  readonly #wires = new Map<number, Wire>()

  private constructor(rabbitmq: Rabbitmq, proxy: TcpProxy, channel: ConfirmChannel, queue: string) {
    super(proxy)
    this.#rabbitmq = rabbitmq
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
      await channel.consume(world.#replyQueue(person), (message) => world.#receive(person, message), { noAck: true })
    }
    return world
  }

  get settings(): JsonObject {
    const url = this.#rabbitmq.url(this.proxy.port)
    return {
      kind: 'amqp',
      url: this.isRefused ? url.replace(this.#rabbitmq.password, 'not-the-password') : url,
      queue: this.#queue,
      reply_allow: ['to-*'],
    }
  }

  get secrets(): readonly string[] {
    return [this.#rabbitmq.password]
  }

  async says(text: string, { from = 'ann' }: Saying = {}): Promise<string> {
    return this.publish({
      content: Buffer.from(text),
      options: {
        replyTo: this.#replyQueue(this.isForNobody() ? NOBODY : from),
        headers: { 'x-user-id': from },
        contentType: 'text/plain',
      },
    })
  }

  async echo(arrived: Arrived): Promise<void> {
    const message = this.messageOf(arrived)
    if (message === undefined) return
    const { headers, contentType } = message.properties
    await this.publish({ content: message.content, options: { headers, contentType } })
  }

  async garbage(): Promise<void> {
    await this.publish({ content: Buffer.from('{"never'), options: { contentType: 'application/json' } })
  }

  refusals(): number {
    return this.proxy.opened
  }

  protected async give(key: string, { content, options }: Said): Promise<void> {
    this.#channel.sendToQueue(this.#queue, content, { ...options, messageId: key, persistent: true })
    await this.#channel.waitForConfirms()
  }

  #replyQueue(person: string): string {
    return `to-${person}-${this.#queue}`
  }

  #receive(chat: string, message: ConsumeMessage | null): void {
    if (message !== null) this.hear({ id: String(message.properties.messageId), chat, text: message.content.toString(), message })
  }

  #see(bytes: Buffer, direction: Direction, line: number): 'pass' | 'cut' {
    const wire = this.#wires.get(line) ?? new Wire()
    this.#wires.set(line, wire)
    const seen = wire.read(bytes, direction)
    for (const { is } of seen) {
      const kind = is === 'publish' ? 'transient' : is === 'confirmed' ? 'lost' : null
      if (kind !== null && this.strikes(kind)) return 'cut'
    }
    for (const event of seen) if (event.is === 'settled') for (const id of event.ids) this.settled(id)
    this.news.tell()
    return 'pass'
  }
}
