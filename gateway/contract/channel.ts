/**
 * The contract of a channel: one configured account of one kind of outside system. It connects, hands in, sends one part,
 * renders and describes itself. No retries, no sleeping, no splitting policy, no access rules, no sessions: those live
 * once, in the hub.
 */
import type { Envelope, JsonObject, JsonValue, Metadata, Payload } from './envelope.ts'
import type { FlowFeed } from './feed.ts'
import type { DeliveryId, MessageId } from './ids.ts'
import type { ReplyView } from './message.ts'
import type { Route, UpgradeRoute } from './route.ts'
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
  /** Pure. Parts that each fit the platform's limit and stand alone. */
  render(body: Body): readonly Rendered[]
  /** Takes in nothing more until `resume`; an accept under way still ends. */
  pause(): void
  resume(): void
  typing?(to: Address, on: boolean): Promise<void>
  /** What it wants served by the gateway's HTTP server. */
  readonly routes?: readonly Route[]
  readonly upgrades?: readonly UpgradeRoute[]
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
  /** The channel's own durable values: offsets, cursors, ratchets. */
  readState(key: string): Promise<Uint8Array | null>
  writeState(changes: StateChanges): Promise<void>
  /** Replies of one lane of this channel after `seq`, oldest first. For channels whose replies are collected. */
  replies(lane: string, afterSeq: number, limit: number): Promise<readonly ReplyView[]>
  /** What the API shows of a message, with its replies and steps; null: no such message. */
  document(id: MessageId): Promise<JsonObject | null>
  status(state: ChannelState, reason?: string): void
}

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
  readonly peer: Peer
  readonly sender: string
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
}

export type Accepted =
  /** `duplicate`: the key was seen before, with the same words; nothing new was stored. */
  | { readonly status: 'new' | 'duplicate'; readonly envelope: Envelope }
  /** The key was seen with other words. */
  | { readonly status: 'conflict'; readonly id: MessageId }

/** Where a reply goes, in the channel's own terms. */
export interface Address {
  readonly chat: string
  readonly thread?: string
  readonly replyTo?: string
  readonly correlation?: string
}

/** What an agent said: CommonMark. */
export interface Body {
  readonly text: string
}

export interface Rendered {
  readonly text: string
  /** For a platform that refuses the markup of `text`. */
  readonly plain?: string
  readonly extra?: JsonValue
}

export interface Part {
  readonly id: DeliveryId
  readonly seq: number
  /** The message it answers. */
  readonly messageId: MessageId
  readonly lane: string
  readonly to: Address
  readonly rendered: Rendered
  readonly index: number
  readonly of: number
  readonly attempt: number
}

export interface Sent {
  /** The platform's id of what was sent; null where it has none. */
  readonly id: string | null
}

export interface Capabilities {
  /** push: the hub sends. collect: replies are there to be fetched, and whoever listens to the feed sees them come. */
  readonly delivery: 'push' | 'collect'
  /** What a resend after an unknown outcome does. id: the platform drops the repeat. none: it would be a second message. */
  readonly resend: 'id' | 'none'
  readonly text: { readonly max: number; readonly unit: 'utf16' | 'bytes' }
  readonly typing: boolean
  readonly threads: boolean
  readonly groups: boolean
  readonly media: boolean
}

/** How the hub comes by channels: one line of the registry. */
export interface ChannelKind {
  /** JSON Schema of the account's settings. */
  readonly schema: JsonObject
  create(name: string, settings: JsonObject): Channel
}
