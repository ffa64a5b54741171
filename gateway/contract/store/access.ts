/** Keys, registered agents, kept answers, channel values. */
import type { JsonObject } from '../envelope.ts'
import type { AgentId, KeyId } from '../ids.ts'

export interface KeyRecord {
  readonly id: KeyId
  readonly tenant: string
  /** Owner; the principal's id. */
  readonly name: string
  /** SHA-256 of the secret, lower-case hex. */
  readonly hash: string
  readonly scopes: readonly string[]
  /** Names of roles; what they give is looked up when the key is used. */
  readonly roles: readonly string[]
  readonly createdAt: number
  /** Principal who made it; null: the gateway itself, or before that was noted. */
  readonly createdBy: string | null
  readonly expiresAt: number | null
  readonly revokedAt: number | null
  /** To the minute. */
  readonly lastUsedAt: number | null
  /** The secret before the last rotation, which still counts until then. */
  readonly previous: { readonly hash: string; readonly until: number } | null
}

export interface KeyStore {
  add(key: KeyRecord): Promise<void>
  /** Those of all tenants: what recognises them holds them in memory. */
  list(): Promise<readonly KeyRecord[]>
  /** False: the tenant has none such, or it was revoked before. */
  revoke(tenant: string, id: KeyId, now: number): Promise<boolean>
  /** Another secret; the one before counts until `graceUntil`, if that is to come. False: none such, or revoked. */
  rotate(id: KeyId, hash: string, graceUntil: number | null): Promise<boolean>
  touch(id: KeyId, at: number): Promise<void>
}

export interface RegisteredAgent {
  readonly id: AgentId
  readonly tenant: string
  /** Unique in the tenant. */
  readonly name: string
  /** As it was given: version, capabilities, and what else a declaration may hold. */
  readonly declaration: JsonObject
  readonly createdAt: number
}
export interface RegisteredAgentStore {
  /** Same tenant and name: replaces the declaration and keeps the id. */
  put(agent: RegisteredAgent): Promise<RegisteredAgent>
  /** False: none such. */
  remove(id: AgentId): Promise<boolean>
  /** Those of all tenants. */
  list(): Promise<readonly RegisteredAgent[]>
}

export interface KeptAnswer {
  readonly fingerprint: string
  /** null: still being made. */
  readonly answer: JsonObject | null
  readonly expiresAt: number
}
export interface IdempotencyStore {
  /** Reserves the key. Answers what stands there if it is taken, null if it is now ours. */
  begin(key: string, fingerprint: string, now: number, expiresAt: number): Promise<KeptAnswer | null>
  finish(key: string, answer: JsonObject): Promise<void>
  /** It failed: the key is free again. */
  abandon(key: string): Promise<void>
}

/** The hub's own values are those of the channel '', a name that none can have. */
export interface ChannelStateStore {
  read(channel: string, key: string): Promise<Uint8Array | null>
  /** In their order. */
  keys(channel: string): Promise<readonly string[]>
  write(channel: string, changes: { readonly [key: string]: Uint8Array | null }): Promise<void>
}
