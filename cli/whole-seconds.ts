/** Durations and times as people write them, for an API that counts seconds and takes ISO 8601. */
import { durationMs } from '../gateway/config/quantity.ts'
import { CommandError, EXIT } from './exit.ts'

export function wholeSeconds(option: string, duration: string): number {
  const ms = durationMs(duration)
  if (ms === null) throw new CommandError(`--${option} ${duration} is no duration like 12h or 7d.`, EXIT.usage)
  return Math.round(ms / 1_000)
}

/** ISO 8601, or so long ago. */
export function timeOf(option: string, value: string): string {
  if (/^\d{4}-/.test(value) && Number.isFinite(Date.parse(value))) return new Date(value).toISOString()
  return new Date(Date.now() - wholeSeconds(option, value) * 1_000).toISOString()
}
