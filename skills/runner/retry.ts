/** Whether an attempt is made again, and when. Decided by what may have happened, never by a message. */
import type { SkillEffect } from '#contract'
import type { Ended } from '../sandbox/sandbox.ts'

const MAX_ATTEMPTS = 3
const BASE_MS = 100
const CAP_MS = 2_000

export type Again =
  | { readonly is: 'no' }
  /** Nothing was there to run it in: a wait, which is no attempt. */
  | { readonly is: 'wait'; readonly afterMs: number }
  | { readonly is: 'attempt'; readonly afterMs: number }

export interface Tried {
  readonly ended: Ended
  readonly effect: SkillEffect
  /** Those made so far, this one included, waits left out. */
  readonly attempts: number
  /** Waits in a row. */
  readonly waits: number
  /** How much longer it may be waited for a sandbox. */
  readonly patienceMs: number
  /** 0 to 1. */
  readonly random: number
}

export function again({ ended, effect, attempts, waits, patienceMs, random }: Tried): Again {
  const { outcome, hasStarted } = ended
  if (outcome.status === 'ok') return { is: 'no' }
  const { code } = outcome
  if (!hasStarted && (code === 'unavailable' || code === 'busy')) {
    const afterMs = delay(waits, random)
    return afterMs <= patienceMs ? { is: 'wait', afterMs } : { is: 'no' }
  }
  // What may be over by the next time: a process or a sandbox that died. A limit that was met will be met again, and so
  // will a fault in the skill's own code; that one looks like a process that died, and its retries cost little.
  if (code !== 'crashed' && code !== 'protocol' && code !== 'unavailable') return { is: 'no' }
  if (hasStarted && effect === 'once') return { is: 'no' }
  return attempts < MAX_ATTEMPTS ? { is: 'attempt', afterMs: delay(attempts - 1, random) } : { is: 'no' }
}

/** Half fixed, half by chance, so that calls that failed together do not come back together. */
function delay(step: number, random: number): number {
  const full = Math.min(CAP_MS, BASE_MS * 2 ** step)
  return Math.round(full / 2 + (full / 2) * random)
}
