/**
 * `/metrics` on a port of its own, for a scraper on the same machine, without a credential. A convenience: if the port is taken the
 * gateway warns and goes on, the same text is at `/api/metrics`.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { NotFoundError, describeError } from '#contract'
import type { Lifecycle, Log } from '#contract'
import { writeProblem, writeText } from './answer.ts'
import { newRequestId } from './exchange.ts'
import { isLoopbackHost } from './guard.ts'
import { ProtocolError, problemOf } from './problem.ts'

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export class MetricsListener implements Lifecycle {
  readonly #port: number
  readonly #read: () => Promise<string>
  readonly #log: Log
  #server: Server | null = null

  constructor(options: { readonly port: number; readonly read: () => Promise<string>; readonly log: Log }) {
    this.#port = options.port
    this.#read = options.read
    this.#log = options.log
  }

  /** null: it does not listen. */
  get port(): number | null {
    const address = this.#server?.address()
    return typeof address === 'object' && address !== null ? address.port : null
  }

  async start(): Promise<void> {
    if (this.#server !== null) return
    const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
      const id = newRequestId()
      this.#answer(request).then(
        (text) => writeText(response, { id, status: 200, text, contentType: METRICS_TYPE, headers: {} }),
        (error: unknown) => writeProblem(response, id, problemOf(error, id)),
      )
    })
    server.maxConnections = 32
    this.#server = server
    await new Promise<void>((resolve) => {
      server.once('listening', resolve)
      server.once('error', (error) => {
        this.#log.warn({ port: this.#port, reason: describeError(error).message }, 'No metrics port; the metrics are at /api/metrics.')
        this.#server = null
        resolve()
      })
      server.listen(this.#port, '127.0.0.1')
    })
  }

  async #answer({ url, method, headers }: IncomingMessage): Promise<string> {
    if (!isLoopbackHost(headers.host ?? ''))
      throw new ProtocolError('Metrics are told to this machine alone, by the name localhost or 127.0.0.1.', {
        code: 'HOST_NOT_ALLOWED',
        slug: 'misdirected-request',
      })
    if (url === '/metrics' && (method === 'GET' || method === 'HEAD')) return this.#read()
    throw new NotFoundError('Only GET /metrics is here.', { code: 'NOT_FOUND' })
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
}
