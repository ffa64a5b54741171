/**
 * The contract of an agent. An agent is given a `Turn` and does its thinking in steps; it knows no store, no channel and
 * no Docker. Whatever `step` and `skill` returned is durable: after a crash the agent is run again from its beginning
 * with the same turn, and every step that is done returns what it returned before without running.
 */
import type { Envelope, JsonObject, JsonValue } from './envelope.ts'
import type { AgentId, SessionKey, TurnId } from './ids.ts'
import type { Usage } from './message.ts'
import type { SkillDescriptor, SkillOutcome } from './skill.ts'

/** A declared agent, from the configuration or registered over the API. Unknown to the hub: what `model` means. */
export interface AgentDefinition {
  /** Whose it is: it is given messages of this tenant alone, and skills of this tenant alone. */
  readonly tenant: string
  /** Its name, unique in its tenant, which is its id in routes and sessions. */
  readonly name: string
  readonly id: AgentId | null
  readonly version: string
  readonly description: string
  readonly capabilities: readonly string[]
  readonly prompt: string
  /** `provider/model`, tried in this order; empty: the runtime's default. */
  readonly models: readonly string[]
  /** Ids of the skills it may run, `id@range` to keep to a version, major or range; `*` for all. */
  readonly skills: readonly string[]
  readonly limits: AgentLimits
  readonly queue: QueuePolicy
  readonly sessionScope: SessionScope
}

export interface AgentLimits {
  /** Model calls in one turn. */
  readonly maxSteps: number
  readonly maxContextTokens: number
  readonly maxOutputTokens: number
  /** Whole turn, all attempts of all steps. */
  readonly turnTimeoutMs: number
  readonly maxConcurrentTurns: number
  /** Turns that begin in a minute; more wait. null: as many as come. */
  readonly turnsPerMinute: number | null
  /** Tokens that its models take in an hour, in and out; then turns wait. null: as many as it likes. */
  readonly tokensPerHour: number | null
}

/**
 * What happens to messages that arrive while their session is busy. followup: one turn each, in order. collect: all that
 * wait become one turn. steer: they join the running turn at its next step. interrupt: the running turn ends.
 */
export type QueueMode = 'followup' | 'collect' | 'steer' | 'interrupt'
export interface QueuePolicy {
  readonly mode: QueueMode
  /** How many messages one turn may take (collect, steer). */
  readonly cap: number
  /** A turn starts when the session has been quiet for so long; 0: at once. */
  readonly debounceMs: number
}

/** Who shares a session: everybody; one person on all channels; on one channel; on one account of it. */
export type SessionScope = 'main' | 'per-peer' | 'per-channel-peer' | 'per-account-channel-peer'

/** One entry of a session's memory. `tool` entries answer the call of the same id in an assistant entry before them. */
export type Message =
  | { readonly role: 'user'; readonly text: string; readonly sender: string }
  | { readonly role: 'assistant'; readonly text: string; readonly calls?: readonly SkillCall[]; readonly extra?: JsonValue }
  | { readonly role: 'tool'; readonly call: string; readonly skill: string; readonly text: string }
  | { readonly role: 'summary'; readonly text: string }

export interface SkillCall {
  /** Unique in the turn. */
  readonly id: string
  readonly skill: string
  readonly input: JsonValue
}

/** How a turn ends. */
export type Outcome =
  | {
      readonly kind: 'reply'
      readonly text: string
      /** Of tools that are the client's: the conversation goes on when it says what came of them. The session knows them already. */
      readonly calls?: readonly SkillCall[]
      /** Why the text is not what it might have been: cut at the limit, or the model would not. */
      readonly finish?: 'length' | 'refusal'
    }
  | { readonly kind: 'silence' }
  /** Go on at `until` (epoch milliseconds). */
  | { readonly kind: 'wait'; readonly until: number; readonly reason: string }
/** What goes with an end: the session starts anew after a `reset`. */
export interface Ending {
  readonly outcome: Outcome
  readonly reset?: boolean
}

/**
 * The key of a turn's first model call. Nearly every turn begins with it, so its intent is written together with the claim: one
 * commit less a turn. A turn that needs no model drops it.
 */
export const FIRST_STEP = 'llm:1'

/** What one model call is. */
export interface StepSpec {
  readonly kind: 'llm' | 'compact'
  /** Unique in the turn and the same at every run, e.g. `llm:1`. */
  readonly key: string
  /** Digest of the request, for people who compare runs. */
  readonly requestHash: string
  /**
   * Does it. `idempotencyKey` is `turn:key`, the same at every attempt. `joined`: messages that joined the turn with this step
   * (steer), already part of the session. What is thrown ends the attempt: `retryable` errors come back later by
   * the hub's retry policy, all others make a dead letter.
   */
  run(call: {
    readonly idempotencyKey: string
    readonly attempt: number
    readonly joined: readonly Envelope[]
    /** W3C trace context for whoever is called. */
    readonly traceparent: string | undefined
  }): Promise<StepOutcome>
}

/** What a step leaves behind, committed at once. */
export interface StepOutcome {
  /** Returned by `step` now and after every crash. */
  readonly result: JsonObject
  /** What actually answered, e.g. `openai/gpt-5`. */
  readonly name: string
  /** Appended to the session. */
  readonly messages: readonly Message[]
  readonly usage: Usage | null
  /** Skill calls that come next, so that they are known before they run. */
  readonly planned: readonly SkillCall[]
  /** The turn ends with this step. */
  readonly ending: Ending | null
  /** kind compact: replaces all of the session's memory up to the turn's beginning. */
  readonly summary?: string
}

export interface Turn {
  readonly id: TurnId
  readonly agent: AgentDefinition
  readonly session: SessionKey
  /** The messages the turn is about, oldest first; one unless collected. */
  readonly envelopes: readonly Envelope[]
  /** The session's memory before this turn, oldest first, the newest that fit; a summary first if there is one. */
  readonly history: readonly Message[]
  /** Those the agent may run. */
  readonly skills: readonly SkillDescriptor[]
  /** Aborted on interrupt, deadline, cancel and drain. Stop soon and throw its reason. */
  readonly signal: AbortSignal
  /** Text of the reply as it comes; for show, not durable. `null`: what was said so far is void (a call is made again). */
  say(text: string | null): void
  /** Runs or recalls one model call; `joined` as given to `run`. */
  step(spec: StepSpec): Promise<{ readonly result: JsonObject; readonly joined: readonly Envelope[] }>
  /** Runs or recalls one skill call by its effect class. `skipped`: a newer message arrived and the call was not made. */
  skill(call: SkillCall): Promise<SkillOutcome>
}

/** What not every model can be held to: calling a tool (`ClientTurn.choice`), answering in JSON of a schema (`ClientTurn.format`). */
export type Ability = 'forced-call' | 'json-schema'

export interface AgentRunner {
  /** Runs one turn to its end. Rejects as `StepSpec.run` does. An ending given with a step must be returned too. */
  run(turn: Turn): Promise<Ending>
  /** What stands behind an agent, for `GET /v1/agents` and the start-up block, e.g. `builtin/echo`. */
  models(agent: AgentDefinition): readonly string[]
  /** Of all models that may answer for it. */
  abilities(agent: AgentDefinition): readonly Ability[]
  stop(): Promise<void>
}
