/** A log that keeps still, for tests that do not read what is logged. */
import type { Log } from '#contract'

export const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quietLog }
