/**
 * The contract of skills: units that can be run, described by a descriptor. What a developer writes as JSON (`timeout_ms`,
 * `memory_mb`, …) is parsed by `skills/descriptor/` into what stands here.
 */
import type { JsonObject, JsonValue } from './envelope.ts'
import type { SessionKey } from './ids.ts'

/**
 * What a crash in mid-run allows. none: no effect outside, run it again. idempotent: run it again with the same key.
 * once: never again; its outcome is unknown, and the model is told so.
 */
export type SkillEffect = 'none' | 'idempotent' | 'once'

/** `javascript` is ECMAScript without Node's APIs; `gateway` is code that ships with the gateway and runs in its process. */
export type SkillLanguage = 'python' | 'node' | 'shell' | 'javascript' | 'gateway'

export interface SkillDescriptor {
  /** `^[a-z0-9][a-z0-9._-]{0,63}$`. */
  readonly id: string
  /** Semantic Versioning 2.0. */
  readonly version: string
  readonly description: string
  /** JSON Schema 2020-12 of the input and of the output. */
  readonly inputs: JsonObject
  readonly outputs: JsonObject
  /** `entrypoint`: path of a file in the bundle; '' for the gateway's own. */
  readonly runtime: { readonly language: SkillLanguage; readonly entrypoint: string }
  readonly effect: SkillEffect
  readonly timeoutMs: number
  readonly resources: SkillResources
  /** `host`, `host:port` or `*.domain`, all for ports 80 and 443 unless said. What the operator denies is not reached nevertheless. */
  readonly network: { readonly allow: readonly string[] }
  /** Names of secrets that the operator gives it; told to it in no other way than with the call. */
  readonly secrets: readonly string[]
  /** Path of a lock file in the bundle (`requirements.txt` with hashes, `package-lock.json`); null: none. */
  readonly dependencies: string | null
  /** Run in the sandbox before it is registered. */
  readonly tests: readonly SkillTest[]
}

export interface SkillResources {
  readonly memoryMb: number
  /** Processor cores. */
  readonly cpus: number
  /** Processes and threads at once. */
  readonly pids: number
  /** Space in /tmp. */
  readonly tmpMb: number
}

export interface SkillTest {
  readonly name: string
  readonly input: JsonValue
  /** Compared as JSON; one of the two. */
  readonly output?: JsonValue
  readonly error?: SkillErrorCode
}

/** Who asks for a run. A skill that calls another passes on the chain of those above it, outermost first. */
export type SkillCaller =
  | { readonly is: 'agent'; readonly agent: string; readonly session: SessionKey }
  | { readonly is: 'client'; readonly principal: string }
  | { readonly is: 'skill'; readonly chain: readonly string[]; readonly root: string }

export interface SkillRun {
  readonly skill: string
  /** A version, a major (`1`) or a range (`^1.2`); none: the newest major, as its rollout says. */
  readonly version?: string
  readonly input: JsonValue
  /** The same at every attempt of the same call; whoever has an effect outside dedupes by it. */
  readonly key: string
  readonly attempt: number
  readonly tenant: string
  readonly caller: SkillCaller
  /** A shorter limit than the descriptor's. */
  readonly timeoutMs?: number
  /** W3C trace context of what led to it. */
  readonly traceparent?: string
  readonly signal: AbortSignal
  /** Told what happens meanwhile, at most ten times a second. Must not throw. */
  readonly watch?: (event: SkillEvent) => void
}

export type SkillEvent =
  | { readonly is: 'started' }
  | { readonly is: 'progress'; readonly data: JsonValue }
  | { readonly is: 'log'; readonly stream: 'stdout' | 'stderr' | 'log'; readonly text: string }

/** Milliseconds: waiting for a place, making the sandbox ready, running. */
export type SkillTimes = { readonly queueMs: number; readonly startMs: number; readonly runMs: number }

export type SkillOutcome =
  | { readonly status: 'ok'; readonly output: JsonValue; readonly times?: SkillTimes }
  | { readonly status: 'error'; readonly code: SkillErrorCode; readonly message: string; readonly times?: SkillTimes }

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
  /** Its code threw, or its process died of something not named here. */
  | 'crashed'
  /** It broke the rules of talking with its supervisor. */
  | 'protocol'
  | 'deps_failed'
  | 'egress_denied'
  /** There is nothing to run it in now. */
  | 'unavailable'
  | 'busy'
  | 'not_found'
  /** A hook refused it, or it calls itself by a detour. */
  | 'refused'
  /** The gateway died while a `once` skill ran. */
  | 'unknown'
  /** A newer message arrived before it was started. */
  | 'skipped'

/** The code under which each is known outside: in problem documents, on dead letters, in logs. */
export const SKILL_CODES: { readonly [code in SkillErrorCode]: string } = {
  invalid_input: 'SKILL_INVALID_INPUT',
  invalid_output: 'SKILL_INVALID_OUTPUT',
  timeout: 'SKILL_TIMEOUT',
  cancelled: 'SKILL_CANCELLED',
  oom: 'SKILL_OUT_OF_MEMORY',
  pids_exhausted: 'SKILL_PIDS_EXHAUSTED',
  output_limit: 'SKILL_OUTPUT_LIMIT',
  crashed: 'SKILL_CRASHED',
  protocol: 'SKILL_PROTOCOL',
  deps_failed: 'SKILL_DEPS_FAILED',
  egress_denied: 'SKILL_EGRESS_DENIED',
  unavailable: 'SANDBOX_UNAVAILABLE',
  busy: 'SKILLS_BUSY',
  not_found: 'SKILL_NOT_FOUND',
  refused: 'SKILL_REFUSED',
  unknown: 'SKILL_OUTCOME_UNKNOWN',
  skipped: 'SKILL_SKIPPED',
}

export interface SkillRunner {
  /** Those that the tenant can call now: of each id, the version that a call without one gets. */
  list(tenant: string): readonly SkillDescriptor[]
  /** What a call of this version, major or range gets; null: nothing of it can be called. */
  find(tenant: string, id: string, version: string): SkillDescriptor | null
  /** Never rejects: what goes wrong is an outcome. */
  run(run: SkillRun): Promise<SkillOutcome>
  /**
   * After a crash: the outcome of a run with this key that outlived the gateway, waited for. null: none did, and whether it is run
   * again is for its effect to say. The rest says what is known of it: what it gives is held to the schemas as ever.
   */
  adopt(run: Omit<SkillRun, 'input' | 'attempt'>): Promise<SkillOutcome | null>
  stop(): Promise<void>
}
