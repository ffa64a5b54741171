/** A time as people give it, as ISO 8601 or as a duration ago, for an API that takes the first. */
import type { Call } from './command.ts'
import { durationMs } from '../gateway/config/quantity.ts'
import { CommandError, EXIT } from './exit.ts'

/** undefined: the option was not given. */
export function pastTime(option: string, call: Call): string | undefined {
  const value = call.text(option)
  if (value === undefined) return undefined
  if (/^\d{4}-/.test(value) && Number.isFinite(Date.parse(value))) return new Date(value).toISOString()
  const ms = durationMs(value)
  if (ms === null)
    throw new CommandError(`--${option} ${value} is no time like 2026-01-31T12:00:00Z, and no duration ago like 6h.`, EXIT.usage)
  return new Date(Date.now() - ms).toISOString()
}
