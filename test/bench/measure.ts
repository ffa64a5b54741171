/** What a bench answers with: figures, each with what it is held against, if anything; and what it is given. */
import type { Scope } from '../support/gateway-process.ts'

export interface Measure {
  readonly what: string
  /** null: could not be had; `note` says why. */
  readonly value: number | null
  readonly unit: string
  readonly target?: { readonly atLeast: number } | { readonly atMost: number } | { readonly below: number }
  readonly note?: string
}

export interface BenchOptions extends Scope {
  /** Of one measured stretch, where it goes by time. */
  readonly seconds: number
  /** Says what is being done, for those who wait. */
  readonly say: (text: string) => void
}

/** What it started ends with its scope. */
export type Bench = (options: BenchOptions) => Promise<readonly Measure[]>

/** null: nothing to hold it against. What could not be measured is missed. */
export function isMet({ value, target }: Measure): boolean | null {
  if (target === undefined) return null
  if (value === null) return false
  if ('atLeast' in target) return value >= target.atLeast
  return 'atMost' in target ? value <= target.atMost : value < target.below
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0
}
