/**
 * What was changed over the API of the configuration: a few rows that are laid over `openclaw.yaml` and below the environment. They stand
 * in the database, so that a change and its entry in the audit are one transaction.
 */
import type { JsonObject } from '../envelope.ts'

export interface OverlayRow {
  /** JSON Pointer (RFC 6901) into the configuration: `/routes`, `/agents/support`, `/channels/phone`, `/server/rate_limits`. */
  readonly path: string
  /** What is laid there: whole for routes and rate limits, a merge patch (RFC 7396) for an agent or a channel. Never a secret. */
  readonly value: JsonObject
  /** Principal who wrote it. */
  readonly by: string
  readonly at: number
}

export interface OverlayStore {
  /** In the order in which they were written. */
  list(): Promise<readonly OverlayRow[]>
  /** Replaces the row of the same path. */
  put(row: OverlayRow): Promise<void>
  /** False: none such. */
  remove(path: string): Promise<boolean>
}
