/** The contract of skills: units that can be run, described by a descriptor. */
import type { JsonObject, JsonValue } from './envelope.ts'
import type { SessionKey } from './ids.ts'

/**
 * What a crash in mid-run allows. none: no effect outside, run it again. idempotent: run it again with the same key.
 * once: never again; its outcome is unknown, and the model is told so.
 */
export type SkillEffect = 'none' | 'idempotent' | 'once'

export interface SkillDescriptor {
  readonly id: string
  /** Semantic Versioning 2.0. */
  readonly version: string
  readonly description: string
  /** JSON Schema 2020-12 of the input and of the output. */
  readonly inputs: JsonObject
  readonly outputs: JsonObject
  readonly effect: SkillEffect
  readonly timeoutMs: number
}

export interface SkillRun {
  readonly skill: string
  readonly input: JsonValue
  /** The same at every attempt of the same call; whoever has an effect outside dedupes by it. */
  readonly key: string
  readonly attempt: number
  readonly agent: string
  readonly session: SessionKey
  readonly signal: AbortSignal
}

export type SkillOutcome =
  | { readonly status: 'ok'; readonly output: JsonValue }
  | { readonly status: 'error'; readonly code: SkillErrorCode; readonly message: string }

/** What a model reads about an outcome: the text of the `tool` entry that goes into the session with the recorded call. */
export function toolText(outcome: SkillOutcome): string {
  if (outcome.status === 'ok') return JSON.stringify(outcome.output)
  if (outcome.code === 'unknown') return 'error unknown: outcome unknown: the gateway restarted while this ran; do not repeat it blindly'
  return `error ${outcome.code}: ${outcome.message}`
}

export type SkillErrorCode =
  | 'invalid_input'
  | 'invalid_output'
  | 'timeout'
  | 'cancelled'
  | 'oom'
  | 'pids_exhausted'
  | 'output_limit'
  | 'crashed'
  | 'protocol'
  | 'deps_failed'
  | 'egress_denied'
  | 'unavailable'
  | 'busy'
  | 'not_found'
  /** The gateway died while a `once` skill ran. */
  | 'unknown'
  /** A newer message arrived before it was started. */
  | 'skipped'

export interface SkillRunner {
  list(): readonly SkillDescriptor[]
  /** Never rejects: what goes wrong is an outcome. */
  run(run: SkillRun): Promise<SkillOutcome>
  stop(): Promise<void>
}
