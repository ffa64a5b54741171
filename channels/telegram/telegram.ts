/**
 * The channel of one Telegram bot: its settings, its start and end, what is sent. What comes in is fetched by poll.ts or posted to
 * webhook.ts, and handed in by intake.ts.
 */
import { ChannelFault, NotFoundError, UnavailableError } from '#contract'
import type { Address, Capabilities, Channel, ChannelHost, ChannelKind, JsonObject, Media, MediaRef, Part, Route, Sent } from '#contract'
import type { RawApi } from 'grammy'
import type { Update } from 'grammy/types'
import { BotApi, PUBLIC_ROOT } from './bot-api.ts'
import { dialect } from './dialect.ts'
import { faultOf } from './fault.ts'
import { Intake, KINDS } from './intake.ts'
import { MAX_FILE_BYTES } from './media.ts'
import { Migrations } from './migration.ts'
import { sitOut } from './outage.ts'
import { Poller } from './poll.ts'
import { webhookRoute } from './webhook.ts'

export const telegram: ChannelKind = {
  schema: {
    type: 'object',
    properties: {
      token: { type: 'string', pattern: '^[0-9]+:[A-Za-z0-9_-]+$', description: 'What BotFather gave for the bot.' },
      api_root: {
        type: 'string',
        pattern: '^https?://[^/?#\\s]+(/[^?#\\s]*[^/?#\\s])?$',
        default: PUBLIC_ROOT,
        description: 'Address of the Bot API server, where it is one of your own.',
      },
      mode: {
        type: 'string',
        enum: ['polling', 'webhook'],
        default: 'polling',
        description: 'polling: messages are fetched, nothing has to be reachable. webhook: Telegram posts them here.',
      },
      webhook_url: {
        type: 'string',
        pattern: '^https?://',
        description: 'Webhook: the public address that leads to `/v1/channels/NAME/webhook` of this gateway.',
      },
      webhook_secret: {
        type: 'string',
        pattern: '^[A-Za-z0-9_-]{16,256}$',
        description: 'Webhook: what Telegram proves itself by; make it up.',
      },
    },
    required: ['token'],
    additionalProperties: false,
  },
  create: (name, settings) => new TelegramChannel(name, settings),
}

interface Webhook {
  readonly url: string
  readonly secret: string
}

class TelegramChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    resend: 'none',
    text: { max: 4_096, unit: 'utf16', dialect },
    // https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
    rate: { chat: { count: 1, perMs: 1_000 }, group: { count: 20, perMs: 60_000 }, account: { count: 30, perMs: 1_000 } },
    strangers: true,
    typingMs: 4_500,
    threads: true,
    groups: true,
    media: true,
  }
  readonly routes: readonly Route[]
  readonly #name: string
  readonly #root: string
  readonly #api: BotApi
  readonly #mode: 'polling' | 'webhook'
  readonly #webhook: Webhook | null
  readonly #stop = new AbortController()
  #host: ChannelHost | null = null
  #migrations: Migrations = Migrations.none()
  #poller: Poller | null = null
  #intake: Intake | null = null
  #isPaused = false
  /** Updates of the webhook that are being stored. */
  readonly #posted = new Set<Promise<void>>()
  #starting: Promise<void> | null = null

  constructor(name: string, settings: JsonObject) {
    const { token, api_root: root, mode, webhook_url: url, webhook_secret: secret } = settings
    this.#name = name
    this.#root = typeof root === 'string' ? root : PUBLIC_ROOT
    this.#api = new BotApi({ token: typeof token === 'string' ? token : '', root: this.#root })
    this.#mode = mode === 'webhook' ? 'webhook' : 'polling'
    this.#webhook = typeof url === 'string' && typeof secret === 'string' ? { url, secret } : null
    const take = (update: Update): Promise<void> => this.#take(update)
    this.routes = this.#mode === 'webhook' && this.#webhook !== null ? [webhookRoute({ name, secret: this.#webhook.secret, take })] : []
  }

  start(host: ChannelHost, signal: AbortSignal): Promise<void> {
    this.#starting ??= this.#start(host, AbortSignal.any([signal, this.#stop.signal]))
    return this.#starting
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#intake = null
    await this.#starting?.catch(() => undefined)
    await this.#poller?.stop()
    await Promise.allSettled(this.#posted)
    this.#api.close()
  }

  pause(): void {
    this.#isPaused = true
    this.#poller?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#poller?.resume()
  }

  async send({ to, rendered, index }: Part, signal: AbortSignal): Promise<Sent> {
    const chat = this.#migrations.addressOf(to.chat)
    const isMarkup = rendered.plain !== undefined
    // Only the first part answers; the others follow it.
    const replyTo = index === 0 ? to.replyTo : undefined
    try {
      const sent = await this.#call(
        (api) =>
          api.sendMessage({
            chat_id: chat,
            text: rendered.text,
            ...(isMarkup ? { parse_mode: 'HTML' } : {}),
            ...threadOf(to),
            // The question may be gone by now.
            ...(replyTo === undefined ? {} : { reply_parameters: { message_id: Number(replyTo), allow_sending_without_reply: true } }),
          }),
        signal,
        to,
      )
      return { id: `${chat}:${sent.message_id}` }
    } catch (error) {
      if (error instanceof ChannelFault && error.fault.is === 'moved') await this.#moved(to.chat, error.fault.chat)
      throw error
    }
  }

  async typing(to: Address, on: boolean): Promise<void> {
    // It ends by itself after 5 s, or with the answer.
    if (!on) return
    const chat = this.#migrations.addressOf(to.chat)
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TYPING_TIMEOUT_MS)])
    await this.#call((api) => api.sendChatAction({ chat_id: chat, action: 'typing', ...threadOf(to) }), signal, to)
  }

  async media({ id, media_type: mediaType }: MediaRef, signal: AbortSignal): Promise<Media> {
    const host = this.#host
    if (host === null) throw closed(this.#name)
    const path = await this.#call((api) => api.getFile({ file_id: id }), signal).then(
      (file) => file.file_path,
      (error: unknown) => {
        if (error instanceof ChannelFault && error.fault.is === 'permanent') return undefined
        throw error
      },
    )
    if (path === undefined) {
      throw new NotFoundError('Telegram no longer has this file, or it is larger than 20 MB.', { code: 'MEDIA_GONE' })
    }
    const url = this.#api.fileUrl(path)
    const { bytes } = await host.fetch({ url, trusted: this.#root, maxBytes: MAX_FILE_BYTES, signal })
    // The file server calls everything a stream of octets.
    return { bytes, mediaType }
  }

  async #start(host: ChannelHost, signal: AbortSignal): Promise<void> {
    this.#host = host
    if (this.#mode === 'webhook' && this.#webhook === null) {
      throw new ChannelFault(`Channel "${this.#name}" is to have a webhook. Set \`webhook_url\` and \`webhook_secret\`.`, {
        code: 'TELEGRAM_WEBHOOK_UNSET',
        fault: { is: 'config' },
      })
    }
    host.status('connecting')
    const bot = await this.#until(signal, () => this.#call((api) => api.getMe(), signal))
    const migrations = await this.#until(signal, () => Migrations.load(host))
    if (bot === null || migrations === null) return
    this.#migrations = migrations
    const intake = new Intake(host, bot, migrations)
    if ((await this.#until(signal, () => this.#choose(signal))) === null) return
    host.status('open')
    if (this.#mode === 'webhook') {
      this.#intake = intake
      return
    }
    this.#poller = new Poller({ host, api: this.#api, intake, isPaused: this.#isPaused })
    this.#poller.start()
  }

  /** Tells Telegram which way. What it has waiting stays there. */
  async #choose(signal: AbortSignal): Promise<boolean> {
    if (this.#mode === 'polling' || this.#webhook === null) return this.#call((api) => api.deleteWebhook({}), signal)
    const { url, secret } = this.#webhook
    try {
      return await this.#call((api) => api.setWebhook({ url, secret_token: secret, allowed_updates: KINDS }), signal)
    } catch (error) {
      if (!(error instanceof ChannelFault) || error.fault.is !== 'permanent') throw error
      throw new ChannelFault(`Telegram refused the webhook of channel "${this.#name}". Check \`webhook_url\`. ${error.message}`, {
        code: 'TELEGRAM_WEBHOOK_URL_REFUSED',
        fault: { is: 'config' },
      })
    }
  }

  /** The network may be away when the gateway starts. null: aborted. */
  async #until<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T | null> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        return await call()
      } catch (error) {
        if (signal.aborted || this.#host === null) break
        await sitOut(error, { host: this.#host, attempt, signal })
      }
    }
    return null
  }

  async #take(update: Update): Promise<void> {
    if (this.#intake === null || this.#isPaused) throw closed(this.#name)
    const taken = this.#intake.take([update])
    this.#posted.add(taken)
    await taken.finally(() => this.#posted.delete(taken))
  }

  /** Best effort: it is told again with the next message either way. */
  async #moved(from: string, to: string): Promise<void> {
    await this.#host?.writeState(this.#migrations.learn(from, to)).catch(() => undefined)
  }

  async #call<T>(run: (api: RawApi) => Promise<T>, signal: AbortSignal, to?: Address): Promise<T> {
    try {
      return await run(this.#api.call({ signal }))
    } catch (error) {
      throw faultOf(error, this.#name, to)
    }
  }
}

const threadOf = ({ thread }: Address): { readonly message_thread_id?: number } =>
  thread === undefined ? {} : { message_thread_id: Number(thread) }

const closed = (name: string): UnavailableError =>
  new UnavailableError(`The channel "${name}" takes nothing in now.`, { code: 'CHANNEL_CLOSED', retryAfterMs: 1_000 })

const TYPING_TIMEOUT_MS = 4_000
