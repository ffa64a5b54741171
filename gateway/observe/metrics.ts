/**
 * Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4). Holds numbers only: the hot path is one look-up by the
 * joined label values and one addition. Bounded: beyond the cap new label sets are dropped and counted, save the first few of each metric.
 */
import type { Counter, Gauge, Histogram, MetricSpec, Metrics } from '#contract'
import { expose } from './exposition.ts'
import type { Family, Series } from './exposition.ts'

/** Seconds: from a cached answer to a slow model. */
const DEFAULT_BUCKETS: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const MAX_SERIES = 2_048
/** Every metric has room for so many, whatever the others take: who registers agents in numbers must not blind the alerts. */
const OWN_SERIES = 16
const NO_LABELS: readonly string[] = []

type Read = Parameters<Gauge['collect']>[0]

export class Registry implements Metrics {
  readonly #families = new Map<string, Family>()
  readonly #reads = new Map<Family, Read[]>()
  readonly #maxSeries: number
  readonly #dropped: Counter
  readonly #failed: Counter
  #count = 0
  #rendering: Promise<string> | null = null

  constructor(options: { readonly maxSeries?: number } = {}) {
    this.#maxSeries = options.maxSeries ?? MAX_SERIES
    this.#dropped = this.counter({
      name: 'openclaw_metrics_series_dropped_total',
      help: 'Measurements dropped because there are too many label sets',
    })
    this.#failed = this.counter({ name: 'openclaw_metrics_collect_failed_total', help: 'Gauges that could not be read' })
  }

  counter(spec: MetricSpec): Counter {
    const family = this.#family('counter', spec, [])
    return {
      inc: (labels = NO_LABELS, by = 1) => {
        const series = by >= 0 ? this.#series(family, labels) : undefined
        if (series) series.value += by
      },
    }
  }

  gauge(spec: MetricSpec): Gauge {
    const family = this.#family('gauge', spec, [])
    const set = (value: number, labels: readonly string[] = NO_LABELS): void => {
      const series = this.#series(family, labels)
      if (series) series.value = value
    }
    return {
      set,
      collect: (read) => {
        this.#reads.set(family, [...(this.#reads.get(family) ?? []), read])
      },
    }
  }

  histogram(spec: MetricSpec & { readonly buckets?: readonly number[] }): Histogram {
    const family = this.#family('histogram', spec, spec.buckets ?? DEFAULT_BUCKETS)
    const { buckets } = family
    return {
      observe: (value, labels = NO_LABELS) => {
        const series = this.#series(family, labels)
        if (!series?.counts) return
        let i = 0
        while (i < buckets.length && value > (buckets[i] ?? 0)) i++
        series.counts[i] = (series.counts[i] ?? 0) + 1
        series.value += value
      },
    }
  }

  /** Reads the gauges that are measured when somebody looks; those who look at the same time get the same text. */
  text(): Promise<string> {
    this.#rendering ??= this.#render().finally(() => (this.#rendering = null))
    return this.#rendering
  }

  async #render(): Promise<string> {
    for (const [family, reads] of this.#reads) {
      // What is no longer said is no longer there.
      this.#count -= family.series.size
      family.series.clear()
      const set = (value: number, labels: readonly string[] = NO_LABELS): void => {
        const series = this.#series(family, labels)
        if (series) series.value = value
      }
      for (const read of reads) {
        try {
          await read(set)
        } catch {
          this.#failed.inc()
        }
      }
    }
    return expose(this.#families.values())
  }

  #series(family: Family, labels: readonly string[]): Series | undefined {
    const key = labels.length === 1 ? (labels[0] ?? '') : labels.join('\u0000')
    const known = family.series.get(key)
    if (known) return known
    if (labels.length !== family.labels.length) {
      throw new TypeError(`${family.name} has the labels (${family.labels.join(', ')}) and was given ${labels.length} values.`)
    }
    if (this.#count >= this.#maxSeries && family.series.size >= OWN_SERIES) {
      this.#dropped.inc()
      return undefined
    }
    this.#count++
    const counts = family.kind === 'histogram' ? { counts: Array.from({ length: family.buckets.length + 1 }, () => 0) } : {}
    const series: Series = { labels: [...labels], value: 0, ...counts }
    family.series.set(key, series)
    return series
  }

  /** The same name again is the same metric, for parts of which there are several. */
  #family(kind: Family['kind'], spec: MetricSpec, buckets: readonly number[]): Family {
    const labels = spec.labels ?? []
    const known = this.#families.get(spec.name)
    if (known) {
      if (known.kind === kind && known.labels.join() === labels.join()) return known
      throw new TypeError(`${spec.name} is a ${known.kind} with the labels (${known.labels.join(', ')}) already.`)
    }
    const problem = fault(kind, spec.name, labels, buckets)
    if (problem) throw new TypeError(`The metric ${JSON.stringify(spec.name)} ${problem}.`)
    const family: Family = { kind, name: spec.name, help: spec.help, labels, buckets, series: new Map() }
    this.#families.set(spec.name, family)
    // Without labels there is one series, there from the start, so that a rate has a zero to begin with.
    if (labels.length === 0 && kind !== 'gauge') this.#series(family, NO_LABELS)
    return family
  }
}

/** What `promtool check metrics` would say. */
function fault(kind: Family['kind'], name: string, labels: readonly string[], buckets: readonly number[]): string | null {
  if (!/^[a-z_][a-z0-9_]*$/.test(name)) return 'needs a name of lower-case letters, digits and _'
  if (kind === 'counter' && !name.endsWith('_total')) return 'is a counter and must end in _total'
  if (kind !== 'counter' && /_(total|count|sum|bucket)$/.test(name)) return `is a ${kind} and has a counter's ending`
  const label = labels.find((label) => !/^[a-z][a-z0-9_]*$/.test(label) || label === 'le' || label === 'quantile')
  if (label !== undefined && !(kind === 'gauge' && label === 'quantile')) return `has a label that cannot be: ${label}`
  return buckets.some((bound, i) => i > 0 && bound <= (buckets[i - 1] ?? 0)) ? 'has buckets that do not ascend' : null
}
