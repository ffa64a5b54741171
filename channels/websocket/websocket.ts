/**
 * The channel of `/v1/ws`: who may connect and how many, one timer for all connections, an orderly end. What is said on one
 * connection is connection.ts; Host, Origin and credentials in the request are checked by the server that lends the path.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { UnavailableError } from '#contract'
import type {
  Capabilities,
  Channel,
  ChannelHost,
  ChannelKind,
  DialogueLine,
  DialogueRoute,
  Principal,
  Sent,
  UpgradeCaller,
  UpgradeRoute,
} from '#contract'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { Connection, MAX_FRAME_BYTES, PING_MS } from './connection.ts'
import type { Owner } from './connection.ts'
import { Talk } from './talk.ts'
import type { TalkOwner } from './talk.ts'

export const websocket: ChannelKind = {
  schema: {
    type: 'object',
    properties: { max_connections: { type: 'integer', minimum: 1, default: 20_000, description: 'Connections at a time.' } },
    additionalProperties: false,
  },
  create: (_name, { max_connections: max }) => new WebSocketChannel(typeof max === 'number' ? max : 20_000),
}

interface Guest {
  readonly ip: string
  /** By then it has to have proved who it is. */
  readonly deadline: number
}

class WebSocketChannel implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'collect',
    resend: 'id',
    text: { max: Number.MAX_SAFE_INTEGER, unit: 'utf16', dialect: null },
    strangers: false,
    isShared: true,
    typingMs: null,
    threads: false,
    groups: false,
    media: true,
  }
  readonly upgrades: readonly UpgradeRoute[] = [
    {
      path: '/v1/ws',
      permission: 'messages:write',
      handle: (request, socket, head, caller) => this.#upgrade(request, socket, head, caller),
    },
  ]
  readonly dialogue: DialogueRoute = { permission: 'messages:write', open: (principal, line) => this.#talk(principal, line) }
  readonly #maxConnections: number
  readonly #server = new WebSocketServer(SERVER_OPTIONS)
  #owner: (Owner & TalkOwner & { isPaused: boolean }) | null = null
  readonly #connections = new Set<Connection>()
  /** Over other doors; they count like connections. */
  readonly #talks = new Set<Talk>()
  readonly #guests = new Map<Connection, Guest>()
  readonly #guestsByIp = new Map<string, number>()
  #refused = 0
  #isPaused = false
  #gone: (() => void) | null = null
  #cancelTick: (() => void) | null = null
  #second = 0
  /** Connections by the second of the ping interval in which their turn is. */
  readonly #turns: readonly Set<Connection>[] = Array.from({ length: PING_MS / TICK_MS }, () => new Set())
  #nextTurn = 0

  constructor(maxConnections: number) {
    this.#maxConnections = maxConnections
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#owner === null) {
      this.#owner = {
        host,
        isPaused: this.#isPaused,
        admitted: (connection) => this.#endVisit(connection),
        ended: (talk) => this.#talks.delete(talk),
      }
      host.metrics
        .gauge({ name: 'websocket_connections_active', help: 'Open WebSocket connections.', labels: ['channel'] })
        .collect((set) => set(this.#connections.size, [host.name]))
      host.status('open')
    }
    return Promise.resolve()
  }

  /** Takes in nothing more, answers what was handed in, and says goodbye. */
  async stop(): Promise<void> {
    const owner = this.#owner
    if (owner === null) return
    this.#owner = null
    owner.isPaused = true
    await Promise.all([...this.#connections, ...this.#talks].map((each) => each.settle()))
    for (const talk of this.#talks) talk.close(1001, 'the gateway is going away')
    if (this.#connections.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#gone = resolve
      for (const connection of this.#connections) connection.close(1001, 'the gateway is going away')
      const cancel = owner.host.clock.after(GOODBYE_MS, () => {
        for (const connection of this.#connections) connection.terminate()
      })
      await promise
      cancel()
    }
    this.#cancelTick?.()
    this.#cancelTick = null
  }

  /** The reply is in the store already, and the feed tells it to the connections. */
  send(): Promise<Sent> {
    return Promise.resolve({ id: null })
  }

  pause(): void {
    this.#isPaused = true
    if (this.#owner !== null) this.#owner.isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    if (this.#owner === null) return
    this.#owner.isPaused = false
    for (const connection of this.#connections) connection.pump()
    for (const talk of this.#talks) talk.answered()
  }

  #talk(principal: Principal, line: DialogueLine): Talk {
    const owner = this.#owner
    if (owner === null || owner.isPaused)
      throw new UnavailableError('Conversations are not taken in now. Try again in a moment.', { code: 'CHANNEL_CLOSED' })
    if (this.#connections.size + this.#talks.size >= this.#maxConnections)
      throw new UnavailableError('Too many conversations are open. Try again later.', { code: 'TOO_MANY_STREAMS', retryAfterMs: 5_000 })
    const talk = new Talk(owner, principal, line)
    this.#talks.add(talk)
    return talk
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer, caller: UpgradeCaller): void {
    const owner = this.#owner
    if (owner === null) {
      stream.on('error', () => stream.destroy())
      stream.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n')
      return
    }
    const isRoom =
      this.#connections.size + this.#talks.size < this.#maxConnections && (caller.principal !== null || this.#mayVisit(caller.ip))
    if (!isRoom && this.#refused >= MAX_REFUSED) {
      stream.destroy()
      return
    }
    const isProofRefused = caller.principal === null && hasProof(request)
    this.#server.handleUpgrade(request, stream, head, (socket) => {
      if (isRoom) this.#welcome(socket, stream, caller, owner, isProofRefused)
      else this.#refuse(socket)
    })
  }

  #welcome(socket: WebSocket, stream: Duplex, caller: UpgradeCaller, owner: Owner, isProofRefused: boolean): void {
    const connection = new Connection(socket, stream, caller, owner)
    this.#connections.add(connection)
    const turn = this.#turns[this.#nextTurn++ % this.#turns.length]
    turn?.add(connection)
    socket.on('close', () => {
      this.#connections.delete(connection)
      turn?.delete(connection)
      this.#endVisit(connection)
      if (this.#connections.size === 0) this.#gone?.()
    })
    this.#cancelTick ??= owner.host.clock.after(TICK_MS, () => this.#tick(owner.host))
    if (caller.principal !== null) return connection.admit(caller.principal)
    if (isProofRefused) return connection.close(4401, 'the token is not known')
    this.#guests.set(connection, { ip: caller.ip, deadline: owner.host.clock.now() + GREETING_MS })
    this.#guestsByIp.set(caller.ip, (this.#guestsByIp.get(caller.ip) ?? 0) + 1)
    connection.greet()
  }

  /** With a reason, which a browser can read only once the connection is open. */
  #refuse(socket: WebSocket): void {
    this.#refused++
    socket.on('close', () => this.#refused--)
    socket.on('error', () => {})
    socket.close(4429, 'too many connections')
  }

  #mayVisit(ip: string): boolean {
    return this.#guests.size < MAX_GUESTS && (this.#guestsByIp.get(ip) ?? 0) < MAX_GUESTS_PER_IP
  }

  #endVisit(connection: Connection): void {
    const guest = this.#guests.get(connection)
    if (guest === undefined) return
    this.#guests.delete(connection)
    const others = (this.#guestsByIp.get(guest.ip) ?? 1) - 1
    if (others === 0) this.#guestsByIp.delete(guest.ip)
    else this.#guestsByIp.set(guest.ip, others)
  }

  /** The one timer: a thirtieth of the connections is pinged each second, and guests who said nothing are sent away. */
  #tick(host: ChannelHost): void {
    this.#cancelTick = this.#connections.size === 0 ? null : host.clock.after(TICK_MS, () => this.#tick(host))
    const now = host.clock.now()
    for (const [guest, { deadline }] of this.#guests) if (now >= deadline) guest.close(4408, 'nobody said who this is')
    for (const connection of this.#turns[this.#second++ % this.#turns.length] ?? []) connection.ping()
  }
}

/** A token was shown in the request, so there is no use in asking for one again. */
const hasProof = ({ headers }: IncomingMessage): boolean =>
  headers.authorization !== undefined || (headers['sec-websocket-protocol'] ?? '').includes('base64url.bearer.authorization.openclaw.')

const PROTOCOL = 'openclaw.v1'
const SERVER_OPTIONS = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  // Not known to @types/ws 8.18.
  closeTimeout: 5_000,
  handleProtocols: (offered: Set<string>): string | false => (offered.has(PROTOCOL) ? PROTOCOL : false),
}
const TICK_MS = 1_000
const GREETING_MS = 5_000
const GOODBYE_MS = 2_000
const MAX_GUESTS = 256
const MAX_GUESTS_PER_IP = 32
const MAX_REFUSED = 256
