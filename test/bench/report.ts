/** The figures as people and programs read them: the machine on top, a table, JSON. */
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'
import { isMet, type Measure } from './measure.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly load: number
  readonly node: string
  readonly commit: string
}

export interface Figure extends Measure {
  readonly bench: string
  readonly isMet: boolean | null
}

export const figures = (bench: string, measures: readonly Measure[]): readonly Figure[] =>
  measures.map((measure) => ({ bench, ...measure, isMet: isMet(measure) }))

export function machine(): Machine {
  const [first] = cpus()
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
    node: process.version,
    commit: commit(),
  }
}

export function table({ cpu, cores, memoryGb, load, node, commit }: Machine, rows: readonly Figure[]): string {
  const head = `${cpu}, ${cores} cores, ${memoryGb} GB, load ${load} before; Node ${node}; commit ${commit}`
  const cells = rows.map((row) => [
    row.bench,
    row.what,
    told(row),
    goal(row),
    row.isMet === null ? '' : row.isMet ? 'met' : 'MISSED',
    row.note ?? '',
  ])
  const all = [['bench', 'what', 'figure', 'target', '', ''], ...cells]
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? []
  const lines = all.map((line) =>
    line
      .map((cell, column) => (column === 2 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return [head, '', ...lines].join('\n')
}

function told({ value, unit }: Measure): string {
  if (value === null) return 'none'
  const digits = Number.isInteger(value) || Math.abs(value) >= 100 ? 0 : 2
  return `${value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits })} ${unit}`.trim()
}

function goal({ target, unit }: Measure): string {
  if (target === undefined) return ''
  const [sign, value] = 'atLeast' in target ? ['≥', target.atLeast] : 'atMost' in target ? ['≤', target.atMost] : ['<', target.below]
  return `${sign} ${value.toLocaleString('en')} ${unit}`.trim()
}

/** With a `+` when the working tree differs from it. */
function commit(): string {
  try {
    const git = (...args: readonly string[]): string =>
      execFileSync('git', args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .trim()
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}
