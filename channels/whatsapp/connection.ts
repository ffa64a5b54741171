/**
 * One connection to WhatsApp, from its first byte to its end; each attempt is a new one. It sends, and says how it ended; whether another
 * follows is decided by whoever made it.
 */
import type { BinaryNode, WASocket, proto } from 'baileys'
import { ChannelFault } from '#contract'
import type { ChannelHost } from '#contract'
import type { Account } from './account.ts'
import { endingOf } from './ending.ts'
import type { Ending } from './ending.ts'
import type { Gate } from './gate.ts'
import { Journal } from './journal.ts'
import type { Baileys } from './library.ts'
import { catchErrors, queueMessages } from './listeners.ts'
import { baileysLogger } from './logger.ts'
import { Names } from './names.ts'
import { refusal } from './refusal.ts'
import type { Settings } from './settings.ts'

export interface ConnectionParts {
  readonly baileys: Baileys
  readonly host: ChannelHost
  readonly settings: Settings
  readonly account: Account
  readonly gate: Gate
  readonly onQr?: (data: string) => void
  /** WhatsApp asks for something that cannot be done here. */
  readonly onPasskey?: () => void
}

type Verdict = { readonly error: string | null } | 'ended'

const ACK_LIMIT_MS = 20_000
const QUERY_LIMIT_MS = 20_000
const STATUS_DELIVERED = 3
const STATUS_READ = 4

export class Connection {
  /** Resolves when it may be used, or is over. */
  readonly opened: Promise<boolean>
  readonly ended: Promise<Ending>
  readonly #parts: ConnectionParts
  readonly #socket: WASocket
  readonly #acks = new Map<string, (verdict: Verdict) => void>()
  #isOver = false
  #over: (ending: Ending) => void
  #refusal: Ending | null = null

  constructor(parts: ConnectionParts) {
    this.#parts = parts
    const opened = Promise.withResolvers<boolean>()
    const ended = Promise.withResolvers<Ending>()
    this.opened = opened.promise
    this.ended = ended.promise
    this.#over = (ending) => {
      this.#isOver = true
      opened.resolve(false)
      ended.resolve(ending)
      for (const settle of this.#acks.values()) settle('ended')
    }
    const { host } = parts
    const journal = this.#journal()
    this.#socket = this.#open(journal)
    const { ws, ev } = this.#socket
    queueMessages(ws, (stanza, waiting) => {
      journal.note(stanza)
      if (waiting > MAX_WAITING) this.#giveBack({ code: 0, message: 'messages come faster than they can be stored', isFlooded: true })
    })
    catchErrors(ws, (event, error) => {
      host.log.debug({ event: event.slice(0, 60), error: error instanceof Error ? error.name : undefined }, 'Baileys failed on something.')
      // A frame that cannot be read leaves nothing that could be read after it.
      if (event === 'message') this.#giveBack({ code: 0, message: 'what came could not be read' })
    })
    ws.on('CB:ack,class:message', ({ attrs }: BinaryNode) => this.#acks.get(attrs['id'] ?? '')?.({ error: attrs['error'] ?? null }))
    ws.on('CB:notification,type:passkey_prologue_request', () => parts.onPasskey?.())
    ev.on('creds.update', () => void parts.account.save())
    ev.on('connection.update', ({ connection, qr, lastDisconnect }) => {
      if (qr !== undefined) parts.onQr?.(qr)
      if (connection === 'open') opened.resolve(true)
      if (connection === 'close') this.#over(this.#refusal ?? endingOf(lastDisconnect?.error))
    })
    ev.on('messages.update', (updates) => {
      for (const { key, update } of updates) if (key.fromMe && key.id) this.#told(key.id, update.status)
    })
  }

  /** @throws ChannelFault as soon as the server refused it, or nothing was heard */
  async send(id: string, chat: string, message: proto.IMessage, signal: AbortSignal): Promise<void> {
    if (this.#isOver) throw unanswered(this.#parts.host.name, 'is not connected', false)
    const { promise, resolve } = Promise.withResolvers<Verdict | 'late'>()
    const late = (): void => resolve('late')
    const cancel = this.#parts.host.clock.after(ACK_LIMIT_MS, late)
    signal.addEventListener('abort', late, { once: true })
    this.#acks.set(id, resolve)
    try {
      // Baileys resolves when the bytes are written; only the server's acknowledgement says that it took them.
      const [verdict] = await Promise.all([promise, Promise.race([this.#socket.relayMessage(chat, message, { messageId: id }), promise])])
      if (verdict === 'ended') throw unanswered(this.#parts.host.name, 'lost its connection while sending', true)
      if (verdict === 'late') throw unanswered(this.#parts.host.name, 'had no answer from WhatsApp', true)
      if (verdict.error !== null) throw refusal(this.#parts.host.name, verdict.error)
    } catch (error) {
      if (error instanceof ChannelFault) throw error
      throw unanswered(this.#parts.host.name, 'could not hand a message to WhatsApp', true, error)
    } finally {
      cancel()
      signal.removeEventListener('abort', late)
      this.#acks.delete(id)
    }
  }

  async typing(chat: string, on: boolean): Promise<void> {
    if (!this.#isOver) await this.#socket.sendPresenceUpdate(on ? 'composing' : 'paused', chat)
  }

  requestCode(phone: string): Promise<string> {
    return this.#socket.requestPairingCode(phone)
  }

  /** Resolves when nothing more can come by it. */
  async close(): Promise<void> {
    this.#isOver = true
    // Baileys waits for the server's farewell, which may never come.
    const farewell = Promise.withResolvers<void>()
    const cancel = this.#parts.host.clock.after(FAREWELL_MS, farewell.resolve)
    await Promise.race([this.#socket.end(undefined).catch(() => undefined), farewell.promise])
    cancel()
    this.#over({ code: null, message: 'closed' })
  }

  #open(journal: Journal): WASocket {
    const { baileys, host, settings, account } = this.#parts
    return baileys.makeWASocket({
      auth: { creds: account.creds, keys: account.keys },
      waWebSocketUrl: settings.socketUrl,
      ...(settings.version === null ? {} : { version: [...settings.version] }),
      logger: baileysLogger(host.log),
      makeSignalRepository: journal.makeRepository,
      // One try: a commit that fails ends the connection, and the next one tries again.
      transactionOpts: { maxCommitRetries: 1, delayBetweenTriesMs: 0 },
      defaultQueryTimeoutMs: QUERY_LIMIT_MS,
      shouldSyncHistoryMessage: () => false,
      syncFullHistory: false,
      markOnlineOnConnect: false,
      emitOwnEvents: false,
      generateHighQualityLinkPreview: false,
      shouldIgnoreJid: (jid) => jid === 'status@broadcast' || baileys.isJidNewsletter(jid) === true,
    })
  }

  #journal(): Journal {
    const { baileys, host, settings, account } = this.#parts
    const { jidNormalizedUser } = baileys
    return new Journal(
      {
        baileys,
        account,
        reader: (names) => ({
          baileys,
          names,
          me: { jid: jidNormalizedUser(account.creds.me?.id), lid: jidNormalizedUser(account.creds.me?.lid) },
          account: account.number,
          linkedAt: account.linkedAt,
          maxAgeMs: settings.maxAgeMs,
          now: host.clock.now(),
        }),
        admission: async () => {
          await this.#parts.gate.pass(this.ended)
          if (this.#isOver) throw new Error('the connection is over')
        },
        refused: (cause) => this.#giveBack({ code: 0, message: cause.message }),
      },
      new Names(baileys, host, account.keys),
    )
  }

  /** What was not acknowledged, WhatsApp delivers on the next connection. */
  #giveBack(why: Ending): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#refusal = why
    this.#parts.host.log.warn({ reason: why.message }, 'Messages could not be stored; WhatsApp is left to deliver them again.')
    this.#socket.end(undefined).catch(() => undefined)
  }

  #told(id: string, status: number | null | undefined): void {
    const state = status === STATUS_READ ? 'read' : status === STATUS_DELIVERED ? 'delivered' : null
    if (state === null) return
    this.#parts.host.update(id, { state }).catch(() => this.#parts.host.log.debug({ id }, 'News of a delivery could not be stored.'))
  }
}

const FAREWELL_MS = 2_000
/** In memory, during a pause or before a slow store; what is more than that stays at WhatsApp. */
const MAX_WAITING = 2_000

const unanswered = (name: string, what: string, maybeSent: boolean, cause?: unknown): ChannelFault =>
  new ChannelFault(`The WhatsApp channel "${name}" ${what}. It is tried again.`, {
    code: 'WHATSAPP_UNREACHABLE',
    fault: { is: 'transient', maybeSent },
    cause,
  })
