/**
 * The audit while the gateway runs: lends each action its entry, so that the store commits both together, and writes those that no
 * write carried. An action whose entry cannot be written fails. Checking the chain is `verify.ts`'s, ageing `keeper.ts`'s.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { SECRET_MASK, describeError, isJsonObject, isSecretName } from '#contract'
import type {
  AuditDeed,
  AuditDesk,
  AuditEntry,
  AuditLoan,
  AuditScope,
  AuditStore,
  Clock,
  JsonObject,
  JsonValue,
  Log,
  Redact,
} from '#contract'

/** What one action is known by while it goes on; `owed`: its entry is not written yet. */
interface Action {
  readonly entry: AuditEntry
  owed: boolean
}

export class AuditTrail implements AuditScope, Omit<AuditDesk, 'verify'> {
  readonly #clock: Clock
  readonly #log: Log
  readonly #redact: Redact
  readonly #actions = new AsyncLocalStorage<Action>()
  readonly #listeners = new Set<(tenant: string) => void>()
  #store: AuditStore | null = null

  constructor(options: { readonly clock: Clock; readonly log: Log; readonly redact: Redact }) {
    this.#clock = options.clock
    this.#log = options.log
    this.#redact = options.redact
  }

  /** The store asks this trail and this trail writes to the store: one of them has to be made first. */
  use(store: AuditStore): void {
    this.#store = store
  }

  async during<Result>(deed: AuditDeed, act: () => Promise<Result> | Result): Promise<Result> {
    const action: Action = { entry: this.#entryOf(deed, 'ok'), owed: true }
    let result: Result
    try {
      result = await this.#actions.run(action, act)
    } catch (error) {
      // What it left running may still write; that is not this action any more.
      action.owed = false
      const failed: AuditEntry = { ...action.entry, outcome: 'failed', detail: { ...action.entry.detail, code: describeError(error).code } }
      await this.#append(failed).catch((second: unknown) => this.#lost(failed, second))
      throw error
    }
    const isOwed = action.owed
    action.owed = false
    if (isOwed) await this.#append(action.entry)
    return result
  }

  denied(deed: AuditDeed): void {
    const entry = this.#entryOf(deed, 'denied')
    this.#append(entry).catch((error: unknown) => this.#lost(entry, error))
  }

  /** What the gateway does by itself; `act` is what it writes, none: it wrote nothing. */
  async note(action: string, detail: AuditEntry['detail'], tenant: string): Promise<void> {
    await this.#append(this.#entryOf(ownDeed(action, detail, tenant), 'ok'))
  }

  /** The same, for what writes: as `during`. */
  own<Result>(action: string, detail: AuditEntry['detail'], tenant: string, act: () => Promise<Result>): Promise<Result> {
    return this.during(ownDeed(action, detail, tenant), act)
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

  /**
   * What is written stays for years, so nothing that a caller sent goes in unread: no secret, whatever it was sent as, and no half of a surrogate pair,
   * which the store refuses and with it the whole action.
   */
  #entryOf(deed: AuditDeed, outcome: AuditEntry['outcome']): AuditEntry {
    const { actor, object } = deed
    const clean = (text: string): string => this.#redact(text).toWellFormed()
    return {
      ...deed,
      at: this.#clock.now(),
      actor: { ...actor, id: actor.id.toWellFormed() },
      object: object === null ? null : clean(object),
      outcome,
      detail: cleaned(deed.detail, clean),
    }
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

const ownDeed = (action: string, detail: AuditEntry['detail'], tenant: string): AuditDeed => ({
  tenant,
  actor: { id: 'gateway', credential: 'gateway', ip: null },
  action,
  object: null,
  requestId: null,
  traceId: null,
  detail,
})

const cleaned = (object: JsonObject, clean: Redact): JsonObject =>
  Object.fromEntries(
    Object.entries(object).map(([name, value]) => [
      clean(name),
      typeof value === 'string' && isSecretName(name) ? SECRET_MASK : cleanedValue(value, clean),
    ]),
  )

function cleanedValue(value: JsonValue, clean: Redact): JsonValue {
  if (typeof value === 'string') return clean(value)
  if (Array.isArray(value)) return value.map((item: JsonValue) => cleanedValue(item, clean))
  return isJsonObject(value) ? cleaned(value, clean) : value
}
