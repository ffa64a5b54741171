/**
 * Finished spans on their way to the collector: batches of 512, at the latest after five seconds, one at a time. Bounded: when the collector
 * is slow or gone the oldest are dropped and counted, and nothing waits. How they are written is the exporter's.
 */
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { Clock, Counter, Log, Metrics } from '#contract'

export interface SpanQueueOptions {
  readonly exporter: SpanExporter
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

const BATCH = 512
const MAX_QUEUED = 2_048
const DELAY_MS = 5_000
/** How long the end of the gateway waits for the collector. */
const FLUSH_LIMIT_MS = 2_000

export class SpanQueue implements SpanProcessor {
  readonly #options: SpanQueueOptions
  readonly #spans: Counter
  #queued: ReadableSpan[] = []
  #exporting: Promise<void> | null = null
  #cancelTimer: (() => void) | null = null
  #isFailing = false
  #isStopped = false

  constructor(options: SpanQueueOptions) {
    this.#options = options
    this.#spans = options.metrics.counter({
      name: 'openclaw_trace_spans_total',
      help: 'Spans, by what became of them: exported, dropped because too many waited, or failed because the collector did not take them.',
      labels: ['outcome'],
    })
    for (const outcome of ['exported', 'dropped', 'failed']) this.#spans.inc([outcome], 0)
    options.metrics
      .gauge({ name: 'openclaw_trace_spans_queued', help: 'Spans that wait to be exported.' })
      .collect((set) => set(this.#queued.length))
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#isStopped) return
    if (this.#queued.length >= MAX_QUEUED) this.#spans.inc(['dropped'], this.#queued.splice(0, BATCH).length)
    this.#queued.push(span)
    if (this.#queued.length >= BATCH) this.#next()
    else this.#cancelTimer ??= this.#options.clock.after(DELAY_MS, () => this.#next())
  }

  /** Resolves when all is told, or after its bound; what is left then is dropped. */
  async forceFlush(): Promise<void> {
    const late = Promise.withResolvers<'late'>()
    const cancel = this.#options.clock.after(FLUSH_LIMIT_MS, () => late.resolve('late'))
    while (this.#queued.length > 0 || this.#exporting !== null) {
      this.#next()
      if ((await Promise.race([this.#exporting, late.promise])) === 'late') break
    }
    cancel()
  }

  async shutdown(): Promise<void> {
    if (this.#isStopped) return
    await this.forceFlush()
    this.#isStopped = true
    this.#cancelTimer?.()
    this.#cancelTimer = null
    this.#spans.inc(['dropped'], this.#queued.length)
    this.#queued = []
    // The exporter waits for what is under way, which the bound above has given up.
    if (this.#exporting === null) await this.#options.exporter.shutdown()
  }

  #next(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    if (this.#exporting !== null || this.#queued.length === 0) return
    this.#exporting = this.#export(this.#queued.splice(0, BATCH)).finally(() => {
      this.#exporting = null
      if (this.#isStopped || this.#queued.length === 0) return
      if (this.#queued.length >= BATCH) this.#next()
      else this.#cancelTimer ??= this.#options.clock.after(DELAY_MS, () => this.#next())
    })
  }

  async #export(batch: ReadableSpan[]): Promise<void> {
    const { exporter, log } = this.#options
    const isTaken = await new Promise<boolean>((resolve) => {
      try {
        exporter.export(batch, ({ error }) => resolve(error === undefined))
      } catch {
        resolve(false)
      }
    })
    this.#spans.inc([isTaken ? 'exported' : 'failed'], batch.length)
    if (isTaken === !this.#isFailing) return
    this.#isFailing = !isTaken
    if (isTaken) log.info({}, 'The trace collector takes spans again.')
    else
      log.warn(
        {},
        'The trace collector does not take spans; they are dropped until it does. Look at `observability.opentelemetry.endpoint`.',
      )
  }
}
