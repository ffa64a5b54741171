/** Pairing: strangers who were given a code, and senders who were let in by one. Small: read whole at the start. */
import type { DeliveryId } from '../ids.ts'

export interface Pairing {
  readonly channel: string
  /** Unique in the channel, valid once. */
  readonly code: string
  readonly sender: string
  readonly aliases: readonly string[]
  /** denied and used ones stay until they expire, so that the same sender is not given a second code. */
  readonly status: 'open' | 'denied' | 'used'
  readonly createdAt: number
  readonly expiresAt: number
  /** The delivery that tells the sender the code: sent again it is the same. */
  readonly notice: DeliveryId
  /** When it was posted; null: not yet. */
  readonly noticedAt: number | null
}

/** A sender who may write for good. */
export interface Grant {
  readonly channel: string
  readonly sender: string
  readonly aliases: readonly string[]
  readonly since: number
  /** Principal who approved. */
  readonly by: string
}

export interface PairingStore {
  /** Those that have not expired. */
  pairings(now: number): Promise<readonly Pairing[]>
  grants(): Promise<readonly Grant[]>
  /** Takes the expired ones away. */
  add(pairing: Pairing, now: number): Promise<void>
  noticed(channel: string, code: string, at: number): Promise<void>
  /** The code is used up and the sender let in. Null: no open code of that name. */
  approve(code: { readonly channel: string; readonly code: string; readonly by: string }, now: number): Promise<Grant | null>
  /** False: no open code of that name. */
  deny(channel: string, code: string, now: number): Promise<boolean>
  /** False: nobody of that name was let in. */
  revoke(channel: string, sender: string): Promise<boolean>
}
