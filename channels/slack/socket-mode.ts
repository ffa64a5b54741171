/**
 * Socket Mode: one live socket of the account, kept by us. The official client makes the connection and watches its pings; when to make
 * the next one, and when something is acknowledged, is decided here: after it was taken in, never before.
 */
import { describeError } from '#contract'
import type { ChannelHost, JsonValue } from '#contract'
import { SocketModeClient } from '@slack/socket-mode'
import { faultOf, isFatal, unreachable } from './fault.ts'
import { clientOptions, silent } from './web-api.ts'

export interface SocketLinkParts {
  readonly host: ChannelHost
  readonly url: string
  readonly token: string
  readonly setting: string
  /** Resolves when it is durable, or of no interest: acknowledge then. */
  take(type: string, body: JsonValue): Promise<void>
}

export class SocketLink {
  readonly #parts: SocketLinkParts
  readonly #underway = new Set<Promise<void>>()
  #isPaused = false
  /** Ends the connection there is. */
  #end: (() => void) | null = null
  #resumed: (() => void) | null = null
  #kept: Promise<void> = Promise.resolve()

  constructor(parts: SocketLinkParts) {
    this.#parts = parts
  }

  /** Resolves when the first connection is open. Rejects when Slack refuses the token; later that is told as the state. */
  start(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let isOpen = false
    const opened = (): void => {
      isOpen = true
      resolve()
    }
    // It ends of itself only where it was told to.
    this.#kept = this.#keep(signal, opened).then(resolve, (error: unknown) => {
      if (signal.aborted) return resolve()
      if (!isOpen) return reject(error instanceof Error ? error : new Error(String(error)))
      this.#parts.host.status('stopped', describeError(error).message)
    })
    return promise
  }

  pause(): void {
    this.#isPaused = true
    this.#end?.()
  }

  resume(): void {
    this.#isPaused = false
    this.#resumed?.()
  }

  /** Resolves when the socket is gone; its signal has been aborted before. */
  async stop(): Promise<void> {
    await this.#kept
  }

  async #keep(signal: AbortSignal, opened: () => void): Promise<void> {
    const { host, setting } = this.#parts
    for (let attempt = 0; !signal.aborted;) {
      await this.#whileNotPaused(signal)
      if (signal.aborted) return
      const since = host.clock.now()
      let waitMs = 0
      try {
        await this.#connection(signal, opened)
        if (host.clock.now() - since >= STEADY_MS) attempt = 0
        if (!this.#isPaused && !signal.aborted) host.status('connecting', 'The socket to Slack was closed; another is made.')
      } catch (error) {
        const fault = error instanceof Error ? faultOf(error, { method: 'apps.connections.open', setting }) : CLOSED
        if (isFatal(fault)) throw fault
        if (fault.fault.is === 'rate') waitMs = fault.fault.afterMs
        host.status('connecting', fault.message)
      }
      if (signal.aborted || this.#isPaused) continue
      if (waitMs > 0) await this.#pass(waitMs, signal)
      await host.backoff(++attempt, signal)
    }
  }

  /** Lives as long as one connection does. Rejects when none could be made. */
  async #connection(signal: AbortSignal, opened: () => void): Promise<void> {
    const { host, url, token } = this.#parts
    const ended = new AbortController()
    const leaving = AbortSignal.any([signal, ended.signal])
    const client = new Socket(token, url, leaving)
    const gone = new Promise<void>((resolve) => client.once('disconnected', resolve))
    const closed = new Promise<void>((resolve) => {
      leaving.addEventListener('abort', () => resolve(this.#lastWords().then(() => this.#shut(client))), { once: true })
    })
    let others = 0
    client.on('counted', (live: number) => (others = live - 1))
    client.on('asked_to_leave', () => ended.abort())
    client.on('slack_event', (event: SlackEvent) => this.#hear(event))
    const onTime = host.clock.after(OPEN_MS, () => ended.abort())
    this.#end = () => ended.abort()
    try {
      // Until this is settled the client may still make a socket, so there is no way around waiting for it.
      await client.start()
      onTime()
      if (leaving.aborted) return
      host.status(others > 0 ? 'degraded' : 'open', others > 0 ? crowd(others) : undefined)
      opened()
      await gone
    } catch (error) {
      if (!signal.aborted && !this.#isPaused) throw error
    } finally {
      onTime()
      this.#end = null
      ended.abort()
      await closed
      // What was made after it was told to end.
      await this.#shut(client)
    }
  }

  #hear({ type, body, ack }: SlackEvent): void {
    const work = this.#answer(type, body, ack).finally(() => this.#underway.delete(work))
    this.#underway.add(work)
  }

  async #answer(type: string, body: JsonValue, ack: () => Promise<void>): Promise<void> {
    const { host } = this.#parts
    try {
      await this.#parts.take(type, body)
    } catch (error) {
      // Not acknowledged: Slack gives it again.
      host.log.warn({ 'error.code': describeError(error).code }, 'Slack gives an event again that could not be taken in.')
      return
    }
    // Where the socket is gone, the repeat is known by its key.
    await ack().catch(() => undefined)
  }

  /** What is being taken in is acknowledged first, if it takes no longer than a moment. */
  async #lastWords(): Promise<void> {
    const enough = new AbortController()
    await Promise.race([Promise.allSettled(this.#underway), this.#pass(LAST_WORDS_MS, enough.signal)])
    enough.abort()
  }

  /** The client gives its peer 30 s for the closing handshake; asked a second time it closes at once. */
  async #shut(client: Socket): Promise<void> {
    const cancel = this.#parts.host.clock.after(CLOSE_MS, () => void client.disconnect())
    await client.disconnect()
    cancel()
  }

  #whileNotPaused(signal: AbortSignal): Promise<void> {
    if (!this.#isPaused || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      this.#resumed = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  #pass(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.host.clock.after(ms, resolve)
      signal.addEventListener(
        'abort',
        () => {
          cancel()
          resolve()
        },
        { once: true },
      )
    })
  }
}

interface SlackEvent {
  readonly type: string
  readonly body: JsonValue
  readonly ack: () => Promise<void>
}

/** One connection: told how many there are, asked to leave, and deaf to what is no envelope, on which the client would fail unheard. */
class Socket extends SocketModeClient {
  constructor(appToken: string, url: string, signal: AbortSignal) {
    super({ appToken, autoReconnectEnabled: false, clientPingTimeout: PING_MS, logger: silent, clientOptions: clientOptions(url, signal) })
  }

  protected override async onWebSocketMessage(data: string | ArrayBuffer, isBinary: boolean): Promise<void> {
    try {
      const frame: unknown = typeof data === 'string' ? JSON.parse(data) : null
      const { type, num_connections: live } = frame as { readonly type?: unknown; readonly num_connections?: unknown }
      if (type === 'hello') this.emit('counted', typeof live === 'number' ? live : 1)
      if (type === 'disconnect') this.emit('asked_to_leave')
      else await super.onWebSocketMessage(data, isBinary)
    } catch {
      // Nothing of Slack's: it has no id by which it could be acknowledged.
    }
  }
}

const crowd = (others: number): string =>
  `Slack counts ${others} more open socket${others === 1 ? '' : 's'} of this app: another program uses the app token and gets a share of the messages. End it, or give it an app of its own.`

const CLOSED = unreachable('The socket to Slack was closed before it was open', false)
/** From asking for an address to the hello. */
const OPEN_MS = 30_000
/** Without an answer to a ping for so long, the line is taken for dead. */
const PING_MS = 15_000
/** A connection that lived so long was a good one. */
const STEADY_MS = 60_000
const LAST_WORDS_MS = 500
const CLOSE_MS = 2_000
