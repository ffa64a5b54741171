/**
 * Carries a wire over HTTP: one POST per call on kept-alive connections, its answer read as it comes, every wait bounded.
 * The only importer of undici, on the first call. Undici's dispatch is used bare: its streams cost more than all the rest.
 */
import type { Clock } from '#contract'
import type { Dispatcher, Pool } from 'undici'
import { faultOfAnswer, ModelFault } from './fault.ts'
import type { Completion, Model, ModelRequest } from './model.ts'
import { EventStream } from './sse.ts'
import { parseObject } from './wire.ts'
import type { AnswerReader, Wire } from './wire.ts'

export interface Endpoint {
  readonly wire: Wire
  readonly baseUrl: URL
  readonly apiKey: string | null
  readonly headers: { readonly [name: string]: string }
}

const MAX_CONNECT_MS = 5_000
/** How long a provider may think before the first byte of its answer, and rest between two of them. */
const MAX_FIRST_BYTE_MS = 60_000
const MAX_IDLE_MS = 30_000
/** Calls at once to one provider; more wait. */
const MAX_CONNECTIONS = 256
const MAX_ANSWER_BYTES = 32 * 1024 * 1024
const MAX_ERROR_BYTES = 64 * 1024

export class HttpModel implements Model {
  readonly #endpoint: Endpoint
  readonly #clock: Clock
  readonly #path: string
  readonly #headers: readonly string[]
  #pool: Promise<Pool> | null = null

  constructor(endpoint: Endpoint, clock: Clock) {
    this.#endpoint = endpoint
    this.#clock = clock
    this.#path = `${endpoint.baseUrl.pathname.replace(/\/$/, '')}/${endpoint.wire.path}${endpoint.baseUrl.search}`
    const headers = {
      'content-type': 'application/json',
      accept: 'text/event-stream, application/json',
      ...endpoint.wire.headers(endpoint.apiKey),
      ...endpoint.headers,
    }
    this.#headers = Object.entries(headers).flat()
  }

  async complete(request: ModelRequest, signal: AbortSignal, onText: (text: string) => void): Promise<Completion> {
    const pool = await (this.#pool ??= this.#open())
    signal.throwIfAborted()
    const { wire, baseUrl } = this.#endpoint
    const body = wire.encode(request, baseUrl)
    const reader = wire.read(request, onText)
    return new Promise((resolve, reject) => {
      const exchange = new Exchange({ reader, signal, clock: this.#clock, timeoutMs: request.timeoutMs, resolve, reject })
      const headers = [...this.#headers, 'idempotency-key', request.idempotencyKey]
      if (request.traceparent !== undefined) headers.push('traceparent', request.traceparent)
      try {
        pool.dispatch({ path: this.#path, method: 'POST', headers, body }, exchange)
      } catch (error) {
        exchange.fail(new ModelFault('rejected', 'cannot be asked as it is configured', { cause: error }))
      }
    })
  }

  async close(): Promise<void> {
    const pool = await this.#pool
    this.#pool = null
    await pool?.destroy()
  }

  async #open(): Promise<Pool> {
    const undici = await import('undici')
    return new undici.Pool(this.#endpoint.baseUrl.origin, {
      connections: MAX_CONNECTIONS,
      connect: { timeout: MAX_CONNECT_MS },
      // Exchange has its own bounds; these end what a finished exchange left open.
      headersTimeout: 600_000,
      bodyTimeout: MAX_IDLE_MS,
    })
  }
}

interface ExchangeOptions {
  readonly reader: AnswerReader
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly timeoutMs: number
  resolve(completion: Completion): void
  reject(error: unknown): void
}

/** One request and its answer; settles exactly once. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions
  readonly #startedAt: number
  readonly #onAbort = (): void => this.fail(this.#options.signal.reason)
  #controller: Dispatcher.DispatchController | null = null
  #cancelTimer: () => void
  #lastByteAt: number | null = null
  #status = 0
  #headers: { readonly [name: string]: string | string[] | undefined } = {}
  #events: EventStream | null = null
  #chunks: Buffer[] = []
  #bytes = 0
  #complete = false
  #settled = false

  constructor(options: ExchangeOptions) {
    this.#options = options
    this.#startedAt = options.clock.now()
    this.#cancelTimer = options.clock.after(this.#dueAt() - this.#startedAt, () => this.#checkTime())
    options.signal.addEventListener('abort', this.#onAbort)
  }

  fail(error: unknown): void {
    if (!this.#settle()) return
    this.#controller?.abort(new Error('not wanted any more'))
    this.#options.reject(error)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#settled) controller.abort(new Error('not wanted any more'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Dispatcher.DispatchController['rawHeaders']): void {
    this.#lastByteAt = this.#options.clock.now()
    this.#status = status
    this.#headers = headers !== null && typeof headers === 'object' && !Array.isArray(headers) ? headers : {}
    const type = this.#headers['content-type']
    if (status === 200 && !(typeof type === 'string' && type.includes('json'))) {
      this.#events = new EventStream((data, kind) => {
        if (!this.#complete) this.#complete = this.#options.reader.event(data, kind)
      })
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    this.#lastByteAt = this.#options.clock.now()
    this.#bytes += chunk.length
    try {
      if (this.#bytes > MAX_ANSWER_BYTES) throw new ModelFault('transient', 'sent an answer beyond all bounds')
      if (this.#events === null) {
        if (this.#status === 200 || this.#bytes <= MAX_ERROR_BYTES) this.#chunks.push(Buffer.from(chunk))
        return
      }
      this.#events.push(chunk)
      if (this.#complete) this.#succeed()
    } catch (error) {
      this.fail(error)
    }
  }

  onResponseEnd(): void {
    if (this.#settled) return
    try {
      const body = Buffer.concat(this.#chunks).toString('utf8')
      if (this.#status !== 200) throw faultOfAnswer({ status: this.#status, headers: this.#headers, body, now: this.#options.clock.now() })
      if (this.#events === null) this.#options.reader.whole(parseObject(body))
      else this.#events.end()
      this.#succeed()
    } catch (error) {
      this.fail(error)
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
    this.fail(new ModelFault('transient', `could not be reached (${code})`, { cause: error }))
  }

  /** When the wait under way has lasted too long. */
  #dueAt(): number {
    const { timeoutMs } = this.#options
    const silent = this.#lastByteAt === null ? this.#startedAt + MAX_FIRST_BYTE_MS : this.#lastByteAt + MAX_IDLE_MS
    return Math.min(this.#startedAt + timeoutMs, silent)
  }

  #checkTime(): void {
    const now = this.#options.clock.now()
    const dueAt = this.#dueAt()
    if (now < dueAt) this.#cancelTimer = this.#options.clock.after(dueAt - now, () => this.#checkTime())
    else this.fail(new ModelFault('transient', `said nothing more within ${now - (this.#lastByteAt ?? this.#startedAt)} ms`))
  }

  #succeed(): void {
    const completion = this.#options.reader.finish()
    if (this.#settle()) this.#options.resolve(completion)
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#cancelTimer()
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    return true
  }
}
