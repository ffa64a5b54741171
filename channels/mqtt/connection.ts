/**
 * One connection to the broker, from its making to its certain end; never repaired: who finds it lost makes another with the same session.
 *
 * The library hands over one PUBLISH at a time and acknowledges it before the next, so that only one could be made durable at a
 * time. Here each is handed over at once and acknowledged later, in order (MQTT 5 §4.6), by whoever took it in.
 */
import { connect } from 'mqtt'
import type { IClientOptions, IConnackPacket, IPublishPacket, MqttClient, Packet } from 'mqtt'
import { ChannelFault } from '#contract'
import { connackFault, disconnectFault, publishFault } from './broker-fault.ts'
import type { Settings } from './settings.ts'

export interface ConnectionOptions {
  readonly settings: Settings
  readonly version: 4 | 5
  readonly clientId: string
  readonly signal: AbortSignal
  /** A message; `acknowledge` it when it is durable: QoS 1 only, with the broker's number of it. */
  readonly onMessage: (packet: IPublishPacket, messageId: number | null) => void
}

export interface Outgoing {
  readonly topic: string
  readonly payload: string | Buffer
  readonly correlation?: string | undefined
  readonly userProperties: { readonly [name: string]: string }
}

/** 0x99 of MQTT 5 §3.4.2.1: the payload is not what it says. */
export const PAYLOAD_INVALID = 0x99

/** The library's own way to write a packet, which it keeps to itself. Pinned by a test that reads the PUBACK from the wire. */
const WRITE = '_sendPacket'
interface PacketWriter {
  readonly [WRITE]: (packet: Packet, done: () => void) => void
}

export class Connection {
  /** Resolves with the reason when it is over, however that came about. */
  readonly lost: Promise<ChannelFault>
  readonly version: 4 | 5
  /** The broker has kept the session, and with it its numbers of what is under way. */
  readonly isResumed: boolean
  readonly #client: MqttClient
  readonly #lose: (why: ChannelFault) => void
  /** Ends what waits for the broker's word when the connection ends; a promise to race with would be kept by each. */
  readonly #underWay = new Set<(why: ChannelFault) => void>()
  #isOver = false

  private constructor(client: MqttClient, version: 4 | 5, isResumed: boolean) {
    this.#client = client
    this.version = version
    this.isResumed = isResumed
    const { promise, resolve } = Promise.withResolvers<ChannelFault>()
    this.lost = promise
    this.#lose = resolve
    client.on('disconnect', ({ reasonCode }) => this.drop(disconnectFault(reasonCode ?? 0)))
    client.on('close', () => this.drop(broken()))
    client.on('error', (error) => this.drop(broken(error)))
  }

  /** @throws ChannelFault */
  static async open({ settings, version, clientId, signal, onMessage }: ConnectionOptions): Promise<Connection> {
    signal.throwIfAborted()
    const client = connect(settings.url, options(settings, version, clientId))
    takeOver(client, onMessage)
    // Told again below; without a listener an error would end the process.
    client.on('error', () => {})
    const { promise, resolve, reject } = Promise.withResolvers<IConnackPacket>()
    client.once('connect', resolve)
    client.once('error', (error) => reject(connackFault(error)))
    client.once('close', () => reject(broken()))
    const abort = (): void => reject(broken())
    signal.addEventListener('abort', abort, { once: true })
    try {
      const { sessionPresent } = await promise
      const connection = new Connection(client, version, sessionPresent)
      // The library never settles it when the line dies before the answer.
      const gone = connection.lost.then((why) => Promise.reject(why))
      await Promise.race([connection.#subscribe(settings), gone])
      return connection
    } catch (error) {
      client.end(true)
      throw error instanceof ChannelFault ? error : broken(error)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  acknowledge(messageId: number, reasonCode = 0): void {
    if (this.#isOver || !this.#client.connected) return
    const writer = this.#client as unknown as PacketWriter
    writer[WRITE]({ cmd: 'puback', messageId, reasonCode: this.version === 5 ? reasonCode : 0 }, () => {})
  }

  /** Resolves when the broker has it. @throws ChannelFault */
  async publish({ topic, payload, correlation, userProperties }: Outgoing, signal: AbortSignal): Promise<void> {
    if (this.#isOver) throw gone(false)
    const properties =
      this.version === 5
        ? { userProperties, ...(correlation === undefined ? {} : { correlationData: Buffer.from(correlation, 'base64') }) }
        : undefined
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#client.publish(topic, payload, { qos: 1, ...(properties === undefined ? {} : { properties }) }, (error, packet) => {
      if (error) reject(publishFault(error))
      else {
        const code = packet !== undefined && 'reasonCode' in packet ? packet.reasonCode : undefined
        const fault = typeof code === 'number' && code >= 0x80 ? publishFault({ code }) : null
        if (fault === null) resolve()
        else reject(fault)
      }
    })
    const abort = (): void => reject(gone(true))
    signal.addEventListener('abort', abort, { once: true })
    try {
      this.#underWay.add(reject)
      await promise
    } finally {
      this.#underWay.delete(reject)
      signal.removeEventListener('abort', abort)
    }
  }

  /** In good order: what was written before, acknowledgements too, has left. */
  async close(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    const bound = setTimeout(() => this.#client.end(true), CLOSE_LIMIT_MS)
    await this.#client.endAsync(false).catch(() => {})
    clearTimeout(bound)
    this.#ended(broken())
  }

  /** At once: the broker gives again what was not acknowledged. */
  drop(why: ChannelFault): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#ended(why)
    this.#client.end(true)
  }

  #ended(why: ChannelFault): void {
    this.#lose(why)
    for (const reject of this.#underWay) reject(gone(true))
  }

  async #subscribe({ topics, qos }: Settings): Promise<void> {
    // Retained messages only for a new subscription (MQTT 5 §3.8.3.1), and never what we said ourselves, which shared ones may not ask for.
    const wish = (topic: string): { qos: 0 | 1; nl: boolean; rh: number } => ({ qos, nl: !topic.startsWith('$share/'), rh: 1 })
    const wishes = Object.fromEntries(topics.map((topic) => [topic, this.version === 5 ? wish(topic) : { qos }]))
    const granted = await this.#client.subscribeAsync(wishes)
    const refused = granted.find(({ qos: code }) => code >= 0x80)
    if (refused === undefined) return
    throw new ChannelFault(`The broker refuses the subscription to ${refused.topic}. Check \`topic\` and what the user may read.`, {
      code: 'MQTT_REFUSED',
      fault: { is: 'config' },
    })
  }
}

function takeOver(client: MqttClient, onMessage: ConnectionOptions['onMessage']): void {
  const numbers = new WeakMap<IPublishPacket, number>()
  client.on('packetreceive', (packet) => {
    if (packet.cmd !== 'publish' || packet.qos !== 1 || packet.messageId === undefined) return
    numbers.set(packet, packet.messageId)
    // To the library it is one that needs no acknowledgement.
    packet.qos = 0
  })
  client.handleMessage = (packet, done) => {
    onMessage(packet, numbers.get(packet) ?? null)
    done()
  }
}

const CLOSE_LIMIT_MS = 2_000
const CONNECT_LIMIT_MS = 15_000
const KEEPALIVE_SECONDS = 15
/** How long the broker keeps what comes while we are away: as long as it can (MQTT 5 §3.1.2.11.2). */
const FOREVER = 0xff_ff_ff_ff

function options({ username, password, receiveMaximum }: Settings, version: 4 | 5, clientId: string): IClientOptions {
  return {
    clientId,
    protocolVersion: version,
    clean: false,
    // Each connection is made once; when and how often is not the library's to decide.
    reconnectPeriod: 0,
    connectTimeout: CONNECT_LIMIT_MS,
    keepalive: KEEPALIVE_SECONDS,
    resubscribe: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(version === 5 ? { properties: { sessionExpiryInterval: FOREVER, receiveMaximum } } : {}),
  }
}

const broken = (cause?: unknown): ChannelFault =>
  new ChannelFault('The connection to the broker broke. It is made again.', {
    code: 'MQTT_UNREACHABLE',
    fault: { is: 'transient', maybeSent: false },
    cause,
  })

const gone = (maybeSent: boolean): ChannelFault =>
  new ChannelFault('The connection to the broker is gone.', { code: 'MQTT_UNREACHABLE', fault: { is: 'transient', maybeSent } })
