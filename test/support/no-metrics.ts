/** Measures nothing, for tests that do not read what is measured. */
import type { Metrics } from '#contract'

export const noMetrics: Metrics = {
  counter: () => ({ inc() {} }),
  gauge: () => ({ set() {}, collect() {} }),
  histogram: () => ({ observe() {} }),
}
