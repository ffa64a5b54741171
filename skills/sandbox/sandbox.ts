/**
 * The port of everything that can run a skill's code: Docker, bubblewrap, QuickJS, the gateway's own. One call is one attempt; what is
 * tried again, what is recorded and who may call is the runner's.
 */
import type { JsonValue, Lifecycle, SandboxReport, SkillEvent, SkillLanguage, SkillOutcome } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import type { Grade } from '../settings.ts'

export interface Job {
  /** The same at every attempt of the same call; a run that outlives the gateway is found by it. */
  readonly key: string
  readonly tenant: string
  readonly bundle: Bundle
  readonly input: JsonValue
  /** Name → value, of those the descriptor names and the operator gives. */
  readonly secrets: { readonly [name: string]: string }
  /** What it may reach: `host:port` and `*.domain:port`; empty: no network at all. */
  readonly egress: readonly string[]
  readonly grade: Grade
  /** From its start; queueing and starting come on top and are bounded by the sandbox. */
  readonly timeoutMs: number
  /** W3C trace context of the caller; null: none. */
  readonly traceparent: string | null
  readonly signal: AbortSignal
  /** Never throws. */
  readonly tell: (event: SkillEvent) => void
  /** The skill calls another, its `n`th such call: the same number again when a run is adopted that waits for it. Never rejects. */
  readonly call: (skill: string, input: JsonValue, n: number) => Promise<SkillOutcome>
}

export interface Ended {
  /** With its times. */
  readonly outcome: SkillOutcome
  /** False: no code of the skill ran, so another try is harmless whatever its effect. */
  readonly hasStarted: boolean
  /**
   * The outcome is on record, or nobody will ask for it. A sandbox that outlives the gateway keeps an outcome for its next life until
   * then, until it takes another call, or for a few seconds. Absent: nothing is kept. May be called again.
   */
  readonly acknowledge?: () => void
}

/** What a run that another life began is taken up with. What it may reach is what the skill may now. */
export interface Adoption extends Pick<Job, 'tell' | 'call' | 'signal' | 'egress' | 'timeoutMs'> {
  readonly skill: string
}

export interface Sandbox extends Lifecycle {
  readonly name: 'docker' | 'bubblewrap' | 'quickjs' | 'gateway'
  readonly languages: readonly SkillLanguage[]
  report(): Promise<SandboxReport>
  /** Never rejects. `unavailable` and `busy` without `hasStarted` when it cannot be had within its bounds. */
  run(job: Job): Promise<Ended>
  /** A run with this key that a former life of the gateway began and that still runs, or has ended and kept its outcome; null: none. */
  adopt(key: string, adoption: Adoption): Promise<Ended | null>
}
