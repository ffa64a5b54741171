/** The audit's port. Entries of control-plane writes come with those writes, in one transaction (`AuditScope`), not by `append`. */
import type { AuditEntry, AuditHead, AuditRow, AuditSeal } from '../audit.ts'

export interface AuditFilter {
  readonly tenant: string
  readonly action?: string
  /** The principal's id. */
  readonly actor?: string
  readonly object?: string
  readonly outcome?: string
  /** Epoch milliseconds; from `since` on, before `until`. */
  readonly since?: number
  readonly until?: number
}

export interface AuditStore {
  append(entry: AuditEntry): Promise<void>
  /** Newest first, before that number. */
  list(filter: AuditFilter, before: number | null, limit: number): Promise<readonly AuditRow[]>
  /** Oldest first, after that number. */
  after(tenant: string, seq: number, limit: number): Promise<readonly AuditRow[]>
  /** The end of each chain. */
  heads(): Promise<readonly AuditHead[]>
  sealOf(tenant: string): Promise<AuditSeal | null>
  /** The last entry of each chain from before that time, of those that no seal covers. */
  outdated(before: number): Promise<readonly AuditHead[]>
  /** Takes away the entries that it covers; answers how many. Rejects when the chain does not hold its hash at that place. */
  seal(seal: AuditSeal): Promise<number>
}

/** Lends a write its entry: the store asks at every write, commits both together, and gives the entry back where nothing was changed. */
export interface AuditScope {
  /** null: this write is nobody's action. `id`: of the thing that is written. */
  take(id: string | null): AuditLoan | null
}
export interface AuditLoan {
  readonly entry: AuditEntry
  /** False: the write failed, or changed nothing; the entry is not written. */
  settle(isWritten: boolean): void
}
