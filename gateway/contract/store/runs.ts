/** Runs of skills: those that were asked for over the API from before they start, those of turns when they have ended. */
import type { JsonValue } from '../envelope.ts'
import type { RunId } from '../ids.ts'
import type { Failure } from '../message.ts'
import type { SkillCaller, SkillEffect, SkillOutcome } from '../skill.ts'

/**
 * queued → running → done | failed | unknown. dead: failed and given up, with a dead letter. unknown: the gateway died while it ran, and
 * it must not be run again by itself; it has a dead letter too. A replay makes those two queued again.
 */
export type RunStatus = 'queued' | 'running' | 'done' | 'failed' | 'unknown' | 'dead'

export interface RunRecord {
  readonly id: RunId
  readonly seq: number
  readonly tenant: string
  /** Unique in the tenant; the idempotency key of the run. */
  readonly key: string
  readonly skill: string
  /** As asked for; null: what the rollout says. */
  readonly asked: string | null
  /** What ran; null: nothing yet. */
  readonly version: string | null
  readonly caller: SkillCaller
  readonly effect: SkillEffect
  readonly status: RunStatus
  readonly attempts: number
  readonly input: JsonValue
  readonly outcome: SkillOutcome | null
  /** What it wrote, bounded. */
  readonly logs: string
  readonly timeoutMs: number | null
  /** W3C trace context of who asked for it; null: none. */
  readonly traceparent: string | null
  readonly createdAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
}

export type NewRun = Pick<
  RunRecord,
  'id' | 'tenant' | 'key' | 'skill' | 'asked' | 'caller' | 'effect' | 'input' | 'timeoutMs' | 'traceparent' | 'createdAt'
>

export interface RunEnd {
  readonly status: 'done' | 'failed' | 'unknown'
  readonly version: string | null
  readonly attempts: number
  readonly outcome: SkillOutcome
  readonly logs: string
  readonly now: number
  /** Given up: a dead letter of kind `run` holds input, outcome and logs; the status of a failed one becomes `dead`. */
  readonly dead: Failure | null
  /** Nothing of it ran: its key is free for another try, and the run is known by its id alone. */
  readonly freesKey: boolean
}

export interface RunStore {
  /**
   * Reserves the key. Answers what stands there if it is taken, null if it is now ours. `begun`: with its first attempt, as by `start`,
   * because it is run at once.
   */
  add(run: NewRun, begun: { readonly version: string } | null): Promise<RunRecord | null>
  /** Before each attempt of a run that is on record; the attempt's number. */
  start(id: RunId, version: string, now: number): Promise<number>
  /** It could not be had now and nothing of it ran: queued again, the last attempt not counted. */
  defer(id: RunId): Promise<void>
  finish(id: RunId, end: RunEnd): Promise<void>
  /** Runs that were not on record before they ended; one whose key is there already is left as it is. All in one transaction. */
  record(runs: readonly { readonly run: NewRun; readonly end: RunEnd; readonly startedAt: number }[]): Promise<void>
  get(tenant: string, id: RunId): Promise<RunRecord | null>
  list(
    filter: { readonly tenant: string; readonly skill?: string; readonly status?: RunStatus },
    before: number | null,
    limit: number,
  ): Promise<readonly RunRecord[]>
  /** Queued or running, oldest first, those with a greater number than `after`. */
  unfinished(after: number, limit: number): Promise<readonly Pick<RunRecord, 'id' | 'seq' | 'tenant' | 'key' | 'status'>[]>
}
