/**
 * What a call costs, in integer nano-USD. The table beside this file says for each row where the price was read and
 * when; list prices for prompts of usual length, without tiers, batches or discounts. `llm.prices` stands before it.
 */
import type { Tokens } from './model.ts'
import table from './prices.json' with { type: 'json' }

/** USD per million tokens. */
export interface Price {
  readonly input: number
  readonly output: number
  /** As `input` if left out. */
  readonly cacheRead?: number | undefined
  /** As `input` if left out. */
  readonly cacheWrite?: number | undefined
}

const PRICES: ReadonlyMap<string, Price> = new Map(Object.entries<Price>(table))

export interface PriceQuestion {
  /** `provider/model` */
  readonly name: string
  readonly own: { readonly [model: string]: Price }
  /** It runs on this machine. */
  readonly isLocal: boolean
}

/** null: nobody knows. */
export function priceOf(question: PriceQuestion): Price | null {
  const own = Object.hasOwn(question.own, question.name) ? question.own[question.name] : undefined
  return own ?? PRICES.get(question.name) ?? PRICES.get(undated(question.name)) ?? (question.isLocal ? FREE : null)
}
const FREE: Price = { input: 0, output: 0 }

/** Snapshots cost what their alias costs: `gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`, `…-latest`. */
const undated = (name: string): string => name.replace(/-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/, '')

/** USD per million is thousand nano-USD per token. */
export function costNano(price: Price | null, tokens: Tokens): number | null {
  if (price === null) return null
  const fresh = Math.max(0, tokens.input - tokens.cacheRead - tokens.cacheWrite)
  const usdPerMillion =
    fresh * price.input +
    tokens.cacheRead * (price.cacheRead ?? price.input) +
    tokens.cacheWrite * (price.cacheWrite ?? price.input) +
    tokens.output * price.output
  return Math.round(usdPerMillion * 1_000)
}
