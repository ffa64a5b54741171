/**
 * One lease kept alive: renewed at two thirds of its time, read anew when that gains nothing more (its longest time is reached, or it was revoked), and
 * tried again until then while Vault is away. Says when there are new fields, and when the old ones end without any.
 */
import { UnavailableError, describeError, isJsonObject } from '#contract'
import type { Clock, JsonObject, Log } from '#contract'
import type { VaultEntry } from './read.ts'
import { LEAST_GAIN, RENEW_AT } from './session.ts'

export interface LeaseParts {
  readonly path: string
  readonly clock: Clock
  readonly log: () => Log | null
  readonly renew: (id: string) => Promise<JsonObject>
  readonly read: () => Promise<VaultEntry>
  /** The fields are others now. */
  readonly onChange: () => void
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000

export class Lease {
  readonly #parts: LeaseParts
  #entry: VaultEntry
  #endsAt = 0
  #cancel: () => void = () => undefined
  #isStopped = false
  #hasEnded = false
  /** Counts what it hung on: what is under way for one that is gone must not go on beside what began anew. */
  #life = 0

  constructor(entry: VaultEntry, parts: LeaseParts) {
    this.#parts = parts
    this.#entry = entry
    this.#begin(entry)
  }

  /** null: they ended, and there are no others yet. */
  get entry(): VaultEntry | null {
    return this.#parts.clock.now() < this.#endsAt ? this.#entry : null
  }

  /** What it hangs on is gone: fields are read anew at once. */
  replace(): void {
    this.#cancel()
    this.#life += 1
    void this.#replace(0)
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  #begin(entry: VaultEntry): void {
    this.#entry = entry
    this.#hasEnded = false
    // An engine may stop putting leases on what it gives; then there is nothing to keep alive.
    const ttlMs = entry.lease?.ttlMs ?? 0
    this.#endsAt = entry.lease === null ? Number.POSITIVE_INFINITY : this.#parts.clock.now() + ttlMs
    if (entry.lease !== null) this.#later(ttlMs * RENEW_AT, () => this.#renew(0))
  }

  #later(ms: number, run: () => Promise<void>): void {
    if (!this.#isStopped) this.#cancel = this.#parts.clock.after(ms, () => void run())
  }

  async #renew(tries: number): Promise<void> {
    const { lease } = this.#entry
    const { clock, renew } = this.#parts
    if (lease === null) return
    if (!lease.isRenewable) return this.#replace(0)
    const life = this.#life
    try {
      const answer = await renew(lease.id)
      if (life !== this.#life) return
      const seconds = isJsonObject(answer) ? answer['lease_duration'] : 0
      const leftMs = typeof seconds === 'number' ? seconds * 1_000 : 0
      if (leftMs <= lease.ttlMs * LEAST_GAIN) return await this.#replace(0)
      this.#endsAt = clock.now() + leftMs
      this.#later(leftMs * RENEW_AT, () => this.#renew(0))
    } catch (error) {
      if (life !== this.#life) return
      // Whatever else Vault says, this lease is not to be had any more.
      if (!(error instanceof UnavailableError)) return this.#replace(0)
      this.#failed(error, tries)
      const wait = retryMs(tries)
      if (clock.now() + wait < this.#endsAt) this.#later(wait, () => this.#renew(tries + 1))
      else this.#later(wait, () => this.#replace(tries + 1))
    }
  }

  async #replace(tries: number): Promise<void> {
    if (this.#isStopped) return
    const life = this.#life
    try {
      const entry = await this.#parts.read()
      if (this.#isStopped || life !== this.#life) return
      const isOther = JSON.stringify(entry.fields) !== JSON.stringify(this.#entry.fields)
      this.#begin(entry)
      if (isOther) this.#parts.onChange()
    } catch (error) {
      if (life !== this.#life) return
      this.#failed(error, tries)
      this.#later(retryMs(tries), () => this.#replace(tries + 1))
    }
  }

  /** Told once when it begins to fail, and once when the values have ended. */
  #failed(error: unknown, tries: number): void {
    const { clock, log, path } = this.#parts
    if (this.#isStopped) return
    const fields = { 'error.code': describeError(error).code }
    if (clock.now() >= this.#endsAt) {
      if (!this.#hasEnded)
        log()?.error(
          fields,
          `The lease of ${path} in Vault has ended and there is no new one; what uses it will be refused. ${describeError(error).message}`,
        )
      this.#hasEnded = true
    } else if (tries === 0) {
      log()?.warn(
        fields,
        `The lease of ${path} in Vault could not be renewed; its values are good until ${new Date(this.#endsAt).toISOString()}. ${describeError(error).message}`,
      )
    }
  }
}

const retryMs = (tries: number): number => Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries, 5))
