/** Time as it is, for tests of what lives outside this process and keeps its own. */
import type { Clock } from '#contract'

export const realClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}
