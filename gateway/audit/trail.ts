/**
 * The audit while the gateway runs: lends each action its entry, so that the store commits both together, and writes those that no
 * write carried. An action whose entry cannot be written fails. Checking the chain is `verify.ts`'s, ageing `keeper.ts`'s.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { describeError } from '#contract'
import type { AuditDeed, AuditDesk, AuditEntry, AuditLoan, AuditScope, AuditStore, Clock, Log } from '#contract'

/** What one action is known by while it goes on; `owed`: its entry is not written yet. */
interface Action {
  readonly entry: AuditEntry
  owed: boolean
}

export class AuditTrail implements AuditScope, Omit<AuditDesk, 'verify'> {
  readonly #clock: Clock
  readonly #log: Log
  readonly #actions = new AsyncLocalStorage<Action>()
  readonly #listeners = new Set<(tenant: string) => void>()
  #store: AuditStore | null = null

  constructor(options: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = options.clock
    this.#log = options.log
  }

  /** The store asks this trail and this trail writes to the store: one of them has to be made first. */
  use(store: AuditStore): void {
    this.#store = store
  }

  async during<Result>(deed: AuditDeed, act: () => Promise<Result> | Result): Promise<Result> {
    const action: Action = { entry: { ...deed, at: this.#clock.now(), outcome: 'ok' }, owed: true }
    let result: Result
    try {
      result = await this.#actions.run(action, act)
    } catch (error) {
      const failed: AuditEntry = { ...action.entry, outcome: 'failed', detail: { ...deed.detail, code: describeError(error).code } }
      await this.#append(failed).catch((second: unknown) => this.#lost(failed, second))
      throw error
    }
    if (action.owed) await this.#append(action.entry)
    return result
  }

  denied(deed: AuditDeed): void {
    const entry: AuditEntry = { ...deed, at: this.#clock.now(), outcome: 'denied' }
    this.#append(entry).catch((error: unknown) => this.#lost(entry, error))
  }

  /** What the gateway does by itself. */
  async note(action: string, detail: AuditEntry['detail'], tenant: string): Promise<void> {
    const actor = { id: 'gateway', credential: 'gateway', ip: null }
    await this.#append({
      tenant,
      at: this.#clock.now(),
      actor,
      action,
      object: null,
      outcome: 'ok',
      requestId: null,
      traceId: null,
      detail,
    })
  }

  take(id: string | null): AuditLoan | null {
    const action = this.#actions.getStore()
    if (action === undefined || !action.owed) return null
    action.owed = false
    const entry = action.entry.object === null && id !== null ? { ...action.entry, object: id } : action.entry
    return {
      entry,
      settle: (isWritten) => {
        if (isWritten) this.#tell(entry.tenant)
        else action.owed = true
      },
    }
  }

  /** As the routes know it. */
  desk(verify: AuditDesk['verify']): AuditDesk {
    return {
      during: (deed, act) => this.during(deed, act),
      denied: (deed) => this.denied(deed),
      onEntry: (listen) => this.onEntry(listen),
      verify,
    }
  }

  onEntry(listen: (tenant: string) => void): () => void {
    this.#listeners.add(listen)
    return () => this.#listeners.delete(listen)
  }

  async #append(entry: AuditEntry): Promise<void> {
    if (this.#store === null) throw new Error('The audit has no store.')
    await this.#actions.exit(() => this.#store?.append(entry))
    this.#tell(entry.tenant)
  }

  #tell(tenant: string): void {
    for (const listen of this.#listeners) listen(tenant)
  }

  /** The one case in which an entry is not there: what it tells of was not done, or the disk refuses everything. */
  #lost({ action, actor, outcome }: AuditEntry, error: unknown): void {
    this.#log.error(
      { action, principal: actor.id, outcome, 'error.code': describeError(error).code },
      'An entry of the audit could not be written.',
    )
  }
}
