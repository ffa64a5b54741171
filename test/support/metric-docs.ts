/** docs/metrics.md as data: which metrics are exported, and which are named as coming. */
import { readFileSync } from 'node:fs'

export interface MetricRow {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  /** Of what it means: values of a label that are a closed set are among them. */
  readonly words: ReadonlySet<string>
}

const text = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')

/** By name. */
export const documented: ReadonlyMap<string, MetricRow> = rowsOf('Exported')
export const coming: ReadonlyMap<string, MetricRow> = rowsOf('Coming')

function rowsOf(heading: string): ReadonlyMap<string, MetricRow> {
  const section = new RegExp(`^## ${heading}\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(text)?.[1] ?? ''
  const rows = new Map<string, MetricRow>()
  for (const [, name = '', type = '', labels = '', meaning = ''] of section.matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \| ([^|]*)\|(.*)$/gm)) {
    if (rows.has(name)) throw new Error(`${name} stands twice in docs/metrics.md`)
    rows.set(name, {
      name,
      type,
      labels: labels.split(',').flatMap((label) => (label.trim() === '' ? [] : [label.trim()])),
      words: new Set(meaning.match(/\w+/g)),
    })
  }
  return rows
}
