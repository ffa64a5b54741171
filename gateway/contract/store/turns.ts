/** T1 to T5: the durable turn. Every write names the fence it was given and rejects with `FencedError` if it is not current. */
import type { Address, Rendered } from '../channel.ts'
import type { Message, QueuePolicy, SkillCall } from '../agent.ts'
import type { Envelope, JsonValue } from '../envelope.ts'
import type { DeadLetterId, DeliveryId, MessageId, SessionKey, TurnId } from '../ids.ts'
import type { Failure, StepKind, Usage } from '../message.ts'
import type { SkillEffect, SkillOutcome } from '../skill.ts'

export interface ClaimRequest {
  readonly session: SessionKey
  /** Id of this boot; leases of other boots count until they expire. */
  readonly owner: string
  readonly now: number
  readonly leaseMs: number
  /** Id for the turn, if a new one begins. */
  readonly turn: TurnId
  readonly queue: QueuePolicy
  /** The model call with which a new turn begins: its intent (T2) is written with the claim. null: not. */
  readonly firstStep: string | null
  /** How much memory to bring. */
  readonly historyBytes: number
  readonly historyMessages: number
  /** A turn that died with its gateway so often at the same step is given up. */
  readonly maxCrashes: number
  /** Id for the letter, if it is. */
  readonly deadLetter: DeadLetterId
}

export type ClaimResult =
  | { readonly status: 'claimed'; readonly turn: ClaimedTurn }
  /** Nothing to do now; `dueAt`: but then. */
  | { readonly status: 'idle'; readonly dueAt: number | null }
  /** Its turn was given up for crashing the gateway: its messages are dead. Claim again for the next. */
  | { readonly status: 'dead'; readonly messages: readonly ClaimedMessage[]; readonly reason: Failure }

export interface ClaimedMessage {
  readonly envelope: Envelope
  readonly lane: string
  readonly reply: Address
}

export interface ClaimedTurn {
  readonly id: TurnId
  readonly session: SessionKey
  readonly fence: number
  /** 1 for the first; grows with each retry, not with a resume. */
  readonly attempt: number
  readonly startedAt: number
  readonly resumed: boolean
  /** In order. Messages that joined later (steer) are with their step. */
  readonly messages: readonly ClaimedMessage[]
  readonly history: readonly Message[]
  readonly steps: readonly RecordedStep[]
  /** The step whose intent this claim wrote: it may run without `startStep`, as its first attempt. */
  readonly begun: string | null
  /** More messages wait behind. */
  readonly more: boolean
}

export interface RecordedStep {
  readonly key: string
  readonly kind: StepKind
  readonly status: 'planned' | 'started' | 'done' | 'unknown'
  readonly attempts: number
  /** Of a done step: what it returned (llm: its result; skill: its `SkillOutcome`). */
  readonly result: JsonValue
  readonly joined: readonly ClaimedMessage[]
}

export interface TurnRef {
  readonly turn: TurnId
  readonly session: SessionKey
  readonly fence: number
}

export interface StepStart extends TurnRef {
  readonly key: string
  readonly kind: StepKind
  /** Skill id, or '' until the model is known. */
  readonly name: string
  readonly effect: SkillEffect
  readonly requestHash: string | null
  readonly input: JsonValue
  readonly now: number
  /**
   * What to do with messages that wait in the session. join: up to `cap` become part of the turn. yield: if there are any, the step is recorded as done with
   * the outcome `skipped` and its tool message, and not started. leave: nothing.
   */
  readonly waiting: { readonly policy: 'join' | 'yield'; readonly cap: number } | { readonly policy: 'leave' }
}

export type StepStarted =
  /** `attempt` counts this one. */
  | { readonly status: 'started'; readonly attempt: number; readonly joined: readonly ClaimedMessage[] }
  | { readonly status: 'skipped'; readonly outcome: SkillOutcome }

export interface StepDone extends TurnRef {
  readonly key: string
  readonly name: string
  readonly status: 'done' | 'unknown'
  /** For a step that was begun with the claim; null: as it was started. */
  readonly requestHash: string | null
  readonly result: JsonValue
  readonly messages: readonly Message[]
  readonly usage: Usage | null
  readonly planned: readonly PlannedSkill[]
  /** kind compact: replaces the memory before the turn. */
  readonly summary: string | null
  readonly end: TurnEnd | null
  readonly now: number
}
export interface PlannedSkill extends SkillCall {
  readonly effect: SkillEffect
}

/** T3's end: replies, turn and messages, in one transaction. */
export type TurnEnd =
  | {
      readonly status: 'done'
      readonly deliveries: readonly NewDelivery[]
      /** Appended to the session (an ending without a step of its own). */
      readonly messages: readonly Message[]
      /** The session starts anew. */
      readonly reset: boolean
      /** Why there is no reply, e.g. `interrupted`. */
      readonly reason: Failure | null
    }
  | { readonly status: 'waiting'; readonly until: number; readonly reason: Failure }

export interface NewDelivery {
  readonly id: DeliveryId
  readonly messageId: MessageId
  readonly channel: string
  readonly lane: string
  readonly to: Address
  readonly rendered: Rendered
  readonly index: number
  readonly of: number
  /** sent: the channel's replies are collected, being stored is being delivered. */
  readonly status: 'pending' | 'sent'
}

/** The running numbers that the deliveries got, in their order. */
export interface Ended {
  readonly seqs: readonly number[]
  /** More messages wait in the session. */
  readonly more: boolean
}

export interface TurnStore {
  /** T1. */
  claim(request: ClaimRequest): Promise<ClaimResult>
  /** Prolongs leases; answers the turns that are no longer ours. */
  renew(turns: readonly TurnRef[], until: number): Promise<readonly TurnId[]>
  /** T2 and T4. */
  startStep(step: StepStart): Promise<StepStarted>
  /** T3 and T5. */
  finishStep(step: StepDone): Promise<Ended>
  /** An ending that needed no step; a first step that was begun with the claim and not needed goes. */
  end(turn: TurnRef, end: TurnEnd, now: number): Promise<Ended>
  /** The attempt failed: again at `retryAt`, or given up with a letter. */
  fail(
    turn: TurnRef,
    failure: Failure,
    then: { readonly retryAt: number } | { readonly deadLetter: DeadLetterId },
    now: number,
  ): Promise<Ended>
  /** Given back unharmed (drain): goes on at once elsewhere, no attempt counted. */
  release(turn: TurnRef, now: number): Promise<void>
}
