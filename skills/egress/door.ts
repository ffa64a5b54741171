/**
 * One door: an HTTP proxy on a unix socket for one sandbox. Reads what is asked for, has it judged, and hands it to the tunnel
 * or the forwarder. One connection is one request.
 */
import { chmod, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Audit, Tally, Verdict } from './audit.ts'
import { EGRESS_SOCKET } from './egress.ts'
import type { EgressCall, EgressDoor, EgressReport } from './egress.ts'
import { PLAIN, forward } from './forward.ts'
import type { Gate } from './gate.ts'
import { authority, parseAuthority, parseRule, targetOf } from './match.ts'
import type { Rule, Target } from './match.ts'
import { judgeOpening } from './opening.ts'
import { tunnel } from './tunnel.ts'

export interface DoorLimits {
  readonly connections: number
  /** Of a call, each way. */
  readonly bytes: number
  readonly idleMs: number
  readonly headerBytes: number
  /** For a request's header to be there whole. */
  readonly headerMs: number
  /** For the beginning of TLS in a tunnel. */
  readonly openMs: number
}

export interface DoorOptions {
  readonly dir: string
  readonly gate: Gate
  readonly audit: Audit
  readonly limits: DoorLimits
  /** A call goes on already, and who comes before `begin` belongs to it. */
  readonly isAwaited: boolean
  /** Once. */
  readonly onClose: () => void
}

interface Call {
  readonly rules: readonly Rule[]
  readonly tally: Tally
  readonly ended: AbortController
}

const NOTHING: EgressReport = { allowed: 0, denied: 0, denials: [], bytesUp: 0, bytesDown: 0 }

export class Door implements EgressDoor {
  readonly dir: string
  readonly #options: DoorOptions
  readonly #limits: DoorLimits
  readonly #server: Server
  readonly #sockets = new Set<Duplex>()
  /** Connections that had their one request. */
  readonly #used = new WeakSet<Duplex>()
  #call: Call | null = null
  /** Settles when it is known whose call goes on, or that nobody says so. */
  #awaited: PromiseWithResolvers<void> | null = null
  #report = NOTHING
  #closing: Promise<void> | null = null

  constructor(options: DoorOptions) {
    const { limits } = options
    this.#options = options
    this.#limits = limits
    this.dir = options.dir
    if (options.isAwaited) this.#awaited = Promise.withResolvers()
    this.#server = createServer({
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headerMs,
      connectionsCheckingInterval: Math.max(10, Math.floor(limits.headerMs / 4)),
      insecureHTTPParser: false,
      noDelay: true,
    })
    this.#server.maxConnections = limits.connections
    this.#server.maxRequestsPerSocket = 1
    this.#server.timeout = limits.idleMs
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('drop', () => options.audit.count('limit'))
    this.#server.on('clientError', (_error, socket) =>
      this.#malformed(socket, 'That is no HTTP request, or its header is too large or too slow.'),
    )
    this.#server.on('request', (request, response) => void this.#forward(request, response))
    this.#server.on('connect', (request, socket, head) => void this.#connect(request, socket, head))
  }

  async listen(): Promise<void> {
    const path = join(this.dir, EGRESS_SOCKET)
    await rm(path, { force: true })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen(path, resolve)
    await promise
    this.#server.off('error', reject)
    this.#server.on('error', () => {})
    // The skill runs as a user of its own, which is not ours to name. The directory's name keeps other sandboxes out, which see neither it nor our
    // network namespace; other users of this machine read it in /proc/net/unix, and reports of sandboxes say so.
    await chmod(path, 0o666)
  }

  begin(call: EgressCall): void {
    // What came to a door that was awaited is this call's.
    if (this.#awaited === null) this.end()
    const rules = call.allow.map((text) => parseRule(text)).filter((rule) => rule !== null)
    this.#call = { rules, tally: this.#options.audit.tally(call, this.#limits.bytes), ended: new AbortController() }
    this.#settle()
  }

  end(): EgressReport {
    this.#settle()
    if (this.#call !== null) {
      const { tally, ended } = this.#call
      this.#call = null
      ended.abort()
      tally.close()
      this.#report = tally.report()
    }
    for (const socket of this.#sockets) socket.destroy()
    return this.#report
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.end()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
    await rm(this.dir, { recursive: true, force: true })
    this.#options.onClose()
  }

  #settle(): void {
    this.#awaited?.resolve()
    this.#awaited = null
  }

  async #connect(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    // Node's server has only sockets, and its types do not say so.
    if (!(client instanceof Socket)) return void client.destroy()
    // Behind another request on the same connection: the answer to that one is still under way.
    if (this.#used.has(client)) return void client.destroy()
    const target = parseAuthority(request.url ?? '')
    if (target === null) return this.#malformed(client, 'CONNECT wants host:port.')
    const way = await this.#way(target)
    if (!way.isOpen) return answer(client, way.status, way.why)
    const { call, upstream } = way
    const { rules, tally } = call
    const { idleMs, openMs } = this.#limits
    const { up, down, is } = await tunnel({
      client,
      upstream,
      target,
      head,
      tally,
      idleMs,
      openMs,
      judge: (bytes) => judgeOpening(bytes, target, rules),
      // At once: the call may be over before its connections are.
      onRefused: (why) => tally.record({ target, verdict: 'denied_host', why, up: 0, down: 0 }),
    })
    if (is !== 'refused') tally.record({ target, up, down, verdict: VERDICTS[is], why: null })
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#used.add(request.socket)
    const url = URL.canParse(request.url ?? '') ? new URL(request.url ?? '') : null
    const target = url === null || url.protocol !== 'http:' || url.username !== '' || url.password !== '' ? null : targetOf(url)
    if (url === null || target === null) {
      this.#options.audit.count('malformed')
      response.writeHead(400, PLAIN).end('This is a proxy: it wants http://host/path, or CONNECT host:port.\n')
      return
    }
    const way = await this.#way(target)
    if (!way.isOpen) return void response.writeHead(way.status, PLAIN).end(`${way.why}\n`)
    const { call, upstream } = way
    const { tally } = call
    tally.admit()
    const { idleMs, headerBytes } = this.#limits
    const { up, down, is } = await forward({ request, response, url, target, upstream, tally, idleMs, maxHeaderBytes: headerBytes })
    tally.record({ target, up, down, verdict: VERDICTS[is], why: null })
  }

  /** A connection to the target, or what the client is told instead. Recorded already when it is closed. */
  async #way(target: Target): Promise<Way> {
    await this.#awaited?.promise
    const call = this.#call
    if (call === null) {
      this.#options.audit.count('closed')
      return { isOpen: false, status: 403, why: 'No call is running.' }
    }
    const { rules, tally, ended } = call
    const refuse = (status: number, verdict: Verdict, why: string): Way => {
      tally.record({ target, verdict, why, up: 0, down: 0 })
      return { isOpen: false, status, why }
    }
    try {
      const judged = await this.#options.gate.judge(rules, target, ended.signal)
      if (judged.verdict === 'unresolved') return refuse(502, judged.verdict, judged.why)
      if (judged.verdict !== 'allowed') return refuse(403, judged.verdict, judged.why)
      const upstream = await this.#options.gate.dial(judged.addresses, target.port, ended.signal)
      upstream.on('error', () => upstream.destroy())
      this.#sockets.add(upstream)
      upstream.once('close', () => this.#sockets.delete(upstream))
      return { isOpen: true, call, upstream }
    } catch {
      return refuse(502, 'unreachable', `${authority(target)} cannot be reached.`)
    }
  }

  #malformed(socket: Duplex, why: string): void {
    this.#options.audit.count('malformed')
    if (!socket.writable) return void socket.destroy()
    answer(socket, 400, why)
  }
}

type Way =
  | { readonly isOpen: true; readonly call: Call; readonly upstream: Socket }
  | { readonly isOpen: false; readonly status: number; readonly why: string }

const VERDICTS = { done: 'allowed', over: 'limit', broken: 'unreachable' } as const
const REASONS: { readonly [status: number]: string } = { 400: 'Bad Request', 403: 'Forbidden', 502: 'Bad Gateway' }

/** To who has left the parser behind. What else it sends is not read. */
function answer(socket: Duplex, status: number, why: string): void {
  const body = `${why}\n`
  const headers = `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`
  socket.resume()
  socket.end(`HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}\r\n${headers}\r\n\r\n${body}`, () => socket.destroy())
}
