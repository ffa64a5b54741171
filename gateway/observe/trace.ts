/**
 * Traces by OpenTelemetry: spans made behind our port and sent to a collector as OTLP over HTTP. Loaded only when a collector is configured;
 * registers nothing globally. What waits and what is dropped is span-queue.ts's.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Context, Link, Span as OtelSpan, SpanContext, Tracer as OtelTracer } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base'
import type { Attributes, Clock, Log, Metrics, Span, SpanName, SpanOptions, Tracer } from '#contract'
import type { Redactor } from './redact.ts'
import { SpanQueue } from './span-queue.ts'

export interface TracingOptions {
  /** Base address of the collector, or the whole address of its traces. */
  readonly endpoint: string
  readonly serviceName: string
  /** Of traces that begin here; one that came with a decision keeps it. */
  readonly sampleRatio: number
  readonly version: string
  /** Which of several gateways this is. */
  readonly node: string
  readonly redactor: Redactor
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

const EXPORT_LIMIT_MS = 10_000
const MAX_ATTRIBUTE_CHARS = 256

export class Tracing implements Tracer {
  readonly #provider: BasicTracerProvider
  readonly #tracer: OtelTracer
  readonly #redactor: Redactor

  constructor(options: TracingOptions) {
    const { clock, log, metrics } = options
    const exporter = new OTLPTraceExporter({ url: tracesUrl(options.endpoint), timeoutMillis: EXPORT_LIMIT_MS, concurrencyLimit: 1 })
    this.#redactor = options.redactor
    this.#provider = new BasicTracerProvider({
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
      resource: resourceFromAttributes({
        'service.name': options.serviceName,
        'service.version': options.version,
        'service.instance.id': options.node,
      }),
      spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE_CHARS },
      spanProcessors: [new SpanQueue({ exporter, clock, log, metrics })],
    })
    this.#tracer = this.#provider.getTracer('openclaw', options.version)
  }

  span(name: SpanName, options: SpanOptions = {}): Span {
    const { parent, kind = 'internal', startedAt, attributes = {}, links = [] } = options
    const found = links.flatMap((link): Link[] => {
      const context = contextOf(link)
      return context === null ? [] : [{ context }]
    })
    const context = contextOf(parent)
    const within: Context = context === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context)
    const span = this.#tracer.startSpan(
      name,
      { kind: KINDS[kind], links: found, ...(startedAt !== undefined && { startTime: startedAt }) },
      within,
    )
    const recorded = new Recorded(span, this.#redactor)
    recorded.set(attributes)
    return recorded
  }

  /** Sends what waits, within a bound. */
  async stop(): Promise<void> {
    await this.#provider.shutdown()
  }
}

class Recorded implements Span {
  readonly traceparent: string
  readonly #span: OtelSpan
  readonly #redactor: Redactor
  #isEnded = false

  constructor(span: OtelSpan, redactor: Redactor) {
    this.#span = span
    this.#redactor = redactor
    const { traceId, spanId, traceFlags } = span.spanContext()
    this.traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
  }

  set(attributes: Attributes): void {
    if (!this.#span.isRecording()) return
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined) this.#span.setAttribute(name, typeof value === 'string' ? this.#redactor.text(value) : value)
    }
  }

  end(fault?: string | null): void {
    if (this.#isEnded) return
    this.#isEnded = true
    if (fault !== undefined && fault !== null) {
      this.set({ 'error.type': fault })
      this.#span.setStatus({ code: SpanStatusCode.ERROR })
    }
    this.#span.end()
  }
}

const KINDS: { readonly [kind in NonNullable<SpanOptions['kind']>]: SpanKind } = {
  internal: SpanKind.INTERNAL,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
}

/** Of a valid `traceparent`; whoever takes one in from outside has checked it. */
function contextOf(traceparent: string | undefined): SpanContext | null {
  if (traceparent === undefined) return null
  const traceFlags = Number.parseInt(traceparent.slice(53, 55), 16)
  return { traceId: traceparent.slice(3, 35), spanId: traceparent.slice(36, 52), traceFlags: traceFlags & 1, isRemote: true }
}

/** OTLP exporter specification: signals have their path below the base address. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint)
  if (!url.pathname.endsWith('/v1/traces')) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return url.href
}
