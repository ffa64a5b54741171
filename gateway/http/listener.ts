/**
 * The socket side of the front door: how long requests may take to arrive, how large their header may be, what is said to those that
 * cannot be parsed. With TLS or without, the same.
 */
import { ServerResponse, createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { ConflictError, describeError } from '#contract'
import { endSocket } from './answer.ts'
import { newRequestId } from './exchange.ts'
import { ProtocolError, problemOf } from './problem.ts'

/** Longer than the idle time of usual load balancers, so that they close first. */
const KEEP_ALIVE_MS = 65_000

export interface ListenerLimits {
  /** Open at once. */
  readonly connections: number
  /** A request's header fields, and the whole of it, must have come by then. */
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
}

export function createListener(options: ListenerLimits & { readonly tls: TlsOptions | null }): Server | TlsServer {
  const { headersTimeoutMs, requestTimeoutMs, connections, tls } = options
  const limits = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    // How late after its time a slow client is found.
    connectionsCheckingInterval: Math.min(1_000, headersTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    // No maxRequestsPerSocket: what it is for elsewhere, looking at a client again, happens with each request here.
    maxHeaderSize: 16_384,
    noDelay: true,
    // RFC 9110 §7.8: what else a client would like to speak (h2c, of which some always ask) is passed over, and its request is one like all others.
    shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket',
  }
  const server = tls === null ? createServer(limits) : createTlsServer({ ...tls, ...limits })
  server.maxConnections = connections
  server.on('clientError', refuseSocket)
  return server
}

export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new ConflictError(
              `Port ${port} on ${host} is in use. Stop what uses it, or set \`OPENCLAW_PORT\` to another (0: any free one).`,
              {
                code: 'PORT_IN_USE',
                cause: error,
              },
            )
          : new ConflictError(`Cannot listen on ${host}:${port}: ${describeError(error).message}.`, {
              code: 'LISTEN_FAILED',
              cause: error,
            }),
      )
    })
    server.listen({ host, port, backlog: 1_024 }, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

/** What the parser refused: malformed, ambiguous (RFC 9112 §6.3), too large or too slow. */
function refuseSocket(error: NodeJS.ErrnoException, socket: Socket): void {
  // An answer that is being made to a request that came whole would be torn, or taken for this one.
  // oxlint-disable-next-line no-underscore-dangle -- the only way to know, and how Node itself does
  const answer = '_httpMessage' in socket && socket._httpMessage instanceof ServerResponse ? socket._httpMessage : null
  const isAnswering = answer !== null && (answer.headersSent || answer.req.complete)
  if (!socket.writable || isAnswering || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const id = newRequestId()
  const problem = problemOf(parserProblem(error.code), id)
  endSocket(socket, { ...problem, headers: { 'x-request-id': id } })
}

function parserProblem(code: string | undefined): ProtocolError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ProtocolError('The request did not arrive in time.', { code: 'REQUEST_TIMEOUT', slug: 'request-timeout' })
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ProtocolError('The header fields may have 16 KiB together.', { code: 'HEADERS_TOO_LARGE', slug: 'headers-too-large' })
  }
  return new ProtocolError('The request is not valid HTTP/1.1.', { code: 'INVALID_HTTP', slug: 'invalid-request' })
}
