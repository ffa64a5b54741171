/**
 * The audit: who changed what, as a chain in which no entry can be altered, taken away or put in without being found out. Each tenant has
 * a chain of its own. The hash of an entry covers the one before it and is keyed (HMAC-SHA-256), so that whoever can write the file, but
 * does not hold `.openclaw/audit.key`, cannot make a chain that verifies.
 */
import { createHmac } from 'node:crypto'
import { canonicalJson } from './canonical.ts'
import type { JsonObject } from './envelope.ts'

/** What is to be written down; its place in the chain is the store's. */
export interface AuditEntry {
  readonly tenant: string
  readonly at: number
  /** The principal's id, the credential it came with, where from; `gateway` itself has no address. */
  readonly actor: { readonly id: string; readonly credential: string; readonly ip: string | null }
  /** `keys.create`, `channels.pause`… */
  readonly action: string
  /** What it was done to; null: not one thing. */
  readonly object: string | null
  /** denied: not allowed, nothing was done. failed: it was tried, and `detail.code` says why it was not done. */
  readonly outcome: 'ok' | 'denied' | 'failed'
  readonly requestId: string | null
  readonly traceId: string | null
  /** Never a secret: routes name the members that may stand here. */
  readonly detail: JsonObject
}

export interface AuditRow extends AuditEntry {
  /** From 1 in each tenant, without gaps. */
  readonly seq: number
  readonly prevHash: string
  readonly hash: string
}

/** What stands for the entries up to `seq`, which retention took away. `hash` is that of the last of them. */
export interface AuditSeal {
  readonly tenant: string
  readonly seq: number
  readonly hash: string
  readonly at: number
  readonly signature: string
}

/** Where a chain ends; told outside (log, file), it shows when the end was cut off. */
export interface AuditHead {
  readonly tenant: string
  readonly seq: number
  readonly hash: string
}

/** An action as whoever carries it out knows it; when it was and how it ended is added. */
export type AuditDeed = Omit<AuditEntry, 'at' | 'outcome'>

export interface AuditVerdict {
  readonly tenant: string
  readonly ok: boolean
  /** Entries that were looked at. */
  readonly entries: number
  /** Those up to this number are sealed; 0: none. */
  readonly sealed: number
  readonly head: AuditHead | null
  /** Checkpoints that could be held against the chain. */
  readonly checkpoints: number
  readonly fault: { readonly seq: number; readonly reason: string } | null
}

/** The audit as the routes know it. */
export interface AuditDesk {
  /**
   * Runs an action. Its first write carries the entry, named after the thing written unless the deed names it; where there is no write, or
   * it failed, the entry is written by itself. Rejects as the action does, and when the entry cannot be written.
   */
  during<Result>(deed: AuditDeed, act: () => Promise<Result> | Result): Promise<Result>
  /** Somebody was not let: nothing was done, and the answer does not wait for the entry. */
  denied(deed: AuditDeed): void
  /** Calls `listen` after each entry with its tenant, until the returned function is called. */
  onEntry(listen: (tenant: string) => void): () => void
  verify(tenant: string): Promise<AuditVerdict>
}

/** `prevHash` of a tenant's first entry. */
export const AUDIT_ROOT: string = '0'.repeat(64)

/** The entry as it leaves the gateway: what is hashed is this without `hash`. */
export const auditDocument = (row: AuditRow): JsonObject => ({ ...hashed(row), hash: row.hash })

const hashed = (row: Omit<AuditRow, 'hash'>): JsonObject => ({
  seq: row.seq,
  at: timeOf(row.at),
  tenant: row.tenant,
  actor: row.actor,
  action: row.action,
  object: row.object,
  outcome: row.outcome,
  request_id: row.requestId,
  trace_id: row.traceId,
  detail: row.detail,
  prev_hash: row.prevHash,
})

/** A number that is no time can only be somebody's alteration; it must not keep anybody from finding it. */
const timeOf = (at: number): string => (Math.abs(at) <= MAX_TIME_MS ? new Date(at).toISOString() : String(at))
/** ECMA-262 §21.4.1.1 */
const MAX_TIME_MS = 8.64e15

/** Lower-case hex. */
export const auditHash = (key: Uint8Array, row: Omit<AuditRow, 'hash'>): string => mac(key, `entry\n${canonicalJson(hashed(row))}`)

export const sealSignature = (key: Uint8Array, seal: Omit<AuditSeal, 'signature'>): string => mac(key, `seal\n${canonicalJson(seal)}`)

export const headSignature = (key: Uint8Array, head: AuditHead, at: number): string => mac(key, `head\n${canonicalJson({ ...head, at })}`)

const mac = (key: Uint8Array, text: string): string => createHmac('sha256', key).update(text).digest('hex')
