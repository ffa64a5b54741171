/** T0 and all questions about messages. Every method is one transaction (or one read). */
import type { Address, Peer } from '../channel.ts'
import type { Envelope } from '../envelope.ts'
import type { DeadLetterId, MessageId, SessionKey, TurnId } from '../ids.ts'
import type { Failure, MessageStatus, MessageView, ReplyView, StepView } from '../message.ts'

export interface Acceptance {
  /** Whose it is; also its session's. */
  readonly tenant: string
  readonly envelope: Envelope
  /** Dedupe key, unique in the channel for as long as messages are kept; null: none. */
  readonly key: string | null
  readonly fingerprint: string | null
  readonly lane: string
  readonly agent: string | null
  readonly session: SessionParts | null
  readonly reply: Address
  readonly acceptedAt: number
  /** Stored as dead at once, with this letter: nobody can ever handle it. */
  readonly dead: { readonly id: DeadLetterId; readonly reason: Failure; readonly origin: Origin } | null
  /** News of an earlier message: kept, done at once, no turn is made of it. */
  readonly isNews: boolean
  /** The channel's own values, committed with it. */
  readonly state: { readonly [key: string]: Uint8Array | null }
}

/** What of a message without a session is needed to route it later. */
export interface Origin {
  readonly account: string
  readonly peer: Peer
}

/** The session a message belongs to; made when it is first seen. */
export interface SessionParts {
  readonly key: SessionKey
  readonly tenant: string
  readonly agent: string
  readonly channel: string
  readonly account: string
  readonly peerKind: 'direct' | 'group' | 'channel'
  readonly peer: string
  readonly thread: string | null
}

export type AcceptanceResult =
  | { readonly status: 'new' }
  /** The envelope that was stored under that key. */
  | { readonly status: 'duplicate'; readonly envelope: Envelope }
  | { readonly status: 'conflict'; readonly id: MessageId }

export interface MessageFilter {
  readonly tenant: string
  readonly channel?: string
  readonly session?: string
  readonly status?: MessageStatus
  readonly agent?: string
  readonly account?: string
}

/** What is another tenant's is missing to whoever asks, as if it were not there. */
export interface InboxStore {
  /** T0. Rejects with `UnavailableError` if it could not be made durable. */
  accept(message: Acceptance): Promise<AcceptanceResult>
  /**
   * T0 of several, all in one transaction. What is given of one `chain` while earlier ones of it are under way is stored after them, or fails with
   * them (`STORE_OUT_OF_ORDER`), so that nothing passes what has to be tried again.
   */
  acceptAll(messages: readonly Acceptance[], chain?: string): Promise<readonly AcceptanceResult[]>
  get(tenant: string, id: MessageId): Promise<MessageView | null>
  /** A message with the steps and replies of its turn, in one look. */
  whole(tenant: string, id: MessageId): Promise<WholeMessage | null>
  /** Newest first; `before`: only those with a smaller seq. */
  list(filter: MessageFilter, before: number | null, limit: number): Promise<readonly MessageView[]>
  /** Of a turn that a message of the tenant named. */
  steps(turn: TurnId): Promise<readonly StepView[]>
  repliesOfTurn(turn: TurnId): Promise<readonly ReplyView[]>
  /** The channel names lanes so that those of two tenants are never one. */
  repliesOfLane(channel: string, lane: string, afterSeq: number, limit: number): Promise<readonly ReplyView[]>
  /** Sessions with something to do now that nobody works on, those that wait longest first; `after`: page on. */
  readySessions(query: { readonly now: number; readonly after: number; readonly limit: number }): Promise<readonly ReadySession[]>
  /** When the next of the sessions goes on whose turn waits or is tried again; null: there is none. */
  nextDue(now: number): Promise<number | null>
  /** How many are accepted and not finished; costs what waits, not what there ever was. */
  pending(): Promise<number>
  /** Invariant 1, counted from all rows. */
  ledger(): Promise<Ledger>
}

export interface WholeMessage {
  readonly message: MessageView
  readonly steps: readonly StepView[]
  readonly replies: readonly ReplyView[]
}

export interface ReadySession {
  readonly session: SessionKey
  readonly tenant: string
  readonly agent: string
  /** Where to page on. */
  readonly seq: number
}

/** accepted = done + dead + pending, always. */
export interface Ledger {
  readonly accepted: number
  readonly done: number
  readonly dead: number
  readonly pending: number
  readonly byStatus: { readonly [status in MessageStatus]: number }
}
