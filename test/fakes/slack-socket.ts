/**
 * The Socket Mode side of the stand-in for Slack: a WebSocket for each ticket that `apps.connections.open` gave, hello with the
 * number of live connections, envelopes spread over them, and again what nobody acknowledged. Imports nothing of ours.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'

export interface RetryTimes {
  /** How long Slack waits for an acknowledgement: 3 s. */
  readonly ackMs: number
  /** What passes before each further try: at once, a minute, five minutes. After the last it is given up. */
  readonly retryDelaysMs: readonly number[]
}

interface SocketEnvelope {
  readonly id: string
  readonly type: string
  readonly payload: object
  attempt: number
  reason: string
  /** Where it is now; null: nowhere, it waits for a connection. */
  at: WebSocket | null
  timer: NodeJS.Timeout | undefined
}

export class FakeSocketMode {
  /** Envelopes in the order in which they were acknowledged. */
  readonly acked: { readonly id: string; readonly payload: unknown }[] = []
  /** Payloads that were given up. */
  readonly lost: object[] = []
  /** Connections that another program holds with the same token. */
  others = 0
  /** The most that ever lived at once. */
  peak = 0
  /** How often a connection was made. */
  connected = 0
  /** Says nothing after the handshake. */
  isMute = false
  readonly #times: RetryTimes
  readonly #changed: () => void
  readonly #server = new WebSocketServer({ noServer: true })
  readonly #tickets = new Set<string>()
  readonly #live: WebSocket[] = []
  readonly #unacked = new Map<string, SocketEnvelope>()

  constructor(times: RetryTimes, changed: () => void) {
    this.#times = times
    this.#changed = changed
  }

  get live(): number {
    return this.#live.length
  }

  /** What was not acknowledged yet, oldest first. */
  get unacked(): readonly object[] {
    return [...this.#unacked.values()].map(({ payload }) => payload)
  }

  ticket(): string {
    const ticket = randomUUID()
    this.#tickets.add(ticket)
    return ticket
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const ticket = new URL(request.url ?? '/', 'ws://fake').searchParams.get('ticket') ?? ''
    // A ticket is good for one connection.
    if (!this.#tickets.delete(ticket)) {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n')
      return
    }
    this.#server.handleUpgrade(request, socket, head, (connection) => this.#admit(connection))
  }

  push(type: string, payload: object): void {
    const envelope: SocketEnvelope = { id: randomUUID(), type, payload, attempt: 0, reason: '', at: null, timer: undefined }
    this.#unacked.set(envelope.id, envelope)
    this.#send(envelope)
  }

  /** Slack asks for another connection, and closes this one after a while. */
  disconnect(reason: 'warning' | 'refresh_requested' | 'link_disabled', closeAfterMs = 10_000): void {
    for (const connection of this.#live) {
      connection.send(JSON.stringify({ type: 'disconnect', reason, debug_info: { host: 'fake' } }))
      const timer = setTimeout(() => connection.terminate(), closeAfterMs)
      connection.once('close', () => clearTimeout(timer))
    }
  }

  /** Resolves when what was said until now has reached every connection that lives. */
  async heard(): Promise<void> {
    await Promise.all(
      this.#live.map(async (connection) => {
        const { promise, resolve } = Promise.withResolvers<void>()
        connection.once('pong', () => resolve())
        connection.once('close', () => resolve())
        connection.ping()
        await promise
      }),
    )
  }

  /** The network fails. */
  cut(): void {
    for (const connection of this.#live) connection.terminate()
  }

  /** Writes these bytes to every connection. */
  say(text: string): void {
    for (const connection of this.#live) connection.send(text)
  }

  close(): void {
    for (const { timer } of this.#unacked.values()) clearTimeout(timer)
    this.#unacked.clear()
    this.cut()
    this.#server.close()
  }

  #admit(connection: WebSocket): void {
    this.#live.push(connection)
    this.connected++
    this.peak = Math.max(this.peak, this.#live.length)
    connection.on('error', () => {})
    connection.on('message', (data: Buffer) => this.#hear(data.toString()))
    connection.on('close', () => this.#leave(connection))
    if (!this.isMute) {
      const debug_info = { host: 'applink-fake', build_number: 1, approximate_connection_time: 18_060 }
      const num_connections = this.#live.length + this.others
      connection.send(JSON.stringify({ type: 'hello', num_connections, debug_info, connection_info: { app_id: 'A0FAKE' } }))
      for (const envelope of this.#unacked.values()) if (envelope.at === null) this.#send(envelope)
    }
    this.#changed()
  }

  #leave(connection: WebSocket): void {
    this.#live.splice(this.#live.indexOf(connection), 1)
    for (const envelope of this.#unacked.values()) {
      if (envelope.at !== connection) continue
      clearTimeout(envelope.timer)
      this.#again(envelope, 'connection_closed', 0)
    }
    this.#changed()
  }

  #hear(text: string): void {
    const { envelope_id: id, payload } = JSON.parse(text) as { readonly envelope_id?: string; readonly payload?: unknown }
    const envelope = this.#unacked.get(id ?? '')
    if (envelope === undefined) return
    clearTimeout(envelope.timer)
    this.#unacked.delete(envelope.id)
    this.acked.push({ id: envelope.id, payload })
    this.#changed()
  }

  #send(envelope: SocketEnvelope): void {
    clearTimeout(envelope.timer)
    const connection = this.#live.shift()
    envelope.at = connection ?? null
    if (connection === undefined) return
    this.#live.push(connection)
    const { id: envelope_id, type, payload, attempt: retry_attempt, reason: retry_reason } = envelope
    const retry = type === 'events_api' ? { retry_attempt, retry_reason } : {}
    connection.send(JSON.stringify({ envelope_id, type, payload, accepts_response_payload: type === 'slash_commands', ...retry }))
    envelope.timer = setTimeout(() => this.#again(envelope, 'timeout', this.#times.retryDelaysMs[envelope.attempt] ?? 0), this.#times.ackMs)
  }

  #again(envelope: SocketEnvelope, reason: string, delayMs: number): void {
    envelope.at = null
    // A slash command is asked once: its user is told that it failed.
    if (envelope.type !== 'events_api' || envelope.attempt >= this.#times.retryDelaysMs.length) {
      this.#unacked.delete(envelope.id)
      this.lost.push(envelope.payload)
      this.#changed()
      return
    }
    envelope.attempt++
    envelope.reason = reason
    envelope.timer = setTimeout(() => this.#send(envelope), delayMs)
  }
}
