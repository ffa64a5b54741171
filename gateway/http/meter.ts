/** What is measured of each request, and the line that is logged for it. Label lists are made once and used again. */
import { describeError, isTraceparent, traceFields } from '#contract'
import type { Counter, Gauge, Histogram, Log, LogFields, Metrics, Principal } from '#contract'

const SLOW_MS = 1_000

export interface Served {
  readonly id: string
  readonly method: string
  /** The path's template, never the path. */
  readonly route: string
  readonly status: number
  readonly startedAt: number
  readonly principal: Principal | null
  readonly traceparent: string | undefined
  /** Of the request's body, and of the whole answer on the wire. */
  readonly bytesIn?: number
  readonly bytesOut?: number
  readonly error?: unknown
}

interface Labels {
  readonly requests: readonly string[]
  readonly errors: readonly string[]
  readonly duration: readonly string[]
}

export class Meter {
  readonly authFailures: Counter
  readonly streams: Gauge
  readonly #requests: Counter
  readonly #errors: Counter
  readonly #duration: Histogram
  readonly #log: Log
  /** Bounded by routes × methods × statuses. */
  readonly #labels = new Map<string, Map<number, Labels>>()

  constructor(metrics: Metrics, log: Log) {
    this.#log = log
    this.#requests = metrics.counter({ name: 'http_requests_total', help: 'Requests answered.', labels: ['method', 'status'] })
    this.#errors = metrics.counter({ name: 'http_errors_total', help: 'Requests answered with 400 or above.', labels: ['status'] })
    this.#duration = metrics.histogram({
      name: 'http_request_duration_seconds',
      help: 'From the header to the end of the answer.',
      labels: ['method', 'route', 'status'],
    })
    this.authFailures = metrics.counter({
      name: 'openclaw_auth_failures_total',
      help: 'Requests whose credential, scope, host or origin was refused.',
      labels: ['reason'],
    })
    this.streams = metrics.gauge({ name: 'openclaw_http_streams_active', help: 'Open event streams.' })
  }

  record(served: Served): void {
    const durationMs = performance.now() - served.startedAt
    const labels = this.#labelsOf(served)
    this.#requests.inc(labels.requests)
    this.#duration.observe(durationMs / 1_000, labels.duration)
    if (served.status >= 400) this.#errors.inc(labels.errors)
    if (served.status >= 500) this.#log.error(fieldsOf(served, durationMs), 'request failed')
    else if (served.status >= 400 || durationMs > SLOW_MS) this.#log.info(fieldsOf(served, durationMs), 'request')
    else this.#log.debug(fieldsOf(served, durationMs), 'request')
  }

  #labelsOf({ method, route, status }: Served): Labels {
    const name = method === 'POST' ? route : `${method} ${route}`
    let byStatus = this.#labels.get(name)
    if (byStatus === undefined) this.#labels.set(name, (byStatus = new Map()))
    let labels = byStatus.get(status)
    if (labels === undefined) {
      const text = String(status)
      byStatus.set(status, (labels = { requests: [method, text], errors: [text], duration: [method, route, text] }))
    }
    return labels
  }
}

function fieldsOf(served: Served, durationMs: number): LogFields {
  const latency = Math.round(durationMs * 100) / 100
  return {
    request_id: served.id,
    ...(served.traceparent !== undefined && isTraceparent(served.traceparent) ? traceFields(served.traceparent) : {}),
    method: served.method,
    route: served.route,
    status: served.status,
    latency,
    latency_ms: latency,
    bytes_in: served.bytesIn,
    bytes_out: served.bytesOut,
    tenant: served.principal?.tenant,
    principal: served.principal?.id,
    ...(served.error instanceof Error ? errorFields(served.error, served.status) : {}),
  }
}

/** What the client did wrong is said; where in our code that was found tells nobody anything, and fills the log at the client's will. */
function errorFields(error: Error, status: number): LogFields {
  const told = describeError(error)
  return { error: status < 500 ? told : error, 'error.code': told.code }
}
