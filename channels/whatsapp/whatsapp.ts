/**
 * The channel of a WhatsApp account as a linked device: one connection at a time, made anew until it must not be, and what the hub asks of
 * it. What is said on a connection is connection.ts and journal.ts; linking is link.ts.
 */
import { createHash } from 'node:crypto'
import type { proto } from 'baileys'
import { ChannelFault, ConflictError, starDialect } from '#contract'
import type {
  Address,
  Capabilities,
  Channel,
  ChannelHost,
  ChannelKind,
  LinkRequest,
  LinkStep,
  Media,
  MediaRef,
  Part,
  Sent,
} from '#contract'
import { Account } from './account.ts'
import { Connection } from './connection.ts'
import { after } from './ending.ts'
import type { Next } from './ending.ts'
import { Gate } from './gate.ts'
import { loadBaileys } from './library.ts'
import type { Baileys } from './library.ts'
import { linkPhone } from './link.ts'
import { openMedia } from './media.ts'
import { quote } from './quote.ts'
import { readSettings, schema } from './settings.ts'
import type { Settings } from './settings.ts'

export const whatsapp: ChannelKind = {
  schema,
  create: (_name, settings) => new WhatsAppChannel(readSettings(settings)),
}

/** A connection that lived this long was a good one: the next wait is short again. */
const STABLE_MS = 30_000
const UNLINKED = 'Not linked to a phone yet. Begin linking, and follow the steps on the phone.'

interface Running {
  readonly host: ChannelHost
  readonly baileys: Baileys
  readonly signal: AbortSignal
}

class WhatsAppChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    // Whoever receives a message with an id that they have drops it, and ours come from the part.
    resend: 'id',
    text: { max: 4_096, unit: 'utf16', dialect: starDialect },
    // WhatsApp publishes no limits, and bans what is fast.
    rate: { chat: { count: 5, perMs: 5_000 }, group: { count: 5, perMs: 5_000 }, account: { count: 20, perMs: 10_000 } },
    strangers: true,
    typingMs: 8_000,
    threads: false,
    groups: true,
    media: true,
  }
  readonly #settings: Settings
  readonly #gate = new Gate()
  #running: Running | null = null
  #account: Account | null = null
  #connection: Connection | null = null
  /** Ends the present series of connections, and with it `#series`. */
  #end: AbortController | null = null
  #series: Promise<void> = Promise.resolve()
  #linking: AbortController | null = null

  constructor(settings: Settings) {
    this.#settings = settings
  }

  async start(host: ChannelHost, signal: AbortSignal): Promise<void> {
    const baileys = await loadBaileys(host.log)
    this.#running = { host, baileys, signal }
    this.#account = await Account.load(baileys, host)
    if (this.#account === null) host.status('linking', UNLINKED)
    else if (!this.#account.isLinked) host.status('stopped', 'The phone has removed this device. Link it again.')
    else await this.#adopt(this.#account)
  }

  async stop(): Promise<void> {
    this.#linking?.abort()
    this.#end?.abort()
    this.#gate.open()
    await this.#series
    await this.#account?.save()
  }

  async send(part: Part, signal: AbortSignal): Promise<Sent> {
    if (this.#connection === null) {
      throw new ChannelFault('WhatsApp is not connected. It is tried again.', {
        code: 'WHATSAPP_UNREACHABLE',
        fault: { is: 'transient', maybeSent: false },
      })
    }
    const id = messageId(part)
    await this.#connection.send(id, part.to.chat, messageOf(part), signal)
    return { id }
  }

  pause(): void {
    this.#gate.close()
  }

  resume(): void {
    this.#gate.open()
  }

  async typing(to: Address, on: boolean): Promise<void> {
    await this.#connection?.typing(to.chat, on)
  }

  async media(ref: MediaRef, signal: AbortSignal): Promise<Media> {
    const { host, baileys } = this.#started()
    return openMedia({ baileys, host, mediaUrl: this.#settings.mediaUrl, signal }, ref)
  }

  async *link(request: LinkRequest, signal: AbortSignal): AsyncGenerator<LinkStep, void, void> {
    const { host, baileys, signal: stopping } = this.#started()
    if (this.#account?.isLinked === true) {
      yield { show: 'done', as: `+${this.#account.number}` }
      return
    }
    // Whoever asks last has the phone in hand.
    this.#linking?.abort()
    const linking = new AbortController()
    this.#linking = linking
    const parts = {
      baileys,
      host,
      settings: this.#settings,
      gate: this.#gate,
      before: this.#account,
      adopt: (account: Account) => this.#adopt(account),
    }
    yield* linkPhone(parts, request, AbortSignal.any([signal, stopping, linking.signal]))
  }

  /** Resolves with true when the account is connected, with false when it will not be. */
  async #adopt(account: Account): Promise<boolean> {
    const { signal } = this.#started()
    this.#end?.abort()
    await this.#series
    this.#account = account
    await account.save()
    const end = new AbortController()
    this.#end = end
    const usable = Promise.withResolvers<boolean>()
    this.#series = this.#keepConnected(account, AbortSignal.any([signal, end.signal]), () => usable.resolve(true)).finally(() =>
      usable.resolve(false),
    )
    return usable.promise
  }

  /** One connection after another; ends when there must be no other. */
  async #keepConnected(account: Account, signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { host } = this.#started()
    host.status('connecting')
    for (let attempt = 1; !signal.aborted; attempt++) {
      const { next, lastedMs, message } = await this.#connectOnce(account, signal, onOpen)
      if (signal.aborted) return
      if (next.do === 'stop') {
        if (!next.isLinked) await account.unlink()
        host.status('stopped', next.why)
        return
      }
      host.status('connecting', message)
      await account.save()
      if (next.do === 'restart') continue
      if (lastedMs >= STABLE_MS) attempt = 1
      await host.backoff(attempt, signal).catch(() => undefined)
    }
  }

  async #connectOnce(
    account: Account,
    signal: AbortSignal,
    onOpen: () => void,
  ): Promise<{ readonly next: Next; readonly lastedMs: number; readonly message: string }> {
    const { host, baileys } = this.#started()
    const connection = new Connection({ baileys, host, settings: this.#settings, account, gate: this.#gate })
    const close = (): void => void connection.close()
    signal.addEventListener('abort', close, { once: true })
    let openedAt: number | null = null
    if (await connection.opened) {
      openedAt = host.clock.now()
      this.#connection = connection
      host.status('open')
      onOpen()
    }
    const ending = await connection.ended
    this.#connection = null
    signal.removeEventListener('abort', close)
    await connection.close()
    if (ending.isFlooded) await this.#gate.pass(aborted(signal))
    return { next: after(ending), lastedMs: openedAt === null ? 0 : host.clock.now() - openedAt, message: `WhatsApp: ${ending.message}` }
  }

  #started(): Running {
    if (this.#running !== null) return this.#running
    throw new ConflictError('The WhatsApp channel is not started. Its state says why.', { code: 'CHANNEL_CLOSED' })
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })))

/** As WhatsApp Web forms its own, and the same for each try of a part. */
const messageId = ({ id }: Part): string => `3EB0${createHash('sha256').update(id).digest('hex').slice(0, 18).toUpperCase()}`

function messageOf({ rendered, to, index }: Part): proto.IMessage {
  const contextInfo = index === 0 ? quote(to.replyTo) : null
  return contextInfo === null ? { conversation: rendered.text } : { extendedTextMessage: { text: rendered.text, contextInfo } }
}
