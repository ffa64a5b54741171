/**
 * The channel of a RabbitMQ queue (AMQP 0-9-1): connects, and connects again; one queue is read, replies go where messages ask for
 * them. Reading is intake.ts, sending outlet.ts, what has to exist on the broker topology.ts.
 */
import { randomBytes } from 'node:crypto'
import type { Channel as AmqplibChannel } from 'amqplib'
import { ChannelFault } from '#contract'
import type { Capabilities, Channel, ChannelHost, ChannelKind, JsonObject, Part, Sent } from '#contract'
import { ACCESS_REFUSED, brokerWords, replyCode, settingsFault, unavailable } from './broker-fault.ts'
import { Connection, addressOf } from './connection.ts'
import { Intake } from './intake.ts'
import { Outlet, notNow } from './outlet.ts'
import { readSettings, settingsSchema } from './settings.ts'
import type { Settings } from './settings.ts'
import { prepare } from './topology.ts'

export const amqp: ChannelKind = {
  schema: settingsSchema,
  create: (_name, settings) => new AmqpChannel(settings),
}

/** What lives as long as one connection. */
interface Line {
  readonly connection: Connection
  /** The intake's. */
  readonly channel: AmqplibChannel
  readonly intake: Intake
  readonly outlet: Outlet
}

interface Setting {
  readonly host: ChannelHost
  readonly settings: Settings
  readonly signal: AbortSignal
}

class AmqpChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    // The message id is the part's, and whoever reads the replies drops what it has seen.
    resend: 'id',
    // RabbitMQ takes 16 MiB (128 before 4.0) unless told otherwise.
    text: { max: 16_000_000, unit: 'bytes', dialect: null },
    // Who may publish to the queue is the broker's to say.
    strangers: false,
    typingMs: null,
    threads: false,
    groups: false,
    media: false,
  }
  readonly #given: JsonObject
  readonly #ended = new AbortController()
  #line: Line | null = null
  #isPaused = false
  #running: Promise<void> = Promise.resolve()
  /** Why messages cannot be accepted now. */
  #stuck: string | null = null
  #stopping: Promise<void> | null = null

  constructor(given: JsonObject) {
    this.#given = given
  }

  async start(host: ChannelHost, signal: AbortSignal): Promise<void> {
    const settings = readSettings(this.#given)
    signal.addEventListener('abort', () => void this.stop(), { once: true })
    if (signal.aborted) await this.stop()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#running = this.#run({ host, settings, signal: this.#ended.signal }, resolve).then(resolve, (error: unknown) => {
      // Also where it was open before, and nobody waits for the start any more.
      host.status('stopped', error instanceof Error ? error.message : String(error))
      reject(error)
    })
    await promise
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async send(part: Part, signal: AbortSignal): Promise<Sent> {
    if (this.#line === null) throw notNow('There is no connection to the broker now.')
    return this.#line.outlet.send(part, signal)
  }

  pause(): void {
    this.#isPaused = true
    // On a connection that is lost there is no consumer.
    this.#line?.intake.pause().catch(() => {})
  }

  resume(): void {
    this.#isPaused = false
    this.#line?.intake.resume().catch(() => {})
  }

  async #stop(): Promise<void> {
    this.#ended.abort()
    const line = this.#line
    if (line !== null) {
      await line.intake.stop()
      await line.connection.close([line.channel])
    }
    await this.#running
  }

  /** Until it is stopped. Rejects with a fault of kind auth or config. */
  async #run(setting: Setting, opened: () => void): Promise<void> {
    const { host, settings, signal } = setting
    let attempt = 0
    let reason: string
    host.status('connecting')
    while (!signal.aborted) {
      let openedAt = Infinity
      try {
        const line = await this.#connect(setting)
        openedAt = host.clock.now()
        opened()
        const why = await line.connection.lost
        this.#line = null
        await line.intake.end()
        if (signal.aborted) return
        if (replyCode(why) === ACCESS_REFUSED) throw unreadable(settings, why)
        reason = `The connection to ${addressOf(settings.url)} was lost: ${why === null ? 'the broker closed it' : brokerWords(why)}.`
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof ChannelFault && !error.retryable) throw error
        reason = error instanceof ChannelFault ? error.message : unavailable(brokerWords(error)).message
      }
      host.status('connecting', reason)
      host.log.warn({ 'error.code': 'AMQP_UNREACHABLE' }, reason)
      // One that is lost at once again is a failed attempt like any other.
      attempt = host.clock.now() - openedAt > SETTLED_MS ? 1 : attempt + 1
      await host.backoff(attempt, signal).catch(() => {})
    }
  }

  async #connect(setting: Setting): Promise<Line> {
    const { host, settings, signal } = setting
    const origin = await originOf(host)
    const connection = await Connection.open({ url: settings.url, label: `openclaw/${host.name}`, clock: host.clock, signal })
    const drop = (): void => connection.drop(new Error('it was stopped'))
    signal.addEventListener('abort', drop, { once: true })
    try {
      await prepare(connection, settings)
      const channel = await connection.channel()
      // Without its channel the intake is deaf. The close that we ask for ourselves is no loss.
      let closedBy: unknown = null
      channel.on('error', (error) => (closedBy = error))
      channel.on('close', () => signal.aborted || connection.drop(closedBy))
      const intake = new Intake({
        host,
        settings,
        origin,
        channel,
        onCancelled: () => connection.drop(new Error('the broker took the consumer away')),
        onStuck: (why) => {
          this.#stuck = why
          this.#tell(host)
        },
      })
      const outlet = new Outlet({ host, settings, origin, connection })
      const line = { connection, channel, intake, outlet }
      connection.onBlocked = () => {
        this.#tell(host)
        if (connection.blocked === null) outlet.wake()
      }
      if (signal.aborted) throw new Error('it was stopped')
      signal.removeEventListener('abort', drop)
      this.#stuck = null
      this.#line = line
      if (!this.#isPaused) await intake.resume()
      this.#warnOfDrops(connection, setting)
      this.#tell(host)
      return line
    } catch (error) {
      this.#line = null
      connection.drop(error)
      throw replyCode(error) === ACCESS_REFUSED ? unreadable(settings, error) : error
    }
  }

  #tell(host: ChannelHost): void {
    if (this.#line === null || this.#ended.signal.aborted) return
    const { blocked } = this.#line.connection
    const why = blocked === null ? this.#stuck : `The broker takes no messages now: ${blocked}. Replies wait.`
    host.status(why === null ? 'open' : 'degraded', why ?? undefined)
  }

  /** RabbitMQ 4.0 and later throws a message away that came back 20 times and has nowhere to go. */
  #warnOfDrops(connection: Connection, { host, settings }: Setting): void {
    if (settings.queueType === 'classic' || settings.deadLetterExchange !== null || Number.parseInt(connection.serverVersion, 10) < 4)
      return
    host.log.warn(
      { queue: settings.queue },
      'This broker drops messages of a quorum queue after 20 deliveries. Set `deadLetterExchange`, so that they are kept.',
    )
  }
}

const unreadable = ({ queue }: Settings, why: unknown): ChannelFault =>
  settingsFault(`The user may not read the queue "${queue}": ${brokerWords(why)}`, why)

/** Tells our own messages from those of another gateway. The same in every life of this one. */
async function originOf(host: ChannelHost): Promise<string> {
  const known = await host.readState(ORIGIN_KEY)
  if (known !== null) return Buffer.from(known).toString()
  const origin = randomBytes(8).toString('hex')
  await host.writeState({ [ORIGIN_KEY]: Buffer.from(origin) })
  return origin
}

const ORIGIN_KEY = 'origin'
/** A connection that lived so long was a good one. */
const SETTLED_MS = 10_000
