/**
 * What it takes to look at a text: how long it is in characters (code points, as JSON Schema counts) without counting where the answer is plain, and
 * from the budget of the question where it has to be counted.
 */
import type { Budget } from './pattern.ts'

/** Of a step of a pattern, so many for each character: those of `json-pointer` and `uri` take as long. */
export const FORMAT_STEPS = 4

export function isAtLeast(text: string, limit: number, budget: Budget): boolean {
  if (text.length < limit) return false
  // A character has two units at most.
  return text.length >= 2 * limit || count(text, budget) >= limit
}

export function isAtMost(text: string, limit: number, budget: Budget): boolean {
  if (text.length <= limit) return true
  return text.length <= 2 * limit && count(text, budget) <= limit
}

function count(text: string, budget: Budget): number {
  budget.spend(text.length)
  let pairs = 0
  for (let at = 0; at < text.length - 1; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0xd800 || unit > 0xdbff) continue
    const next = text.charCodeAt(at + 1)
    if (next < 0xdc00 || next > 0xdfff) continue
    pairs++
    at++
  }
  return text.length - pairs
}
