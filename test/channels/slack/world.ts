/** The outside of a Slack account: people in a workspace, direct messages and one channel, over Socket Mode or over signed requests. */
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Mishap, Saying } from '../../contract/channel-world.ts'
import { FakeSlack } from '../../fakes/slack.ts'
import type { FakeMessage } from '../../fakes/slack-message.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'

const RETRY = { ackMs: 1_000, retryDelaysMs: Array.from({ length: 200 }, () => 200) }
const RATE_S = 2

export class SlackWorld implements ChannelWorld {
  readonly settings: JsonObject
  readonly strangers: boolean = true
  readonly resend = 'confirm' as const
  readonly maxText: number = 4_000
  // One message a second to a channel.
  readonly most: number = 12
  readonly rateMs: number = RATE_S * 1_000
  readonly secrets: readonly string[]
  readonly lacks: ChannelWorld['lacks']
  readonly #fake: FakeSlack
  readonly #isHttp: boolean
  readonly #said = new Map<string, FakeMessage>()
  #isRefused = false

  private constructor(fake: FakeSlack, isHttp: boolean) {
    this.#fake = fake
    this.#isHttp = isHttp
    this.secrets = [fake.botToken, fake.appToken, fake.signingSecret]
    const way = isHttp ? { signing_secret: fake.signingSecret } : { app_token: fake.appToken }
    this.settings = { kind: 'slack', bot_token: fake.botToken, ...way, api_url: fake.apiUrl }
    this.lacks = isHttp ? { cut: 'every event is a request of its own' } : {}
  }

  static async open(scope: Scope, isHttp = false): Promise<SlackWorld> {
    const fake = new FakeSlack({ retry: RETRY })
    await fake.listen()
    scope.after(() => fake.close())
    return new SlackWorld(fake, isHttp)
  }

  async attach(gateway: GatewayProcess): Promise<void> {
    if (this.#isHttp) this.#fake.requests.url = new URL('/v1/channels/wire/events', gateway.url).href
    else if (!this.#isRefused) await this.#fake.until(() => this.#fake.socket.live === 1, 'one socket')
  }

  async says(text: string, { from = 'ann', group, mention = false }: Saying = {}): Promise<string> {
    const channel = group === undefined ? directOf(from) : channelOf(group)
    const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    const words = mention ? `<@${this.#fake.identity.botUser}> ${escaped}` : escaped
    const message = this.#fake.say({ channel, user: userOf(from), text: words })
    const key = keyOf(message)
    this.#said.set(key, message)
    return key
  }

  async redeliver(key: string): Promise<void> {
    this.#fake.repeat(this.#message(key))
  }

  unacknowledged(): readonly string[] {
    const pending = [...this.#fake.socket.unacked, ...this.#fake.requests.pending]
    return [...new Set(pending.map((payload) => keyOf((payload as { readonly event: FakeMessage }).event)))]
  }

  arrived(): readonly Arrived[] {
    return this.#fake.sent.map(({ args, ts }) => {
      const raw = args['text'] ?? ''
      return { id: ts, chat: nameOf(args['channel'] ?? ''), text: shown(raw), raw, at: Number(ts) * 1_000 }
    })
  }

  changed(): Promise<void> {
    return this.#fake.changed()
  }

  mishap(kind: Mishap, times = 1, after = 0): void {
    const post = 'chat.postMessage'
    for (let passed = 0; passed < after; passed++) this.#fake.mishap(post, null)
    switch (kind) {
      case 'permanent':
        return this.#fake.mishap(post, { do: 'error', error: 'is_archived' }, times)
      case 'transient':
        return this.#fake.mishap(post, { do: 'status', status: 503 }, times)
      case 'rate':
        return this.#fake.mishap(post, { do: 'status', status: 429, headers: { 'retry-after': String(RATE_S) } }, times)
      case 'lost':
        return this.#fake.mishap(post, { do: 'lose' }, times)
    }
  }

  async cut(): Promise<void> {
    this.#fake.socket.cut()
  }

  connections(): number {
    return this.#fake.socket.live
  }

  async echo({ id }: Arrived): Promise<void> {
    const message = this.#fake.messages.find(({ ts }) => ts === id)
    if (message !== undefined) this.#fake.repeat(message)
  }

  async edit(key: string, text: string): Promise<void> {
    this.#said.set(key, this.#fake.edit(this.#message(key), text))
  }

  async garbage(): Promise<void> {
    this.#fake.happen({ type: 'event_callback', event_id: 'Ev0GARBAGE', event: { type: 'message', blocks: 7 } })
    this.#fake.socket.say('{"type":')
  }

  async refuseCredentials(): Promise<void> {
    this.#isRefused = true
    this.#fake.revoked.add(this.#fake.botToken)
    this.#fake.revoked.add(this.#fake.appToken)
  }

  refusals(): number {
    return this.#isRefused ? this.#fake.calls.length : 0
  }

  #message(key: string): FakeMessage {
    const message = this.#said.get(key)
    if (message === undefined) throw new Error(`nobody said ${key}`)
    return message
  }
}

const keyOf = ({ channel, ts }: FakeMessage): string => `${channel}:${ts}`
const userOf = (name: string): string => `U0${name.toUpperCase()}`
const directOf = (name: string): string => `D0${name.toUpperCase()}`
const channelOf = (name: string): string => `C0${name.toUpperCase()}`
const nameOf = (channel: string): string => channel.slice(2).toLowerCase()

/** As Slack shows it: links by their words, marks where they stand around words, entities decoded. */
function shown(mrkdwn: string): string {
  return mrkdwn
    .replaceAll(/<(?:[^|<>]*\|)?([^|<>]+)>/g, '$1')
    .replaceAll(/(?<![\w`])`(?=[^`\n]+`(?![\w`]))|(?<=\w)`(?![\w`])/g, '')
    .replaceAll(/(?<![\w*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])/g, '$1')
    .replaceAll(/(?<![\w_])_(\S(?:[^_\n]*\S)?)_(?![\w_])/g, '$1')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}
