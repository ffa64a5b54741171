/**
 * The official WhatsApp Cloud API: messages come by signed webhook and are answered 200 once they are durable, all of one request
 * in one transaction; replies go out by the Graph API. A send whose answer is lost is confirmed by the status that
 * WhatsApp posts for it, which carries our delivery's id.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { ChannelFault, DeniedError, NotFoundError, UnavailableError, describeError, isJsonObject, starDialect } from '#contract'
import type {
  Address,
  Capabilities,
  Channel,
  ChannelHost,
  ChannelKind,
  Confirmation,
  HttpReply,
  HttpRequest,
  JsonObject,
  Media,
  MediaRef,
  Part,
  Route,
  Sent,
} from '#contract'
import { Graph } from './graph.ts'
import { readNotification } from './notification.ts'
import { Seen } from './seen.ts'

export const whatsappCloud: ChannelKind = {
  schema: {
    type: 'object',
    properties: {
      access_token: { type: 'string', minLength: 1, description: 'Token of a system user with whatsapp_business_messaging.' },
      phone_number_id: { type: 'string', minLength: 1, description: 'Id of the number, not the number itself.' },
      app_secret: { type: 'string', minLength: 1, description: 'Secret of the Meta app; proves that a webhook comes from Meta.' },
      verify_token: { type: 'string', minLength: 1, description: 'The words you type into Verify token of the webhook.' },
      api_url: { type: 'string', format: 'uri', default: 'https://graph.facebook.com', description: 'Where the Graph API is.' },
      api_version: { type: 'string', pattern: '^v[0-9]+\\.[0-9]+$', default: 'v25.0', description: 'Version of the Graph API.' },
    },
    required: ['access_token', 'phone_number_id', 'app_secret', 'verify_token'],
    additionalProperties: false,
  },
  create: (name, settings) => new WhatsAppCloud(name, settings as unknown as Settings),
}

interface Settings {
  readonly access_token: string
  readonly phone_number_id: string
  readonly app_secret: string
  readonly verify_token: string
  readonly api_url: string
  readonly api_version: string
}

class WhatsAppCloud implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    resend: 'confirm',
    text: { max: 4_096, unit: 'utf16', dialect: starDialect },
    // 80 a second for a number; to one person one in six seconds, after a burst.
    rate: { account: { count: 80, perMs: 1_000 }, chat: { count: 10, perMs: 60_000 } },
    strangers: true,
    // The sign disappears after 25 seconds.
    typingMs: 20_000,
    threads: false,
    groups: false,
    media: true,
  }
  readonly routes: readonly Route[]
  readonly #name: string
  readonly #settings: Settings
  readonly #graph: Graph
  #host: ChannelHost | null = null
  #seen: Seen | null = null
  #isPaused = false
  readonly #running = new Set<Promise<unknown>>()

  constructor(name: string, settings: Settings) {
    this.#name = name
    this.#settings = settings
    this.#graph = new Graph({
      root: `${settings.api_url.replace(/\/$/, '')}/${settings.api_version}`,
      accessToken: settings.access_token,
      channel: name,
    })
    const path = `/v1/channels/${name}/webhook`
    const route = { path, permission: 'signed', tag: 'webhooks', responses: { 200: { description: 'Taken in' } } } as const
    this.routes = [
      { ...route, method: 'GET', summary: 'Meta checks the webhook', query: VERIFICATION, handle: (request) => this.#verify(request) },
      {
        ...route,
        method: 'POST',
        summary: 'Meta hands in messages and statuses',
        handle: (request) => this.#counted(this.#notified(request)),
      },
    ]
  }

  async start(host: ChannelHost, signal: AbortSignal): Promise<void> {
    const { phone_number_id: number } = this.#settings
    this.#seen = await Seen.load(host)
    this.#host = host
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.#graph.call('GET', `${encodeURIComponent(number)}?fields=id`, null, signal)
        host.status('open')
        return
      } catch (error) {
        if (error instanceof ChannelFault && !error.retryable) throw refused(this.#name, error)
        // Webhooks are taken in all the same.
        host.status('connecting', describeError(error).message)
        await host.backoff(attempt, signal).catch(() => undefined)
      }
    }
  }

  async stop(): Promise<void> {
    this.#host = null
    await Promise.allSettled(this.#running)
  }

  async send(part: Part, signal: AbortSignal): Promise<Sent> {
    const { phone_number_id: number } = this.#settings
    const { to, rendered, id } = part
    const template = isJsonObject(rendered.extra) && isJsonObject(rendered.extra['template']) ? rendered.extra['template'] : null
    const answer = await this.#graph.call(
      'POST',
      `${encodeURIComponent(number)}/messages`,
      {
        messaging_product: 'whatsapp',
        recipient_type: 'individual',
        to: to.chat,
        ...(template === null ? { type: 'text', text: { body: rendered.text, preview_url: false } } : { type: 'template', template }),
        ...(to.replyTo === undefined ? {} : { context: { message_id: to.replyTo } }),
        biz_opaque_callback_data: id,
      },
      signal,
    )
    const [message] = Array.isArray(answer['messages']) ? answer['messages'] : []
    this.#seen?.answered(id)
    return { id: isJsonObject(message) && typeof message['id'] === 'string' ? message['id'] : null }
  }

  /** There is no question one could ask; the status says it, soon if at all. */
  confirm({ id }: Part): Promise<Confirmation> {
    const platformId = this.#seen?.platformIdOf(id) ?? null
    if (platformId !== null) return Promise.resolve({ outcome: 'sent', id: platformId })
    return Promise.reject(
      new ChannelFault('WhatsApp has not told yet whether it has the message.', {
        code: 'WHATSAPP_CLOUD_UNREACHABLE',
        fault: { is: 'transient', maybeSent: true },
      }),
    )
  }

  /** Marks what was said as read, too: there is no other way to show it. */
  async typing({ correlation }: Address, on: boolean): Promise<void> {
    if (!on || correlation === undefined) return
    const body: JsonObject = { messaging_product: 'whatsapp', status: 'read', message_id: correlation, typing_indicator: { type: 'text' } }
    await this.#graph.call('POST', `${encodeURIComponent(this.#settings.phone_number_id)}/messages`, body, AbortSignal.timeout(10_000))
  }

  async media(ref: MediaRef, signal: AbortSignal): Promise<Media> {
    const { access_token: token, api_url: trusted } = this.#settings
    const { url } = await this.#graph.call('GET', encodeURIComponent(ref.id), null, signal)
    if (typeof url !== 'string') throw new NotFoundError('WhatsApp has it no longer.', { code: 'MEDIA_GONE' })
    const { bytes } = await this.#opened().fetch({ url, trusted, headers: { authorization: `Bearer ${token}` }, signal })
    return { bytes, mediaType: ref.media_type }
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
  }

  /** Meta's "verification request". */
  #verify({ query }: HttpRequest): HttpReply {
    const token = query['hub.verify_token']
    if (query['hub.mode'] !== 'subscribe' || typeof token !== 'string' || !same(token, this.#settings.verify_token)) throw unproven()
    return { status: 200, text: String(query['hub.challenge'] ?? ''), contentType: 'text/plain; charset=utf-8' }
  }

  async #notified({ headers, raw }: HttpRequest): Promise<HttpReply> {
    const expected = `sha256=${createHmac('sha256', this.#settings.app_secret).update(raw).digest('hex')}`
    if (!same(headers['x-hub-signature-256'] ?? '', expected)) throw unproven()
    const host = this.#opened()
    if (this.#isPaused) throw closed(this.#name)
    const body = parse(raw)
    // Signed by Meta and yet no JSON: nothing that a repeat could mend.
    if (body === null) return { status: 200, body: {} }
    const { messages, statuses } = readNotification(body, this.#settings.phone_number_id)
    const state = this.#seen?.note(statuses) ?? {}
    await host.acceptAll(messages, state)
    for (const { platformId, news } of statuses) if (news !== null) await host.update(platformId, news)
    return { status: 200, body: {} }
  }

  #opened(): ChannelHost {
    if (this.#host === null) throw closed(this.#name)
    return this.#host
  }

  async #counted<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    try {
      return await work
    } finally {
      this.#running.delete(work)
    }
  }
}

const TEXT: JsonObject = { type: 'string' }
const VERIFICATION = { 'hub.mode': TEXT, 'hub.challenge': TEXT, 'hub.verify_token': TEXT }

const closed = (name: string): UnavailableError =>
  new UnavailableError(`Channel "${name}" takes in nothing now. Try again.`, { code: 'CHANNEL_CLOSED' })

const unproven = (): DeniedError =>
  new DeniedError('The request is not signed with the secret of this channel.', { code: 'SIGNATURE_INVALID', reason: 'forbidden' })

const refused = (name: string, cause: ChannelFault): ChannelFault =>
  new ChannelFault(`The Cloud API refused channel "${name}". Check \`channels.${name}.access_token\` and \`phone_number_id\`.`, {
    code: 'WHATSAPP_CLOUD_AUTH',
    fault: { is: 'auth' },
    cause,
  })

/** In constant time whatever was given. */
function same(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => createHmac('sha256', 'compare').update(text).digest())
  return a !== undefined && b !== undefined && timingSafeEqual(a, b)
}

function parse(raw: Uint8Array): JsonObject | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw))
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}
