/**
 * The socket side of gRPC: listens, with TLS or without, and hands connections to the library. So the certificate, what is asked of clients and how many
 * may be connected are the gateway's own, the same as over HTTP.
 */
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { Server as TlsServer, createServer as createTlsServer } from 'node:tls'
import type { SecureContextOptions, TlsOptions } from 'node:tls'
import { ConflictError, describeError } from '#contract'
import { bracketed } from '../http/guard.ts'

/** Of a connection, which they tell from all others that are open. */
export interface Ends {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
}

export interface GrpcListenerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** null: in the clear. */
  readonly tls: TlsOptions | null
  readonly maxConnections: number
  /** Somebody can be spoken with. */
  readonly onConnection: (socket: Socket) => void
}

export class GrpcListener {
  readonly #options: GrpcListenerOptions
  readonly #server: Server
  /** All that are open, those in the middle of their TLS handshake too. */
  readonly #open = new Set<Socket>()
  /** Those that were handed on, by their two ends. Bounded by `maxConnections`. */
  readonly #connections = new Map<string, Socket>()

  constructor(options: GrpcListenerOptions) {
    this.#options = options
    const { tls, maxConnections } = options
    // gRPC is spoken over HTTP/2 alone, and over TLS by its name (RFC 9113 §3.2).
    this.#server = tls === null ? createServer() : createTlsServer({ ...tls, ALPNProtocols: ['h2'] })
    this.#server.maxConnections = maxConnections
    this.#server.on('connection', (socket: Socket) => {
      socket.setNoDelay(true)
      this.#open.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => this.#open.delete(socket))
    })
    this.#server.on(tls === null ? 'connection' : 'secureConnection', (socket: Socket) => this.#take(socket))
  }

  /** Answers the port. */
  listen(): Promise<number> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => reject(unbound(host, port, error)))
      this.#server.listen({ host, port, backlog: 1_024 }, () => {
        const address = this.#server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  }

  /** The connection by which a call came; null: it is gone. */
  connectionOf(ends: Ends): Socket | null {
    return this.#connections.get(keyOf(ends)) ?? null
  }

  /** For connections from now on. */
  replace(context: SecureContextOptions): void {
    if (this.#server instanceof TlsServer) this.#server.setSecureContext(context)
  }

  /** Takes none any more; those that were not handed on yet never are. */
  close(): void {
    this.#server.close()
    if (this.#server instanceof TlsServer) for (const socket of this.#open) if (!this.#connections.has(keyOf(socket))) socket.destroy()
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy()
  }

  #take(socket: Socket): void {
    const key = keyOf(socket)
    this.#connections.set(key, socket)
    socket.once('close', () => {
      if (this.#connections.get(key) === socket) this.#connections.delete(key)
    })
    this.#options.onConnection(socket)
  }
}

const keyOf = ({ localAddress, localPort, remoteAddress, remotePort }: Ends): string =>
  `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`

const unbound = (host: string, port: number, error: Error): ConflictError =>
  new ConflictError(
    `Cannot listen for gRPC on ${bracketed(host)}:${port}: ${describeError(error).message}. Set \`grpc.port\` to another (0: any free one).`,
    { code: 'LISTEN_FAILED', cause: error },
  )
