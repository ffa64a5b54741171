/** Roles made over the API, and tokens that were called back. Both small: read whole at the start. */
import type { RevocationId } from '../ids.ts'

export interface RoleRecord {
  readonly tenant: string
  /** Unique in the tenant. */
  readonly name: string
  readonly permissions: readonly string[]
  readonly createdAt: number
  /** Principal who made it. */
  readonly createdBy: string
}

export interface RoleStore {
  list(): Promise<readonly RoleRecord[]>
  /** False: the tenant has one of that name. */
  add(role: RoleRecord): Promise<boolean>
  /** Other permissions, if they are still `from`. False: they are not, or there is no such role. */
  change(tenant: string, name: string, permissions: { readonly from: readonly string[]; readonly to: readonly string[] }): Promise<boolean>
  /** False: none such. */
  remove(tenant: string, name: string): Promise<boolean>
}

/** Tokens of one issuer that count no more in this tenant. */
export interface RevocationRecord {
  readonly id: RevocationId
  readonly tenant: string
  readonly issuer: string
  /** One token by its id, or all of one subject that were issued until `notBefore`. */
  readonly of:
    | { readonly is: 'token'; readonly jti: string }
    | { readonly is: 'subject'; readonly subject: string; readonly notBefore: number }
  readonly createdAt: number
  readonly createdBy: string
  /** By then every token that it may mean has ended by itself. */
  readonly expiresAt: number
}

/** A page that signed out. */
export interface LeftSession {
  readonly id: string
  /** When its cookie would have run out. */
  readonly expiresAt: number
}

export interface RevocationStore {
  /** Those that have not expired, oldest first. */
  list(now: number): Promise<readonly RevocationRecord[]>
  /** Takes the expired ones away. */
  add(revocation: RevocationRecord, now: number): Promise<void>
  /** Of pages that signed out, those whose cookies have not run out. */
  leftSessions(now: number): Promise<readonly LeftSession[]>
  /** Takes those that have run out away. */
  leaveSession(session: LeftSession, now: number): Promise<void>
}
