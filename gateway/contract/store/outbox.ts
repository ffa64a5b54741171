/** T6 and T7: deliveries that the hub has to push, what their platforms said of them, and parts that answer no message. */
import type { Address, DeliveryNews, Part, Rendered } from '../channel.ts'
import type { DeadLetterId, DeliveryId, MessageId } from '../ids.ts'
import type { DeliveryStatus, Failure } from '../message.ts'

export interface OutboxItem extends Part {
  readonly channel: string
  /** sending: it was begun, and how that ended is not known: in a former life, or because no answer came. */
  readonly status: 'pending' | 'sending'
  /** How often the platform was asked in vain, since the last attempt, what became of it. */
  readonly asked: number
  readonly dueAt: number
  readonly createdAt: number
}

export type DeliveryEnd =
  | { readonly status: 'sent'; readonly platformId: string | null }
  /** `counted`: it was an attempt. Rate limits and absent channels are none. */
  | {
      readonly status: 'retry'
      readonly at: number
      readonly failure: Failure
      readonly counted: boolean
      readonly to: Address | null
      readonly plain: boolean
    }
  /** It may have been sent, and the platform is asked at `at`: it stays `sending`. `counted`: it was asked now, in vain. */
  | { readonly status: 'confirm'; readonly at: number; readonly failure: Failure; readonly counted: boolean; readonly to: Address | null }
  | { readonly status: 'dead' | 'unknown'; readonly failure: Failure; readonly deadLetter: DeadLetterId }

/** A part that answers no message: a notice, what an operator sends. */
export interface PostedDelivery {
  readonly id: DeliveryId
  readonly tenant: string
  readonly channel: string
  readonly lane: string
  readonly to: Address
  readonly rendered: Rendered
  readonly index: number
  readonly of: number
}

export interface DeliveryView {
  readonly id: DeliveryId
  readonly seq: number
  /** null: it was posted without one. */
  readonly messageId: MessageId | null
  readonly channel: string
  readonly lane: string
  readonly to: Address
  readonly text: string
  readonly index: number
  readonly of: number
  readonly status: DeliveryStatus
  readonly attempts: number
  readonly error: Failure | null
  readonly platformId: string | null
  /** The latest that the platform said after it was sent. */
  readonly news: DeliveryNews['state'] | null
  readonly createdAt: number
  /** When it is tried next; null: it is over. */
  readonly dueAt: number | null
  /** When it was sent or given up; null: it is not over, or was sent by being stored. */
  readonly doneAt: number | null
}

/** What a platform says of a part that was sent, by its own id. */
export interface PartNews {
  readonly channel: string
  readonly platformId: string
  readonly news: DeliveryNews
  /** For the part, if it failed. */
  readonly deadLetter: DeadLetterId
  readonly now: number
}

export interface OutboxStore {
  /** The heads: of each lane of these channels the first unfinished part, if due by `now`; oldest first. */
  heads(query: { readonly channels: readonly string[]; readonly now: number; readonly limit: number }): Promise<readonly OutboxItem[]>
  /** The unfinished parts of one lane in order. */
  lane(channel: string, lane: string, limit: number): Promise<readonly OutboxItem[]>
  /** T6. Answers which attempt it is. */
  sending(id: DeliveryId, now: number): Promise<number>
  /** T7, or what became of it instead. */
  finish(id: DeliveryId, end: DeliveryEnd, now: number): Promise<void>
  /** Earliest time at which a head falls due after `now`; null: none waits. */
  nextDue(channels: readonly string[], now: number): Promise<number | null>
  /** Parts that answer no message, all of them or, where the first is known by its id already, none. False: it was known. */
  post(parts: readonly PostedDelivery[], now: number): Promise<boolean>
  /** null: the tenant has none such. */
  get(tenant: string, id: DeliveryId): Promise<DeliveryView | null>
  /**
   * What was sent and is said to have failed becomes dead, with a letter. repeated: it was known, or is older than what is known.
   * unknown: nothing was sent under this id, or not yet for certain.
   */
  news(of: PartNews): Promise<'noted' | 'repeated' | 'unknown'>
  /** How many parts are not sent yet; costs what waits, not what there ever was. */
  pending(): Promise<number>
  counts(): Promise<{
    readonly pending: number
    readonly sending: number
    readonly sent: number
    readonly unknown: number
    readonly dead: number
  }>
}
