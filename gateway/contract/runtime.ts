/** What every part is given instead of reaching for it: log, clock, metrics. */
import type { JsonValue } from './envelope.ts'

export type LogFields = { readonly [field: string]: JsonValue | undefined | Error }

export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** A log whose every line carries `fields` too. */
  child(fields: LogFields): Log
}

export interface Clock {
  /** Epoch milliseconds. */
  now(): number
  /** Calls `run` once after `ms` milliseconds, unless the returned function is called before. */
  after(ms: number, run: () => void): () => void
}

/** Names and labels are fixed when a metric is made; label values come from closed sets. */
export interface Metrics {
  counter(spec: MetricSpec): Counter
  gauge(spec: MetricSpec): Gauge
  /** `buckets` are upper bounds, ascending, in the unit of the name. */
  histogram(spec: MetricSpec & { readonly buckets?: readonly number[] }): Histogram
}
export interface MetricSpec {
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
}
/** `labels` are the values, in the order in which the metric names them. */
export interface Counter {
  inc(labels?: readonly string[], by?: number): void
}
export interface Gauge {
  set(value: number, labels?: readonly string[]): void
  /** Measured when somebody looks. */
  collect(read: (set: (value: number, labels?: readonly string[]) => void) => void | Promise<void>): void
}
export interface Histogram {
  observe(value: number, labels?: readonly string[]): void
}

/** What holds a resource. Both idempotent; `stop` resolves only when nothing more can happen. */
export interface Lifecycle {
  start(): Promise<void>
  stop(): Promise<void>
}
