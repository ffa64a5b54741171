/** One accepted message and what became of it, as the store keeps it and the API shows it. */
import type { Envelope, JsonValue } from './envelope.ts'
import type { DeliveryId, MessageId, SessionKey, TurnId } from './ids.ts'

/**
 * queued → running → done | dead, with stops at waiting (the agent waits for somebody or some time) and retrying (it
 * failed and will be tried again). `done` and `dead` are final; a replay makes a dead message queued again.
 */
export type MessageStatus = 'queued' | 'running' | 'waiting' | 'retrying' | 'done' | 'dead'
export const MESSAGE_STATUSES: readonly MessageStatus[] = ['queued', 'running', 'waiting', 'retrying', 'done', 'dead']

/** pending → sending → sent | dead; `unknown`: it may or may not have been sent, nobody knows. */
export type DeliveryStatus = 'pending' | 'sending' | 'sent' | 'unknown' | 'dead'

/** Why something failed: a stable code (`docs/errors.md`) and a sentence without secrets. */
export interface Failure {
  readonly code: string
  readonly message: string
}

export interface Usage {
  readonly provider: string
  readonly model: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  /** Integer nano-USD (1e-9 $); null when the model has no price. */
  readonly costNano: number | null
  readonly latencyMs: number
}

/** What kinds of durable unit a turn is made of. */
export type StepKind = 'llm' | 'skill' | 'compact'
/** planned → started → done; `unknown`: it was running when the gateway died and must not be repeated. */
export type StepStatus = 'planned' | 'started' | 'done' | 'unknown'

export interface StepView {
  readonly key: string
  readonly kind: StepKind
  /** The skill's id, or the model that answered. */
  readonly name: string
  readonly status: StepStatus
  readonly attempts: number
  readonly startedAt: number | null
  readonly doneAt: number | null
  readonly usage: Usage | null
  /** What a skill was given and gave back. */
  readonly input: JsonValue
  readonly output: JsonValue
}

export interface ReplyView {
  readonly id: DeliveryId
  /** Grows over all replies of the gateway; what a client says when it resumes. */
  readonly seq: number
  readonly messageId: MessageId
  readonly text: string
  /** What was said beside the text: `calls` of the client's tools, `finish`. */
  readonly extra?: JsonValue
  readonly index: number
  readonly of: number
  readonly status: DeliveryStatus
  readonly attempts: number
  readonly error: Failure | null
  readonly createdAt: number
}

export interface MessageView {
  readonly id: MessageId
  /** Grows with acceptance. */
  readonly seq: number
  readonly channel: string
  readonly agent: string | null
  readonly session: SessionKey | null
  readonly turn: TurnId | null
  readonly status: MessageStatus
  /** How often its turn was started, the running one included; waiting is no attempt. */
  readonly attempts: number
  /** Why it is retrying or dead, or how it ended without a reply of its own (`interrupted`). */
  readonly reason: Failure | null
  /** When a retrying or waiting message goes on, epoch milliseconds. */
  readonly dueAt: number | null
  readonly acceptedAt: number
  readonly doneAt: number | null
  readonly envelope: Envelope
}
