/** Metrics as text in the Prometheus exposition format 0.0.4. */
export interface Series {
  readonly labels: readonly string[]
  value: number
  /** Of a histogram: how many fell in each bucket, the last beyond all bounds. */
  readonly counts?: number[]
}
export interface Family {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly buckets: readonly number[]
  readonly series: Map<string, Series>
}
export function expose(families: Iterable<Family>): string {
  let text = ''
  for (const family of families) {
    if (family.series.size === 0) continue
    text += `# HELP ${family.name} ${family.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${family.name} ${family.kind}\n`
    for (const series of family.series.values()) text += family.kind === 'histogram' ? histogram(family, series) : plain(family, series)
  }
  return text
}

const plain = (family: Family, series: Series): string => `${family.name}${braces(pairs(family, series))} ${number(series.value)}\n`

/** Buckets are cumulative: each counts all that is not greater than its bound. */
function histogram(family: Family, series: Series): string {
  const labels = pairs(family, series)
  let text = ''
  let below = 0
  series.counts?.forEach((count, i) => {
    below += count
    const bound = family.buckets[i]
    text += `${family.name}_bucket${braces([...labels, `le="${bound === undefined ? '+Inf' : number(bound)}"`])} ${below}\n`
  })
  return `${text}${family.name}_sum${braces(labels)} ${number(series.value)}\n${family.name}_count${braces(labels)} ${below}\n`
}

const pairs = (family: Family, series: Series): readonly string[] =>
  family.labels.map((label, i) => `${label}="${escaped(series.labels[i] ?? '')}"`)
const braces = (pairs: readonly string[]): string => (pairs.length === 0 ? '' : `{${pairs.join(',')}}`)
const escaped = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

function number(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
