/** What the tests of the Telegram channel are given: a fake Telegram, a hub in memory, and the channel between them. */
import type { Channel, DeliveryId, Inbound, JsonObject, Part, Rendered } from '#contract'
import { newDeliveryId } from '#contract'
import { telegram } from '../../../channels/telegram/telegram.ts'
import { FakeTelegram } from '../../fakes/telegram.ts'
import { MemoryHost } from '../../support/channel-host.ts'

export const ANN = 71
export const BOB = 72
export const TEAM = -500
export const FORUM = -1_005_550_000_000

export class Given {
  readonly fake: FakeTelegram
  readonly host: MemoryHost = new MemoryHost('tg')
  channel: Channel

  private constructor(fake: FakeTelegram, settings: JsonObject) {
    this.fake = fake
    this.channel = telegram.create('tg', settings)
  }

  static async open(more: JsonObject = {}): Promise<Given> {
    const fake = new FakeTelegram()
    const root = await fake.start()
    fake.world.person(ANN, { name: 'Ann', username: 'AnnA' })
    fake.world.person(BOB, { name: 'Bob' })
    fake.world.group(TEAM, { title: 'Team' })
    fake.world.group(FORUM, { title: 'Forum', isForum: true })
    return new Given(fake, { token: fake.token, api_root: root, ...more })
  }

  async start(): Promise<void> {
    await this.channel.start(this.host, new AbortController().signal)
    await this.fake.until(() => this.fake.updates.isPolled, 'a poll')
  }

  /** Another run of the gateway over what the last one stored. */
  async restart(): Promise<void> {
    await this.channel.stop()
    this.channel = telegram.create('tg', { token: this.fake.token, api_root: this.fake.root })
    await this.start()
  }

  async close(): Promise<void> {
    this.host.release()
    await this.channel.stop()
    await this.fake.stop()
  }

  /** The message that is handed in as the `count`th. */
  async handed(count: number): Promise<Inbound> {
    await this.host.handedIn(count)
    const message = this.host.handed[count - 1]
    if (message === undefined) throw new Error('nothing was handed in')
    return message
  }

  confirmed(): Promise<void> {
    return this.fake.until(() => this.fake.updates.pending.length === 0, 'the confirmation')
  }

  /** Moves the clock as soon as somebody waits for exactly so long. */
  async pass(ms: number): Promise<void> {
    await this.host.clock.timerAt(this.host.clock.now() + ms)
    this.host.clock.advance(ms)
  }

  /** A part as the hub would send it. */
  part(to: Part['to'], rendered: Rendered, more: Partial<Part> = {}): Part {
    const id: DeliveryId = newDeliveryId(1)
    return { id, seq: 1, messageId: null, lane: to.chat, to, rendered, index: 0, of: 1, attempt: 1, ...more }
  }
}

export const NEVER: AbortSignal = new AbortController().signal
