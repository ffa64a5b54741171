/**
 * The outside of the Telegram channel: a fake Bot API with Ann, Bob and their team on it. In webhook mode a forwarder stands for
 * the proxy at the public address, behind which one gateway follows another.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Mishap, Saying } from '../../contract/channel-world.ts'
import { FakeTelegram } from '../../fakes/telegram.ts'
import type { Misfortune } from '../../fakes/telegram.ts'
import type { Message } from '../../fakes/telegram-world.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import { News } from '../../support/news.ts'

const SECRET = 'webhook-secret-of-the-suite'
const CHATS: { readonly [name: string]: number } = { ann: 71, bob: 72, team: -500 }
const RATE_MS = 2_000
const MISHAPS: { readonly [kind in Mishap]: Misfortune } = {
  permanent: { do: 'refuse', code: 403, description: 'Forbidden: bot was blocked by the user' },
  transient: { do: 'page', code: 502 },
  rate: { do: 'refuse', code: 429, description: 'Too Many Requests: retry after 2', parameters: { retry_after: RATE_MS / 1_000 } },
  lost: { do: 'lose' },
}

export class TelegramWorld implements ChannelWorld {
  readonly settings: JsonObject
  readonly strangers: boolean = true
  readonly resend = 'none' as const
  readonly secrets: readonly string[]
  readonly lacks: ChannelWorld['lacks']
  readonly maxText: number = 4_096
  // One message a second to a chat.
  readonly most: number = 12
  readonly rateMs: number = RATE_MS
  readonly #fake: FakeTelegram
  readonly #news = new News()
  readonly #said = new Map<string, Message>()
  #gateway: GatewayProcess | null = null

  private constructor(fake: FakeTelegram, webhookUrl: string | null) {
    this.#fake = fake
    this.secrets = webhookUrl === null ? [fake.token] : [fake.token, SECRET]
    this.settings = {
      kind: 'telegram',
      token: fake.token,
      api_root: fake.root,
      ...(webhookUrl === null ? {} : { mode: 'webhook', webhook_url: webhookUrl, webhook_secret: SECRET }),
    }
    this.lacks = webhookUrl === null ? {} : { cut: 'Telegram connects to us, for each message anew' }
    for (const [name, id] of Object.entries(CHATS)) {
      if (id < 0) fake.world.group(id, { title: name })
      else fake.world.person(id, { name, username: name })
    }
    fake.listen(this.#news.tell)
  }

  static async open(scope: Scope, mode: 'polling' | 'webhook' = 'polling'): Promise<TelegramWorld> {
    const fake = new FakeTelegram()
    fake.updates.webhookDelayMs = 100
    await fake.start()
    scope.after(() => fake.stop())
    if (mode === 'polling') return new TelegramWorld(fake, null)
    const url = await forwarder(scope, () => world.#gateway)
    const world = new TelegramWorld(fake, url)
    return world
  }

  async attach(gateway: GatewayProcess): Promise<void> {
    this.#gateway = gateway
    const { updates } = this.#fake
    const connected = this.#fake.until(
      () => this.#fake.livePolls > 0 || updates.webhook !== null || this.#fake.unauthorized > 0,
      'the gateway to connect',
    )
    await Promise.race([connected, gateway.ended])
  }

  async says(text: string, { from = 'ann', group, mention = false }: Saying = {}): Promise<string> {
    const said = this.#fake.say({ chat: chatOf(group ?? from), from: chatOf(from), text: mention ? `@gate_bot ${text}` : text })
    const key = keyOf(said)
    this.#said.set(key, said)
    return key
  }

  async redeliver(key: string): Promise<void> {
    const message = this.#message(key)
    this.#fake.updates.add('message', message.chat.id, message)
  }

  unacknowledged(): readonly string[] {
    return this.#fake.updates.pending.map((update) => {
      const message = (update['message'] ?? update['edited_message']) as Message
      return message.chat === null ? `update ${update.update_id}` : keyOf(message)
    })
  }

  arrived(): readonly Arrived[] {
    return this.#fake.sent.map(({ id, chat, text, html, at }) => ({ id: `${chat}:${id}`, chat: nameOf(chat), text, raw: html ?? text, at }))
  }

  changed(): Promise<void> {
    return this.#news.changed()
  }

  mishap(kind: Mishap, times = 1, after = 0): void {
    this.#fake.fail('sendMessage', MISHAPS[kind], { times, after })
  }

  async cut(): Promise<void> {
    this.#fake.cut()
  }

  connections(): number {
    return this.#fake.livePolls
  }

  async echo({ id }: Arrived): Promise<void> {
    const [chat = '', messageId] = id.split(':')
    this.#fake.updates.add('message', Number(chat), this.#fake.world.find(Number(chat), Number(messageId)))
  }

  async edit(key: string, text: string): Promise<void> {
    this.#fake.edit(this.#message(key), text)
  }

  async garbage(): Promise<void> {
    this.#fake.updates.add('message', 71, { message_id: 1, text: 7, chat: null })
  }

  async refuseCredentials(): Promise<void> {
    this.#fake.isTokenRevoked = true
  }

  refusals(): number {
    return this.#fake.unauthorized
  }

  #message(key: string): Message {
    const message = this.#said.get(key)
    if (message === undefined) throw new Error(`nobody said ${key}`)
    return message
  }
}

const keyOf = ({ chat, message_id: id }: Message): string => `${chat.id}:${id}`

function chatOf(name: string): number {
  const id = CHATS[name]
  if (id === undefined) throw new Error(`nobody is called ${name}`)
  return id
}

const nameOf = (chat: number): string => Object.entries(CHATS).find(([, id]) => id === chat)?.[0] ?? String(chat)

/** Its address; what comes there goes to the gateway of the moment, with its headers. */
async function forwarder(scope: Scope, gateway: () => GatewayProcess | null): Promise<string> {
  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body: Buffer[] = []
    for await (const chunk of request) body.push(chunk as Buffer)
    const secret = request.headers['x-telegram-bot-api-secret-token']
    const status = await fetch(`${gateway()?.url}/v1/channels/wire/webhook`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(typeof secret === 'string' ? { 'x-telegram-bot-api-secret-token': secret } : {}) },
      body: Buffer.concat(body),
    }).then(
      (answer) => answer.status,
      () => 502,
    )
    response.writeHead(status).end()
  }
  const server = createServer((request, response) => void forward(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.after(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
}
