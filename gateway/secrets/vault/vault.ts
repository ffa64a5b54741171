/**
 * `${vault:path#field}`: values out of Vault. Remembers what has a lease for as long as that lasts, and the last good fields of everything else, so that a
 * Vault that is away stops no gateway that runs; at the start it is tried a few times and then told as a fault.
 */
import { DeniedError, NotFoundError, UnavailableError, describeError, nearest } from '#contract'
import type { Clock, Log } from '#contract'
import { failed, missing, secret } from '../source.ts'
import type { Resolution, SecretSource } from '../source.ts'
import { vaultAt } from './client.ts'
import type { AskVault } from './client.ts'
import { Lease } from './lease.ts'
import { parsePath } from './path.ts'
import { readEntry } from './read.ts'
import type { VaultEntry } from './read.ts'
import { VaultSession } from './session.ts'
import type { VaultAuth } from './session.ts'

export interface VaultSettings {
  readonly address: string
  readonly namespace: string | null
  /** Where `${vault:#field}` and names that nobody else knows are looked up. */
  readonly home: string | null
  readonly auth: VaultAuth
}

export interface VaultParts {
  readonly clock: Clock
  readonly log: () => Log | null
  readonly onSecret: (value: string) => void
  /** Leased fields are others now. */
  readonly onChange: () => void
  /** Waits between tries while nothing is known yet. */
  readonly triesMs?: readonly number[]
}

const TRIES_MS: readonly number[] = [500, 1_000, 2_000]

export class VaultSource implements SecretSource {
  readonly settings: VaultSettings
  readonly #parts: VaultParts
  readonly #abort = new AbortController()
  readonly #ask: AskVault
  readonly #session: VaultSession
  /** Both as many as the configuration names paths: `begin` and `end` see to it. */
  readonly #leases = new Map<string, Lease>()
  readonly #last = new Map<string, VaultEntry>()
  /** Of one round: each path is read once, so that user and password come from the same answer. */
  #reads = new Map<string, Promise<VaultEntry>>()
  /** Vault was waited for in vain in this round; nobody else has to. */
  #isAway = false

  constructor(settings: VaultSettings, parts: VaultParts) {
    this.settings = settings
    this.#parts = parts
    this.#ask = vaultAt(settings, this.#abort.signal)
    const onReplaced = (): void => {
      for (const lease of this.#leases.values()) lease.replace()
    }
    this.#session = new VaultSession(settings.auth, { ...parts, ask: this.#ask, onReplaced })
  }

  /** A round: all references of a configuration. */
  begin(): void {
    this.#reads = new Map()
    this.#isAway = false
  }

  /** What nobody asked for in this round is forgotten. */
  end(): void {
    for (const [key, lease] of this.#leases) {
      if (this.#reads.has(key)) continue
      lease.stop()
      this.#leases.delete(key)
    }
    for (const key of this.#last.keys()) if (!this.#reads.has(key)) this.#last.delete(key)
  }

  async resolve(name: string): Promise<Resolution> {
    const parsed = parsePath(name, this.settings.home)
    if (parsed === null) {
      const home = name.startsWith('#') && this.settings.home === null ? ' or secrets.vault_path for a field alone' : ''
      return failed(`"vault:${name}" leads nowhere, expected vault:path/of/secret#field${home}`)
    }
    const { path, version, field } = parsed
    try {
      const key = version === null ? path : `${path}?version=${version}`
      let read = this.#reads.get(key)
      if (read === undefined) {
        read = this.#read(key, path, version)
        this.#reads.set(key, read)
      }
      return fieldOf((await read).fields, field, path)
    } catch (error) {
      const problem = `${path} cannot be had from Vault: ${describeError(error).message}`
      return error instanceof NotFoundError ? missing(problem) : failed(problem)
    }
  }

  async stop(): Promise<void> {
    const leases = [...this.#leases.values()]
    for (const lease of leases) lease.stop()
    const { auth } = this.settings
    // A token that was given outlives us: only the leases are ours to give back. They end by themselves too.
    if (auth.method === 'token') {
      const ids = leases.flatMap((lease) => lease.entry?.lease?.id ?? [])
      await Promise.all(
        ids.map((id) =>
          this.#ask({ method: 'POST', path: 'sys/leases/revoke', token: auth.token, body: { lease_id: id } }).catch(() => undefined),
        ),
      )
    }
    await this.#session.stop()
    this.#abort.abort()
  }

  async #read(key: string, path: string, version: number | null): Promise<VaultEntry> {
    const held = this.#leases.get(key)?.entry
    if (held !== null && held !== undefined) return held
    const known = this.#last.get(key)
    try {
      const entry = known === undefined ? await this.#patiently(() => this.#fetch(path, version)) : await this.#fetch(path, version)
      this.#keep(key, path, version, entry)
      return entry
    } catch (error) {
      if (known === undefined || !(error instanceof UnavailableError)) throw error
      this.#parts
        .log()
        ?.warn({ 'error.code': describeError(error).code }, `${path} is used as it was read last. ${describeError(error).message}`)
      return known
    }
  }

  #keep(key: string, path: string, version: number | null, entry: VaultEntry): void {
    this.#leases.get(key)?.stop()
    this.#leases.delete(key)
    if (entry.lease === null) {
      this.#last.set(key, entry)
      return
    }
    const { clock, log, onChange } = this.#parts
    const lease = new Lease(entry, {
      path,
      clock,
      log,
      onChange,
      read: () => this.#fetch(path, version),
      renew: async (id) =>
        this.#ask({ method: 'POST', path: 'sys/leases/renew', token: await this.#session.token(), body: { lease_id: id } }),
    })
    this.#leases.set(key, lease)
  }

  async #fetch(path: string, version: number | null): Promise<VaultEntry> {
    const token = await this.#session.token()
    try {
      return await readEntry(this.#ask, token, path, version)
    } catch (error) {
      // It may have been revoked, or Vault have been restored from before it: another login tells.
      if (!(error instanceof DeniedError) || !(await this.#session.isSpent(token))) throw error
      return readEntry(this.#ask, await this.#session.token(), path, version)
    }
  }

  async #patiently(read: () => Promise<VaultEntry>): Promise<VaultEntry> {
    for (const wait of this.#parts.triesMs ?? TRIES_MS) {
      try {
        return await read()
      } catch (error) {
        if (!(error instanceof UnavailableError) || this.#isAway) throw error
      }
      await new Promise<void>((resolve) => void this.#parts.clock.after(wait, resolve))
    }
    return read().catch((error: unknown) => {
      this.#isAway = true
      throw error
    })
  }
}

function fieldOf(fields: VaultEntry['fields'], field: string, path: string): Resolution {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined
  if (value === undefined || value === null || value === '') {
    const guess = nearest(field, Object.keys(fields))
    return missing(
      `${path} in Vault has no field ${JSON.stringify(field)}${guess === null ? '' : `; did you mean ${JSON.stringify(guess)}?`}`,
    )
  }
  if (typeof value === 'object') return failed(`the field ${JSON.stringify(field)} of ${path} in Vault is no text, expected one`)
  return secret(String(value))
}
