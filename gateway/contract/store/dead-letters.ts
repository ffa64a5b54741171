/** Anything that was given up, kept whole. */
import type { Envelope, JsonValue, Payload } from '../envelope.ts'
import type { DeadLetterId, MessageId, RunId, SessionKey, WebhookDeliveryId } from '../ids.ts'
import type { Failure } from '../message.ts'
import type { Origin, SessionParts } from './inbox.ts'

/** open → replayed | discarded. */
export type DeadLetterStatus = 'open' | 'replayed' | 'discarded'

export interface DeadLetterView {
  readonly id: DeadLetterId
  readonly seq: number
  readonly kind: 'message' | 'delivery' | 'run' | 'webhook'
  /** The message's, the delivery's, the run's or the webhook delivery's id. */
  readonly ref: string
  readonly status: DeadLetterStatus
  readonly channel: string
  readonly session: SessionKey | null
  readonly reason: Failure
  readonly attempts: number
  readonly createdAt: number
  readonly settledAt: number | null
  /** While it is open: when it is to be brought back, because it was asked for together with others. */
  readonly replayAt: number | null
  /** The whole envelope, or the part with its address. */
  readonly content: JsonValue
}

export interface Replay {
  readonly tenant: string
  readonly id: DeadLetterId
  readonly now: number
  /** For a message: where it goes now, by today's routes; null: still nowhere. */
  readonly route: (SessionTarget & { readonly envelope: Envelope }) | null
}
export interface SessionTarget {
  readonly agent: string
  readonly session: SessionParts
}
export type ReplayResult =
  /** A message is queued again with a fresh count of attempts; a delivery is pending again. */
  | {
      readonly status: 'replayed'
      readonly kind: 'message'
      readonly message: MessageId
      readonly session: SessionKey
      readonly agent: string
    }
  | { readonly status: 'replayed'; readonly kind: 'delivery'; readonly channel: string }
  /** The run is queued again with a fresh count of attempts. */
  | { readonly status: 'replayed'; readonly kind: 'run'; readonly run: RunId }
  /** The event is on its way to its webhook again, with a fresh count of attempts. */
  | { readonly status: 'replayed'; readonly kind: 'webhook'; readonly delivery: WebhookDeliveryId }
  | { readonly status: 'settled'; readonly was: DeadLetterStatus }
  | { readonly status: 'missing' }
  | { readonly status: 'unroutable' }

/** Where a dead message came from: its session, or, if it never had one, its origin. */
export type DeadOrigin = { readonly envelope: Envelope } & (
  | { readonly session: SessionParts; readonly origin: null }
  | { readonly session: null; readonly origin: Origin }
)

export interface LetterMatch {
  /** Also those beyond the limit. */
  readonly matched: number
  readonly ids: readonly DeadLetterId[]
}

export interface PlannedLetter {
  readonly tenant: string
  readonly id: DeadLetterId
  readonly at: number
}

/** Of one tenant; all that is given must hold. */
export interface LetterFilter {
  readonly tenant: string
  readonly kind?: string
  readonly channel?: string
  /** Its code. */
  readonly reason?: string
  /** Given up at this time or later, and before that one. */
  readonly since?: number
  readonly until?: number
}

/** What is another tenant's is missing to whoever asks, as if it were not there. */
export interface DeadLetterStore {
  list(
    filter: LetterFilter & { readonly status?: DeadLetterStatus },
    before: number | null,
    limit: number,
  ): Promise<readonly DeadLetterView[]>
  get(tenant: string, id: DeadLetterId): Promise<DeadLetterView | null>
  /** What of the message is needed to route it again. */
  origin(tenant: string, id: DeadLetterId): Promise<DeadOrigin | null>
  replay(replay: Replay): Promise<ReplayResult>
  /** Open letters that nobody plans to bring back yet: how many, and the first of them, those given up first first. `ids`: among these only. */
  match(filter: LetterFilter & { readonly ids?: readonly DeadLetterId[] }, limit: number): Promise<LetterMatch>
  /**
   * Those of them that are still open and not planned are to be brought back, in this order, the first at `now` and each other `everyMs` after
   * the one before. One transaction; nothing is brought back in it. Answers those that were planned.
   */
  plan(
    tenant: string,
    ids: readonly DeadLetterId[],
    every: { readonly now: number; readonly everyMs: number },
  ): Promise<readonly PlannedLetter[]>
  /** Of all tenants: planned letters whose time has come, in their order, and when that of the next comes. */
  planned(now: number, limit: number): Promise<{ readonly letters: readonly PlannedLetter[]; readonly nextAt: number | null }>
  /** It stays open, and is planned no more. */
  unplan(tenant: string, id: DeadLetterId): Promise<void>
  /** Changes what was said (message) or will be sent (delivery) while it is open. False: not open or not there. */
  edit(tenant: string, id: DeadLetterId, payload: Payload): Promise<boolean>
  /** Gives it up for good; the row stays until retention. */
  discard(tenant: string, id: DeadLetterId, now: number): Promise<'discarded' | 'settled' | 'missing'>
  /** Of all tenants: how many are open and since when the oldest, for health. */
  open(): Promise<{ readonly count: number; readonly oldestAt: number | null }>
  /** For what is measured, of all together: those that are open, by kind, and how many there ever were. */
  census(): Promise<{ readonly open: { readonly [kind in DeadLetterView['kind']]: number }; readonly ever: number }>
}
