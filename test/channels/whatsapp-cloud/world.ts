/** The outside of the WhatsApp Cloud API channel: Meta's servers as a fake, and people with phones behind them. */
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Mishap, Saying } from '../../contract/channel-world.ts'
import { ACCESS_TOKEN, APP_SECRET, PHONE_NUMBER_ID, WhatsAppCloudServer, seconds } from '../../fakes/whatsapp-cloud.ts'
import type { CloudMishap } from '../../fakes/whatsapp-cloud.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import { News } from '../../support/news.ts'

const MISHAPS: { readonly [kind in Mishap]: CloudMishap } = {
  permanent: { kind: 'error', status: 400, code: 131_026 },
  transient: { kind: 'error', status: 500, code: 131_000 },
  rate: { kind: 'error', status: 429, code: 131_056, retryAfter: 1 },
  lost: { kind: 'lost' },
}
const PEOPLE: { readonly [name: string]: string } = { ann: '15550001111', bob: '15550002222' }

export class CloudWorld implements ChannelWorld {
  readonly fake: WhatsAppCloudServer
  readonly strangers: boolean = true
  readonly resend = 'confirm' as const
  readonly secrets: readonly string[] = [ACCESS_TOKEN, APP_SECRET, 'verify-me-please']
  readonly maxText: number = 4_096
  readonly most: number = 10
  readonly lacks: ChannelWorld['lacks'] = {
    cut: 'webhooks are requests of their own',
    groups: 'the Cloud API has none',
    echo: 'what we sent is never given back',
    edits: 'the Cloud API tells of none',
  }
  readonly #news = new News()

  private constructor(fake: WhatsAppCloudServer) {
    this.fake = fake
    fake.onEvent = this.#news.tell
  }

  static async open(scope: Scope): Promise<CloudWorld> {
    const fake = await WhatsAppCloudServer.open()
    scope.after(() => fake.close())
    return new CloudWorld(fake)
  }

  get settings(): JsonObject {
    return {
      kind: 'whatsapp-cloud',
      access_token: ACCESS_TOKEN,
      phone_number_id: PHONE_NUMBER_ID,
      app_secret: APP_SECRET,
      verify_token: 'verify-me-please',
      api_url: this.fake.url,
    }
  }

  async attach(gateway: GatewayProcess): Promise<void> {
    this.fake.webhook = `${gateway.url}/v1/channels/wire/webhook`
  }

  async says(text: string, { from = 'ann' }: Saying = {}): Promise<string> {
    const id = this.fake.newId()
    this.#say(id, { from: PEOPLE[from], id, timestamp: seconds(), type: 'text', text: { body: text } })
    return id
  }

  async redeliver(key: string): Promise<void> {
    const message = this.#said.get(key)
    if (message !== undefined) this.#say(key, message)
  }

  readonly #said = new Map<string, { readonly [member: string]: unknown }>()
  #say(id: string, message: { readonly [member: string]: unknown }): void {
    this.#said.set(id, message)
    this.fake.notify(id, { contacts: [{ profile: { name: 'Somebody' }, wa_id: message['from'] }], messages: [message] })
  }

  unacknowledged(): readonly string[] {
    return [...this.fake.waiting]
  }

  arrived(): readonly Arrived[] {
    return this.fake.sent.map(({ id, to, body, at }) => {
      const raw = (body['text'] as { readonly body?: string } | undefined)?.body ?? ''
      const chat = Object.entries(PEOPLE).find(([, number]) => number === to)?.[0] ?? to
      return { id, chat, raw, text: raw, at }
    })
  }

  changed(): Promise<void> {
    return this.#news.changed()
  }

  mishap(kind: Mishap, times = 1, after = 0): void {
    for (let n = 0; n < after; n++) this.fake.mishaps.push({ kind: 'none' })
    for (let n = 0; n < times; n++) this.fake.mishaps.push(MISHAPS[kind])
  }

  async garbage(): Promise<void> {
    this.fake.notify('garbage', { messages: [{ from: '15550001111', type: 'unsupported', errors: [{ code: 131_051 }] }] })
  }

  async refuseCredentials(): Promise<void> {
    this.fake.isTokenValid = false
  }

  refusals(): number {
    return this.fake.refused
  }

  connections(): number {
    return 0
  }
  async cut(): Promise<void> {}
  async echo(): Promise<void> {}
  async edit(): Promise<void> {}
}
