/** Whether a test of a descriptor came out as it says. Pure; running it is for others. */
import { canonicalJson } from '#contract'
import type { JsonValue, SkillOutcome, SkillTest } from '#contract'

/** What came instead of what should, in words for the skill's author; null: it passed. */
export function missed(test: SkillTest, outcome: SkillOutcome): string | null {
  if (outcome.status === 'error') {
    if (outcome.code === test.error) return null
    return `expected ${test.error ?? 'an output'}, got ${outcome.code}: ${outcome.message}`
  }
  if (test.error !== undefined) return `expected ${test.error}, got the output ${shown(outcome.output)}`
  if (test.output === undefined || canonicalJson(test.output) === canonicalJson(outcome.output)) return null
  return `expected ${shown(test.output)}, got ${shown(outcome.output)}`
}

const MAX_SHOWN = 500
const shown = (value: JsonValue): string => {
  const text = JSON.stringify(value)
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}
