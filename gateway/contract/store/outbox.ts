/** T6 and T7: deliveries that the hub has to push. */
import type { Address, Part } from '../channel.ts'
import type { DeadLetterId, DeliveryId } from '../ids.ts'
import type { Failure } from '../message.ts'

export interface OutboxItem extends Part {
  readonly channel: string
  /** sending: a former life began to send it, and nobody knows how that ended. */
  readonly status: 'pending' | 'sending'
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
  | { readonly status: 'dead' | 'unknown'; readonly failure: Failure; readonly deadLetter: DeadLetterId }

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
  counts(): Promise<{
    readonly pending: number
    readonly sending: number
    readonly sent: number
    readonly unknown: number
    readonly dead: number
  }>
}
