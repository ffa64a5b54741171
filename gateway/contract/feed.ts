/** What happens, as it happens: for those who wait, stream or watch. In memory, lossy for the slow, never the only copy. */
import type { JsonObject, JsonValue } from './envelope.ts'
import type { DeliveryId, MessageId, SessionKey } from './ids.ts'
import type { MessageStatus } from './message.ts'

/** `seq` of an event grows by one from 1 in each tenant since the gateway started. */
export type FlowEvent =
  | (FlowBase & { readonly type: 'message'; readonly status: MessageStatus; readonly reason: string | null })
  /** Text of a reply as it comes; null: void what came so far. */
  | (FlowBase & { readonly type: 'delta'; readonly text: string | null })
  | (FlowBase & {
      readonly type: 'reply'
      readonly id: DeliveryId
      readonly replySeq: number
      readonly index: number
      readonly of: number
      readonly text: string
    })
  /** A skill of the turn tells how far it is; for show. */
  | (FlowBase & { readonly type: 'skill'; readonly skill: string; readonly call: string; readonly progress: JsonValue })
  /** `tenant`: whom it concerns; what concerns the gateway is the operator's. */
  | { readonly type: 'event'; readonly tenant: string; readonly name: string; readonly data: JsonObject }

export interface FlowBase {
  readonly tenant: string
  readonly messageId: MessageId
  readonly channel: string
  readonly lane: string
  readonly session: SessionKey | null
  readonly agent: string | null
}

export interface FlowFeed {
  /** Calls `listen` for every event of one message, until the returned function is called. `listen` must not throw or block. */
  onMessage(id: MessageId, listen: (event: FlowEvent) => void): () => void
  /** Of one lane of one channel. */
  onLane(channel: string, lane: string, listen: (event: FlowEvent) => void): () => void
  /** Of all of one tenant, with the event's running number. */
  onTenant(tenant: string, listen: (event: FlowEvent, seq: number) => void): () => void
  /** The tenant's events after `seq` that are still remembered, oldest first; `gap`: some are not. */
  since(
    tenant: string,
    seq: number,
  ): { readonly gap: boolean; readonly events: readonly { readonly seq: number; readonly event: FlowEvent }[] }
}
