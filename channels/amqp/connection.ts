/**
 * One connection to the broker, from its making to its certain end. It is never repaired: who finds it lost makes another. What is
 * said over its channels is the intake's and the outlet's business.
 */
import { connect } from 'amqplib'
import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib'
import type { Clock } from '#contract'
import { connectFault } from './broker-fault.ts'

export interface ConnectionOptions {
  readonly url: string
  /** Shown in the broker's list of connections. */
  readonly label: string
  readonly clock: Clock
  /** Ends the attempt, and the connection at once if there is one. */
  readonly signal: AbortSignal
}

export class Connection {
  readonly #model: ChannelModel
  readonly #socket: AbortController
  readonly #clock: Clock
  /** Resolves with the reason when it is over, however that came about. */
  readonly lost: Promise<unknown>
  readonly #lose: (why: unknown) => void
  #isOver = false
  /** Why the broker takes nothing now; null: it does. */
  blocked: string | null = null
  onBlocked: () => void = () => {}

  private constructor(model: ChannelModel, socket: AbortController, clock: Clock) {
    this.#model = model
    this.#socket = socket
    this.#clock = clock
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.lost = promise
    this.#lose = resolve
    let last: unknown = null
    model.on('error', (error) => (last = error))
    model.on('close', (error) => this.#end(error ?? last))
    model.on('blocked', (reason) => this.#setBlocked(reason))
    model.on('unblocked', () => this.#setBlocked(null))
  }

  /** @throws ChannelFault */
  static async open({ url, label, clock, signal }: ConnectionOptions): Promise<Connection> {
    const address = addressOf(url)
    const socket = new AbortController()
    const abort = (): void => socket.abort(new Error('it was ended'))
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    const cancel = clock.after(OPEN_LIMIT_MS, () => socket.abort(new Error(`it did not answer within ${OPEN_LIMIT_MS / 1_000} s`)))
    // net.connect takes the signal and destroys the socket by it; the library has no other way to do that.
    const options = { noDelay: true, keepAlive: true, signal: socket.signal, clientProperties: { connection_name: label } }
    try {
      return new Connection(await connect(withHeartbeat(url), options), socket, clock)
    } catch (error) {
      throw connectFault(socket.signal.aborted ? socket.signal.reason : error, address)
    } finally {
      cancel()
      signal.removeEventListener('abort', abort)
    }
  }

  channel(): Promise<Channel> {
    return this.#safe(this.#model.createChannel())
  }

  confirmChannel(): Promise<ConfirmChannel> {
    return this.#safe(this.#model.createConfirmChannel())
  }

  get serverVersion(): string {
    return this.#model.connection.serverProperties.version
  }

  /** In good order: what was written before on `channels`, acknowledgements too, has reached the broker. */
  async close(channels: readonly Channel[]): Promise<void> {
    if (this.#isOver) return
    const cancel = this.#clock.after(CLOSE_LIMIT_MS, () => this.#end(new Error('the broker did not answer to the close')))
    // The connection's own close may overtake what its channels have still to write. What is closed already rejects, what is lost
    // meanwhile never answers.
    await Promise.race([Promise.allSettled(channels.map((channel) => channel.close())), this.lost])
    if (!this.#isOver) await Promise.race([this.#model.close().catch(() => {}), this.lost])
    cancel()
    this.#end(null)
  }

  /** At once, whatever was under way. */
  drop(why: unknown): void {
    this.#end(why)
  }

  async #safe<C extends Channel>(opening: Promise<C>): Promise<C> {
    const channel = await opening
    // The close event follows; without a listener the error would end the process.
    channel.on('error', () => {})
    return channel
  }

  #setBlocked(reason: string | null): void {
    this.blocked = reason
    this.onBlocked()
  }

  #end(why: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#lose(why)
    // A line that is dead would hold its socket for many minutes.
    this.#socket.abort(new Error('it is over'))
  }
}

/** Without user and password. */
export const addressOf = (url: string): string => {
  const { host, pathname } = new URL(url)
  return pathname === '' || pathname === '/' ? host : `${host}${pathname}`
}

/** RabbitMQ proposes 60 s, so that a dead line would be noticed after two minutes. */
function withHeartbeat(url: string): string {
  const parsed = new URL(url)
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(HEARTBEAT_SECONDS))
  return parsed.href
}

const HEARTBEAT_SECONDS = 10
const OPEN_LIMIT_MS = 15_000
const CLOSE_LIMIT_MS = 2_000
