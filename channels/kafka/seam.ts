/**
 * What the channel asks of a client of Kafka, in plain data: so that another library can take the place of the one in `client.ts`.
 */
import type { Log } from '#contract'

export interface ClientOptions {
  /** What brokers show as the client's name. */
  readonly name: string
  readonly brokers: readonly string[]
  readonly ssl: boolean | { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly sasl: Sasl | null
  readonly log: Log
  readonly now: () => number
}

export interface Sasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

export interface KafkaRecord {
  readonly topic: string
  readonly partition: number
  /** A 64-bit number in digits. */
  readonly offset: string
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}
export type RecordHeader = readonly [name: string, value: Buffer]

export interface NewRecord {
  readonly topic: string
  readonly key: Buffer | string | null
  readonly value: Buffer | string | null
  readonly headers: readonly (readonly [name: string, value: Buffer | string])[]
}

/** Records of one partition, in its order. */
export interface Batch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly KafkaRecord[]
  /** We are stopping, or were sent elsewhere: what is left comes again. */
  isOver(): boolean
  /** Tells the group that we live. Rejects when the partition has to be given back. */
  beat(): Promise<void>
  /** Everything up to and with this record is ours for good. */
  commit(record: KafkaRecord): Promise<void>
}

export interface ConsumeOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** A group that never committed begins with the oldest record, and not with what comes from now on. */
  readonly fromBeginning: boolean
  /** Called for one batch of a partition at a time. Whatever it left uncommitted comes again. */
  readonly take: (batch: Batch) => Promise<void>
  /** Gives up becoming a member; a member is ended by `stop`. */
  readonly signal: AbortSignal
}

/** Membership in the group. */
export interface Consumption {
  /** Resolves with what ended it, if it was not `stop`. */
  readonly ended: Promise<unknown>
  /** Epoch milliseconds of its last sign of life. */
  seenAt(): number
  pause(): void
  resume(): void
  /** Leaves the group. */
  stop(): Promise<void>
}
