/** What developers and operators do with skills: register, look up, roll out, invoke, read what became of it. The HTTP routes stand on it. */
import type { JsonObject, JsonValue } from './envelope.ts'
import type { RunId } from './ids.ts'
import type { Lifecycle } from './runtime.ts'
import type { SchemaDesk } from './schema-desk.ts'
import type { SkillDescriptor, SkillEvent, SkillLanguage, SkillOutcome, SkillRunner } from './skill.ts'
import type { RunRecord } from './store/runs.ts'
import type { SkillRecord, SkillTrack } from './store/skills.ts'

/** The spoke as a whole. `start` reaps what a former life left; the store is open before. Its unfinished runs are taken up by `runs.wake`. */
export interface Skills extends Lifecycle {
  readonly runner: SkillRunner
  readonly catalogue: SkillCatalogue
  readonly runs: SkillRuns
  readonly archives: SkillArchives
  /** What holds schemas of authors holds those of others too. */
  readonly schemas: SchemaDesk
  /** What isolates skills here, and what does not. */
  runtime(): Promise<readonly SandboxReport[]>
  /** Takes up no more runs of the API and lets those under way end within the bound; the runner goes on for turns that end. */
  drain(ms: number): Promise<void>
}

/** One kind of sandbox. */
export interface SandboxReport {
  readonly name: string
  readonly languages: readonly SkillLanguage[]
  readonly isAvailable: boolean
  /** Why not, and what to do about it; null when available. */
  readonly reason: string | null
  /** What it holds off, and what it does not, in sentences for people. */
  readonly isolates: readonly string[]
  readonly leaves: readonly string[]
  readonly warnings: readonly string[]
  /** Numbers for people: engine version, sandboxes parked, leased, busy. */
  readonly facts: JsonObject
}

export interface NewSkill {
  readonly tenant: string
  /** Who registers it. */
  readonly by: string
  /** As it was written; parsed and checked here. */
  readonly descriptor: JsonValue
  /** Path → content. */
  readonly files: { readonly [path: string]: Uint8Array }
  /** Detached JWS (RFC 7515 appendix F) over the manifest; null: unsigned. */
  readonly signature: string | null
  /** Register although a test of the descriptor fails or cannot be run here. */
  readonly skipTests?: boolean
  /** It waits for `canary` or `promote`; otherwise a release that is newer than its major's stable one becomes that at once. */
  readonly hold?: boolean
}

/** A skill as one file: tar, or tar compressed by gzip, with `skill.json` at its root or in its only folder. */
export interface SkillArchives {
  /**
   * The folder of an agent skill (`SKILL.md` without `skill.json`) is taken too; its descriptor is made.
   * @throws InvalidError with every fault (`SKILL_INVALID`)
   */
  read(archive: Uint8Array): Promise<Pick<NewSkill, 'descriptor' | 'files'>>
  /** Compressed. `read` of it gives the same back. */
  write(descriptor: JsonObject, files: NewSkill['files']): Promise<Uint8Array>
}

/** How a skill's majors are rolled out, and what calls without a version get. */
export interface SkillView {
  readonly id: string
  readonly tracks: readonly SkillTrack[]
  readonly versions: readonly SkillRecord[]
  /** Of the version that a call without one gets; null: none is enabled. */
  readonly current: SkillDescriptor | null
}

export interface SkillCatalogue {
  list(tenant: string): readonly SkillView[]
  find(tenant: string, id: string): SkillView | null
  /** Of one version, by exact version, major or range. */
  resolve(tenant: string, id: string, version?: string): SkillRecord | null
  /**
   * @throws InvalidError with every fault of descriptor, files, signature or tests (`SKILL_INVALID`, `SKILL_UNSIGNED`, `SKILL_TESTS_FAILED`);
   *   ConflictError when the version exists with other content (`SKILL_VERSION_TAKEN`) or breaks its major (`SKILL_INCOMPATIBLE`)
   */
  register(skill: NewSkill): Promise<SkillRecord>
  /** What `register` would say, without storing. */
  validate(skill: NewSkill): Promise<SkillDescriptor>
  /** All throw NotFoundError (`SKILL_NOT_FOUND`). */
  setEnabled(tenant: string, id: string, version: string, isEnabled: boolean): Promise<void>
  deprecate(tenant: string, id: string, version: string, note: string | null): Promise<void>
  /** Versions that are stable or canary of a major cannot go unless all go (`SKILL_IN_USE`). */
  remove(tenant: string, id: string, version: string | null): Promise<void>
  /** Part of the major's calls, in ten-thousandths, goes to `version`; 0 ends the canary. */
  canary(tenant: string, id: string, version: string, weight: number): Promise<SkillTrack>
  /** The version becomes its major's stable one. */
  promote(tenant: string, id: string, version: string): Promise<SkillTrack>
  /** Ends a canary, or goes back to the stable version before. */
  rollback(tenant: string, id: string, major: number): Promise<SkillTrack>
  /** The files of a version as they were registered. */
  files(tenant: string, id: string, version: string): Promise<{ readonly [path: string]: Uint8Array }>
}

export interface Invocation {
  readonly tenant: string
  readonly principal: string
  readonly skill: string
  readonly version?: string
  readonly input: JsonValue
  /** Of the client; the same key is the same run. null: a run of its own. */
  readonly key: string | null
  readonly timeoutMs?: number
  /** W3C trace context of the request. */
  readonly traceparent?: string
}

export interface SkillRuns {
  /**
   * Runs it and waits. The signal is the client's patience: when it aborts and nobody else waits for the same run, that is cancelled.
   * @throws ConflictError (`IDEMPOTENCY_KEY_REUSED`) when the key was used for another call; UnavailableError while draining
   */
  invoke(
    invocation: Invocation,
    options: { readonly signal: AbortSignal; readonly watch?: (event: SkillEvent) => void },
  ): Promise<{ readonly id: RunId; readonly outcome: SkillOutcome; readonly version: string | null }>
  /**
   * Stores it and answers; it is run as soon as may be, also after a crash.
   * @throws NotFoundError, InvalidError and as `invoke`; UnavailableError when too many wait (`SKILLS_BUSY`)
   */
  submit(invocation: Invocation): Promise<RunRecord>
  /** As the store has it, or will have it in a moment. */
  get(tenant: string, id: RunId): Promise<RunRecord | null>
  /** Runs of the store are looked for: the gateway is ready, or a dead letter was replayed. */
  wake(): void
  /** Follows a run from now on until it ended or the signal aborts; null: there is none such. */
  watch(
    tenant: string,
    id: RunId,
    options: { readonly signal: AbortSignal; readonly listen?: (event: SkillEvent) => void },
  ): Promise<RunRecord | null>
  /** False: not running any more, or none such. */
  cancel(tenant: string, id: RunId): Promise<boolean>
}
