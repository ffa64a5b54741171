/** A duration as people write it, for an API that counts seconds. */
import { durationMs } from '../gateway/config/quantity.ts'
import { CommandError, EXIT } from './exit.ts'

export function wholeSeconds(option: string, duration: string): number {
  const ms = durationMs(duration)
  if (ms === null) throw new CommandError(`--${option} ${duration} is no duration like 12h or 7d.`, EXIT.usage)
  return Math.round(ms / 1_000)
}
