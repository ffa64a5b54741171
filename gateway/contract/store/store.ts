/**
 * The store: everything that must survive. Each method of each port is one transaction; a write resolves after its COMMIT is
 * on the disk. Writes that meet a locked, full or read-only disk wait a bounded time and then reject with
 * `UnavailableError`: nothing of them is stored. SQLite is the embedded implementation; `test/contract/store.suite.ts`
 * is the definition of "works" for all.
 */
import type { Lifecycle } from '../runtime.ts'
import type { AuditStore } from './audit.ts'
import type { ChannelStateStore, IdempotencyStore, KeyStore, RegisteredAgentStore } from './access.ts'
import type { DeadLetterStore } from './dead-letters.ts'
import type { RevocationStore, RoleStore } from './identity.ts'
import type { InboxStore } from './inbox.ts'
import type { OutboxStore } from './outbox.ts'
import type { OverlayStore } from './overlay.ts'
import type { PairingStore } from './pairing.ts'
import type { RunStore } from './runs.ts'
import type { SessionStore } from './sessions.ts'
import type { SkillStore } from './skills.ts'
import type { TurnStore } from './turns.ts'
import type { WebhookStore } from './webhooks.ts'

export interface Store extends Lifecycle {
  readonly inbox: InboxStore
  readonly turns: TurnStore
  readonly outbox: OutboxStore
  readonly sessions: SessionStore
  readonly deadLetters: DeadLetterStore
  readonly keys: KeyStore
  readonly roles: RoleStore
  readonly revocations: RevocationStore
  readonly agents: RegisteredAgentStore
  readonly idempotency: IdempotencyStore
  readonly channelState: ChannelStateStore
  readonly pairing: PairingStore
  readonly skills: SkillStore
  readonly runs: RunStore
  readonly webhooks: WebhookStore
  readonly overlay: OverlayStore
  readonly audit: AuditStore
  /** What the last write met, without asking the disk; at most a second old while something is wrong. */
  health(): StoreHealth
  /** Takes away what ended before `before`, at most `limit` messages with all that belongs to them, parts that answered none, runs, and events of webhooks; answers how many. */
  prune(before: number, limit: number): Promise<number>
}

export interface StoreHealth {
  readonly ok: boolean
  /** `STORE_LOCKED`, `STORE_FULL`, `STORE_READONLY`, `STORE_FAILED`; null while ok. */
  readonly code: string | null
  readonly detail: string | null
  /** Writes that wait. */
  readonly waiting: number
}
