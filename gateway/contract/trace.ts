/**
 * Traces: what led to what, across processes and restarts (W3C Trace Context). What is passed on is always a `traceparent`, in the
 * envelope's metadata, in broker headers, to models and into sandboxes. Recording and sending spans is the hub's; without a collector a span
 * records nothing and passes on what it was given.
 */
import type { LogFields } from './runtime.ts'

/** A closed list, so that whoever searches for one finds it. */
export type SpanName =
  | 'gateway.ingress'
  | 'gateway.route'
  | 'agent.dispatch'
  | 'agent.run'
  | 'llm.call'
  | 'skill.execute'
  | 'channel.egress'
  | 'webhook.deliver'
  | 'state.op'

/** Names, numbers and codes, never what was said. Those that are undefined are left out. */
export type Attributes = { readonly [name: string]: string | number | boolean | undefined }

export interface SpanOptions {
  /** The `traceparent` of what led to it; none: a trace begins here. */
  readonly parent?: string | undefined
  /** Default: internal. */
  readonly kind?: 'internal' | 'client' | 'producer' | 'consumer'
  /** Epoch milliseconds, if it began before now. */
  readonly startedAt?: number
  readonly attributes?: Attributes
  /** `traceparent`s of what else led to it. */
  readonly links?: readonly (string | undefined)[]
}

export interface Span {
  /** What to pass on to all that it leads to; undefined: nothing. */
  readonly traceparent: string | undefined
  set(attributes: Attributes): void
  /** The first end counts. `fault`: the code of what went wrong. */
  end(fault?: string | null): void
}

export interface Tracer {
  span(name: SpanName, options?: SpanOptions): Span
}

class Passage implements Span {
  readonly traceparent: string | undefined
  constructor(traceparent: string | undefined) {
    this.traceparent = traceparent
  }
  set(): void {}
  end(): void {}
}
const NOTHING: Span = new Passage(undefined)

/** Records nothing; what came from outside is passed on all the same. */
export const noTracer: Tracer = {
  span: (_, options) => (options?.parent === undefined ? NOTHING : new Passage(options.parent)),
}

/** What a log line says of the trace that it belongs to. */
export function traceFields(traceparent: string | undefined): LogFields {
  if (traceparent === undefined) return {}
  return { trace_id: traceparent.slice(3, 35), span_id: traceparent.slice(36, 52) }
}
