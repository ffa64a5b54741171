/**
 * Secrets for whoever reads the configuration once and goes: the machine's clock, and nobody to tell what happens later. A gateway that runs has
 * its own (`run.ts`).
 */
import type { Clock } from '#contract'
import { Secrets } from '../secrets/secrets.ts'
import type { Environment } from '../secrets/source.ts'

const clock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    // Node takes what is longer for no time at all.
    const timer = setTimeout(run, Math.min(ms, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
}
export const secretsOnce = (options: { readonly dir: string; readonly env: Environment }): Secrets =>
  new Secrets({ ...options, clock, log: () => null })
