/** A wait with a bound, after which the work goes on alone. */
import type { Clock } from '#contract'

/** Resolves when the work is done or the time is over. `work` must not reject. */
export async function within(work: Promise<unknown>, ms: number, clock: Clock): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const disarm = clock.after(ms, resolve)
  await Promise.race([work, late])
  disarm()
}
