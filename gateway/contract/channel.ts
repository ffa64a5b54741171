/**
 * The contract of a channel: one configured account of one kind of outside system. It connects, hands in, sends one part
 * and describes itself, its markup included. No retries, no sleeping, no splitting, no access rules, no sessions: those
 * live once, in the hub.
 */
import type { Dialect } from './dialect.ts'
import type { Envelope, JsonObject, JsonValue, MediaRef, Metadata, Payload } from './envelope.ts'
import type { FlowFeed } from './feed.ts'
import type { DeliveryId, MessageId } from './ids.ts'
import type { Failure, ReplyView } from './message.ts'
import type { DialogueRoute, Route, UpgradeRoute } from './route.ts'
import type { Clock, Log, Metrics } from './runtime.ts'

export interface Channel {
  readonly capabilities: Capabilities
  /**
   * Called once. Resolves when first usable, and reconnects by itself until `signal` aborts. Rejects with a
   * `ChannelFault` of kind auth or config only.
   */
  start(host: ChannelHost, signal: AbortSignal): Promise<void>
  /** Resolves when nothing more can come in or go out. */
  stop(): Promise<void>
  /**
   * Exactly one platform call for one rendered part; never two at once for the same lane. Resolves with the platform's id, rejects with
   * `ChannelFault`.
   * Never called where replies are collected: being stored is being delivered.
   */
  send(part: Part, signal: AbortSignal): Promise<Sent>
  /**
   * What became of a part whose `send` ended without an answer, asked where `resend` is confirm, at least a second after. absent:
   * the platform certainly does not have it, so it is sent again. Rejects like `send`.
   */
  confirm?(part: Part, signal: AbortSignal): Promise<Confirmation>
  /** Takes in nothing more within a second, until `resume`; an accept under way still ends. Sending goes on. */
  pause(): void
  resume(): void
  /** Shows that an answer is being thought about; called again every `capabilities.typingMs` until it is off. Best effort. */
  typing?(to: Address, on: boolean): Promise<void>
  /** The bytes behind a reference of an envelope of this channel. Rejects with `NotFoundError` when they are gone. */
  media?(ref: MediaRef, signal: AbortSignal): Promise<Media>
  /** Begins linking the account to a phone. Ends with done or blocked, or when `signal` aborts. */
  link?(request: LinkRequest, signal: AbortSignal): AsyncIterable<LinkStep>
  /** What it wants served by the gateway's HTTP server. */
  readonly routes?: readonly Route[]
  readonly upgrades?: readonly UpgradeRoute[]
  /** Its conversation, for doors that are not its own. At most one channel lends one. */
  readonly dialogue?: DialogueRoute
}

/** What the hub gives a channel. */
export interface ChannelHost {
  /** The account's name in the configuration. */
  readonly name: string
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  readonly feed: FlowFeed
  /**
   * Resolves only after envelope, dedupe key and `state` are in one committed transaction: acknowledge then, whatever the result. Rejects with
   * `UnavailableError` when nothing was stored: do not acknowledge. May be called many times at once; messages of one
   * lane keep the order in which they were handed in.
   */
  accept(message: Inbound, state?: StateChanges): Promise<Accepted>
  /**
   * All of them and `state` in one transaction, or none; the answers in their order. At most 1,000 at a time. `inOrder`: may be called again before
   * it resolves; what is handed in so is stored in that order, and where one call fails those after it that are under way fail, too.
   */
  acceptAll(messages: readonly Inbound[], state?: StateChanges, options?: { readonly inOrder: boolean }): Promise<readonly Accepted[]>
  /** News of a part that was sent: what the platform said later. An id that we never sent is passed over. */
  update(platformId: string, news: DeliveryNews): Promise<void>
  /** The channel's own durable values: offsets, cursors, ratchets. */
  readState(key: string): Promise<Uint8Array | null>
  writeState(changes: StateChanges): Promise<void>
  /** Replies of one lane of this channel after `seq`, oldest first. For channels whose replies are collected. */
  replies(lane: string, afterSeq: number, limit: number): Promise<readonly ReplyView[]>
  /** What the API shows of a message, with its replies and steps; null: the tenant has no such message. */
  document(tenant: string, id: MessageId): Promise<JsonObject | null>
  status(state: ChannelState, reason?: string): void
  /** Resolves after the time to let pass before the `attempt`th reconnect (from 1): full jitter, 1 s doubled up to 60 s. Rejects when aborted. */
  backoff(attempt: number, signal: AbortSignal): Promise<void>
  /**
   * Fetches what a platform, or somebody on it, points at: no private or loopback address unless it has the origin `trusted`, which the
   * operator configured; no more than `maxBytes`; no redirects. Rejects with `ChannelFault`.
   */
  fetch(request: GuardedRequest): Promise<Media>
}

export interface GuardedRequest {
  readonly url: string
  readonly headers?: { readonly [name: string]: string }
  readonly trusted?: string
  /** Default: 20 MiB. */
  readonly maxBytes?: number
  readonly signal: AbortSignal
}
export interface Media {
  readonly bytes: Uint8Array
  /** As in RFC 9110 §8.3.1. */
  readonly mediaType: string
}
export type DeliveryNews = { readonly state: 'delivered' | 'read' } | { readonly state: 'failed'; readonly failure: Failure }
export type Confirmation = { readonly outcome: 'sent'; readonly id: string | null } | { readonly outcome: 'absent' | 'unknown' }

export interface LinkRequest {
  /** International number in digits: link by pairing code. null: by QR code. */
  readonly phone: string | null
}
/** Each replaces the one before. `data` of a qr is what the code says, of a code what is typed into the phone. */
export type LinkStep =
  | { readonly show: 'qr' | 'code'; readonly data: string }
  | { readonly show: 'done'; readonly as: string }
  | { readonly show: 'blocked'; readonly why: string }

export type ChannelState = 'linking' | 'connecting' | 'open' | 'degraded' | 'stopped'
/** null deletes. */
export type StateChanges = { readonly [key: string]: Uint8Array | null }

export interface Inbound {
  /** Stable across redelivery and across transports of the same event; null: nobody promises that it came only once. */
  readonly key: string | null
  /** Digest of what was said, so that the same key with other words is noticed; null where keys are the platform's own. */
  readonly fingerprint: string | null
  /** The conversation; what is kept in order. */
  readonly lane: string
  /** Which account or principal of the channel, the namespace of `peer`. */
  readonly account: string
  /** Where `capabilities.isShared`: of the principal who hands it in. Elsewhere the account's own, whatever stands here. */
  readonly tenant?: string
  readonly peer: Peer
  readonly sender: string
  /** Other names of the same sender (a phone number beside an internal id): an access rule may name any of them. */
  readonly aliases?: readonly string[]
  /** Default: person. What we said ourselves is never taken in, what other bots say only where that is allowed. */
  readonly author?: 'person' | 'bot' | 'self'
  /** In a group: it mentions us, answers us or is a command to us. Default: true. */
  readonly isAddressed?: boolean
  /** What happened to a message before: noted and kept, and no turn is made of it. Default: it is a message. */
  readonly event?: 'edit' | 'delete' | 'reaction'
  /** It can never be handled, and this is why: it becomes a dead letter at once, whole. */
  readonly dead?: Failure
  /** Epoch milliseconds. */
  readonly at: number
  readonly payload: Payload
  readonly metadata: Metadata
  /** Straight to this agent, past the routes; null: by route. */
  readonly agent: string | null
  readonly reply: Address
}

export interface Peer {
  readonly kind: 'direct' | 'group' | 'channel'
  readonly id: string
  readonly thread: string | null
  /** A conversation of its own, whatever the agent shares with whom. */
  readonly isApart?: true
}

export type Accepted =
  /** `duplicate`: the key was seen before, with the same words; nothing new was stored. */
  | { readonly status: 'new' | 'duplicate'; readonly envelope: Envelope }
  /** The key was seen with other words. */
  | { readonly status: 'conflict'; readonly id: MessageId }
  /** By the access rules; nothing but `state` was stored. Acknowledge it like any other. */
  | { readonly status: 'refused'; readonly reason: Refusal }

export type Refusal = 'stranger' | 'off' | 'unaddressed' | 'self' | 'bot'

/** Where a reply goes, in the channel's own terms. */
export interface Address {
  readonly chat: string
  /** Which rate limit counts. Default: direct. */
  readonly kind?: Peer['kind']
  readonly thread?: string
  readonly replyTo?: string
  readonly correlation?: string
  /** Epoch milliseconds after which nobody wants the answer. */
  readonly expiresAt?: number
}

/** What an agent said: CommonMark with tables and strikethrough. */
export interface Body {
  readonly text: string
}

export interface Rendered {
  readonly text: string
  /** For a platform that refuses the markup of `text`. */
  readonly plain?: string
  /** What only this platform knows, given by whoever posted it (a template); the channel checks it. */
  readonly extra?: JsonValue
}

export interface Part {
  readonly id: DeliveryId
  readonly seq: number
  /** The message it answers; null: it was posted without one. */
  readonly messageId: MessageId | null
  readonly lane: string
  readonly to: Address
  readonly rendered: Rendered
  readonly index: number
  readonly of: number
  readonly attempt: number
  /** W3C trace context of what led to it, for protocols that have a place for it. */
  readonly traceparent?: string
}

export interface Sent {
  /** The platform's id of what was sent; null where it has none. */
  readonly id: string | null
}

export interface Capabilities {
  /** push: the hub sends. collect: replies are there to be fetched, and whoever listens to the feed sees them come. */
  readonly delivery: 'push' | 'collect'
  /**
   * What is done after a send of unknown outcome. id: send again, the platform or the receiver drops the repeat by `part.id`. confirm: ask
   * `confirm`. none: a repeat would be a second message, so it becomes a dead letter that says so.
   */
  readonly resend: 'id' | 'confirm' | 'none'
  /** `max` in `unit`, of the rendered text. `dialect` null: the words go as they are. */
  readonly text: { readonly max: number; readonly unit: 'utf16' | 'bytes'; readonly dialect: Dialect | null }
  /** What the platform allows; the hub keeps to it before it sends. */
  readonly rate?: { readonly chat?: Rate; readonly group?: Rate; readonly account?: Rate }
  /** Anybody on the platform may write to it, so the access rules of the account apply. */
  readonly strangers: boolean
  /** It belongs to no tenant: whoever writes has proved to the gateway who they are, and each message brings its principal's tenant. */
  readonly isShared?: boolean
  /** How often `typing` has to be repeated, in milliseconds; null: there is none. */
  readonly typingMs: number | null
  readonly threads: boolean
  readonly groups: boolean
  readonly media: boolean
}

/** So many sends within so many milliseconds; as many may go at once. */
export interface Rate {
  readonly count: number
  readonly perMs: number
}

/** How the hub comes by channels: one line of the registry. */
export interface ChannelKind {
  /** JSON Schema of the account's settings, without the keys that all channels share. */
  readonly schema: JsonObject
  create(name: string, settings: JsonObject): Channel
}
