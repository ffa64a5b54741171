/**
 * The MQTT channel: one persistent session on a broker. Keeps one connection alive, takes in what comes, publishes replies. What a
 * message becomes is inbound.ts; when it is acknowledged, intake.ts.
 */
import { randomUUID } from 'node:crypto'
import type { IPublishPacket } from 'mqtt'
import { ChannelFault, describeError } from '#contract'
import type { Capabilities, Channel, ChannelHost, ChannelKind, JsonObject, Part, Sent } from '#contract'
import { VersionRefused } from './broker-fault.ts'
import { Connection } from './connection.ts'
import { DELIVERY, ORIGIN, bytesOf } from './inbound.ts'
import type { Around } from './inbound.ts'
import { Intake } from './intake.ts'
import { readSettings, settingsSchema } from './settings.ts'
import type { Settings } from './settings.ts'

export const mqtt: ChannelKind = {
  schema: settingsSchema,
  create: (_name, settings) => new MqttChannel(settings),
}

const CLIENT_ID = 'client-id'
const SESSION = 'session'

class MqttChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    // Whoever reads the replies drops a repeat by the user property.
    resend: 'id',
    text: { max: 268_435_455, unit: 'bytes', dialect: null },
    strangers: false,
    typingMs: null,
    threads: false,
    groups: false,
    media: false,
  }
  readonly #settings: Settings
  #host: ChannelHost | null = null
  #connection: Connection | null = null
  #intake: Intake | null = null
  #clientId = ''
  #version: 4 | 5
  #running: Promise<void> = Promise.resolve()
  #stop = new AbortController()
  #isPaused = false
  /** Ends the wait of a paused channel. */
  #wake: () => void = () => {}

  constructor(given: JsonObject) {
    this.#settings = readSettings(given)
    this.#version = this.#settings.version
  }

  /** Resolves when it was connected for the first time, or when the broker is not there: it is waited for. */
  async start(host: ChannelHost, signal: AbortSignal): Promise<void> {
    this.#host = host
    this.#clientId = this.#settings.clientId ?? (await keptId(host))
    signal.addEventListener('abort', () => this.#stop.abort(), { once: true })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#running = this.#keep(host, resolve, reject)
    await promise
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await this.#intake?.end()
    await this.#connection?.close()
    await this.#running
  }

  async send({ id, to, rendered, traceparent }: Part, signal: AbortSignal): Promise<Sent> {
    const { mayReplyTo, replyTopic } = this.#settings
    const topic = to.chat === '' ? replyTopic : to.chat
    if (topic === null) return { id: null }
    if (!mayReplyTo(topic)) {
      throw new ChannelFault('The response topic of the message is not allowed. Add it to `reply_allow`.', {
        code: 'MQTT_REPLY_REFUSED',
        fault: { is: 'permanent' },
      })
    }
    if (this.#connection === null)
      throw new ChannelFault('The broker is not connected.', { code: 'MQTT_UNREACHABLE', fault: { is: 'transient', maybeSent: false } })
    const userProperties = { [DELIVERY]: id, [ORIGIN]: this.#clientId, ...(traceparent !== undefined && { traceparent }) }
    await this.#connection.publish({ topic, payload: rendered.text, correlation: to.correlation, userProperties }, signal)
    return { id: null }
  }

  /** The session stays on the broker, which keeps what comes meanwhile. Replies wait, too. */
  pause(): void {
    this.#isPaused = true
    void this.#letGo()
  }

  resume(): void {
    this.#isPaused = false
    this.#wake()
  }

  async #letGo(): Promise<void> {
    await this.#intake?.end()
    await this.#connection?.close()
  }

  async #keep(host: ChannelHost, started: () => void, refused: (why: ChannelFault) => void): Promise<void> {
    const { signal } = this.#stop
    for (let attempt = 1; !signal.aborted; attempt++) {
      if (this.#isPaused) {
        // Replies wait, too, and that is no attempt.
        host.status('connecting', 'Paused.')
        started()
        await new Promise<void>((resolve) => (this.#wake = resolve))
        continue
      }
      try {
        const connection = await this.#open(host)
        attempt = 0
        // It was paused or stopped while it connected.
        if (this.#isPaused || signal.aborted) await this.#letGo()
        else host.status('open')
        started()
        const why = await connection.lost
        await this.#intake?.end()
        this.#connection = null
        if (signal.aborted) return
        if (this.#isPaused) continue
        throw why
      } catch (error) {
        if (signal.aborted) break
        if (error instanceof VersionRefused && this.#version === 5) {
          this.#version = 4
          continue
        }
        const { message } = describeError(error)
        if (error instanceof ChannelFault && (error.fault.is === 'auth' || error.fault.is === 'config')) {
          host.status('stopped', message)
          return refused(error)
        }
        host.status('connecting', message)
        started()
        await host.backoff(Math.max(1, attempt), signal).catch(() => {})
      }
    }
    started()
  }

  async #open(host: ChannelHost): Promise<Connection> {
    const around = (): Around => ({ settings: this.#settings, origin: this.#clientId, now: host.clock.now() })
    // The broker gives what waited as soon as it has said that we are connected.
    const early: [IPublishPacket, number | null][] = []
    let intake: Intake | null = null
    const connection = await Connection.open({
      settings: this.#settings,
      version: this.#version,
      clientId: this.#clientId,
      signal: this.#stop.signal,
      onMessage: (packet, messageId) => {
        if (intake === null) early.push([packet, messageId])
        else intake.take(packet, messageId)
      },
    })
    // From here on `stop` closes it; what it cannot be used for without is known below.
    this.#connection = connection
    const session = await keptSession(host, connection.isResumed).catch((error: unknown) => {
      connection.drop(
        new ChannelFault(describeError(error).message, {
          code: 'MQTT_NOT_ACCEPTED',
          fault: { is: 'transient', maybeSent: false },
          cause: error,
        }),
      )
      throw error
    })
    intake = new Intake({ host, around, connection, session, onUndecodable: (packet, reason) => this.#putAside(packet, reason) })
    this.#intake = intake
    for (const [packet, messageId] of early) intake.take(packet, messageId)
    return connection
  }

  /** Best effort: the gateway has it as a dead letter. */
  #putAside(packet: IPublishPacket, reason: string): void {
    const { deadTopic } = this.#settings
    if (deadTopic === null) return
    const userProperties = { topic: packet.topic, reason, [ORIGIN]: this.#clientId }
    const sending = this.#connection?.publish({ topic: deadTopic, payload: bytesOf(packet), userProperties }, this.#stop.signal)
    sending?.catch((error: unknown) =>
      this.#host?.log.warn({ 'error.code': describeError(error).code }, 'A message could not be put aside on the broker.'),
    )
  }
}

/** Numbers of a session that is gone say nothing about those of the next one. */
async function keptSession(host: ChannelHost, isResumed: boolean): Promise<string> {
  const kept = isResumed ? await host.readState(SESSION) : null
  if (kept !== null) return Buffer.from(kept).toString()
  const made = randomUUID()
  await host.writeState({ [SESSION]: Buffer.from(made) })
  return made
}

async function keptId(host: ChannelHost): Promise<string> {
  const kept = await host.readState(CLIENT_ID)
  if (kept !== null) return Buffer.from(kept).toString()
  const made = `openclaw-${host.name}-${randomUUID().slice(0, 8)}`
  await host.writeState({ [CLIENT_ID]: Buffer.from(made) })
  return made
}
