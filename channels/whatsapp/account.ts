/**
 * The linked device as it is kept in the channel's state: its credentials as one value, each Signal key as one. What a message changed in
 * the keys is written together with the message, in one transaction of the hub.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { AuthenticationCreds, SignalDataSet, SignalDataTypeMap, SignalKeyStore } from 'baileys'
import type { ChannelHost, Inbound } from '#contract'
import type { Baileys } from './library.ts'

/** A message on its way into the inbox, from its decryption to the commit of the keys that the decryption used up. */
export interface Entry {
  inbound: Inbound | null
  /** Names that were learned with it. */
  readonly names: { readonly [key: string]: Uint8Array }[]
  isStored: boolean
  /** Why hub or store did not take it. */
  refusal: Error | null
}

interface Kept {
  readonly creds: AuthenticationCreds
  /** Keys of an earlier linking are of no use to a later one. */
  readonly generation: number
  /** Epoch milliseconds. */
  readonly linkedAt: number
  /** The phone removed it; it stays until somebody links again. */
  readonly isLinked: boolean
}

const ACCOUNT = 'account'

export class Account {
  readonly #baileys: Baileys
  readonly #host: ChannelHost
  readonly #entries = new AsyncLocalStorage<Entry>()
  #kept: Kept
  #isDirty = false
  #saving: Promise<void> = Promise.resolve()

  private constructor(baileys: Baileys, host: ChannelHost, kept: Kept) {
    this.#baileys = baileys
    this.#host = host
    this.#kept = kept
  }

  /** null: none was linked yet. */
  static async load(baileys: Baileys, host: ChannelHost): Promise<Account | null> {
    const bytes = await host.readState(ACCOUNT)
    if (bytes === null) return null
    return new Account(baileys, host, decode(baileys, bytes) as Kept)
  }

  /** A device that no phone knows; kept from when one does. */
  static create(baileys: Baileys, host: ChannelHost, before: Account | null): Account {
    const generation = before === null ? 1 : before.#kept.generation + 1
    return new Account(baileys, host, { creds: baileys.initAuthCreds(), generation, linkedAt: host.clock.now(), isLinked: true })
  }

  get creds(): AuthenticationCreds {
    return this.#kept.creds
  }

  get isPaired(): boolean {
    return this.#kept.creds.account !== undefined
  }

  get isLinked(): boolean {
    return this.#kept.isLinked
  }

  get linkedAt(): number {
    return this.#kept.linkedAt
  }

  /** The phone number, in digits. */
  get number(): string {
    return this.#baileys.jidDecode(this.#kept.creds.me?.id)?.user ?? ''
  }

  /** Runs a decryption; what it sets in `keys` is committed together with the entry. */
  withEntry<T>(entry: Entry, run: () => Promise<T>): Promise<T> {
    return this.#entries.run(entry, run)
  }

  /** Something in `creds` changed. A failed write is made up for with the next one. */
  save(): Promise<void> {
    if (!this.isPaired) return Promise.resolve()
    this.#isDirty = true
    this.#saving = this.#saving.then(() => this.#write())
    return this.#saving
  }

  async #write(): Promise<void> {
    if (!this.#isDirty) return
    this.#isDirty = false
    try {
      await this.#host.writeState(this.#document())
    } catch (error) {
      this.#isDirty = true
      const err = error instanceof Error ? error : undefined
      this.#host.log.warn({ err }, 'The device could not be saved; it is saved with the next message.')
    }
  }

  async unlink(): Promise<void> {
    this.#kept = { ...this.#kept, isLinked: false }
    await this.save()
  }

  readonly keys: SignalKeyStore = {
    get: async <T extends keyof SignalDataTypeMap>(type: T, ids: string[]): Promise<{ [id: string]: SignalDataTypeMap[T] }> => {
      const found = await Promise.all(ids.map(async (id) => [id, await this.#host.readState(this.#name(type, id))] as const))
      return Object.fromEntries(found.flatMap(([id, bytes]) => (bytes === null ? [] : [[id, this.#revive(type, bytes)]])))
    },
    set: async (data: SignalDataSet): Promise<void> => {
      const changes = new Map<string, Uint8Array | null>()
      for (const [type, values] of Object.entries(data)) {
        for (const [id, value] of Object.entries(values))
          changes.set(this.#name(type, id), value === null ? null : encode(this.#baileys, value))
      }
      await this.#commit(Object.fromEntries(changes))
    },
  }

  async #commit(changes: { readonly [key: string]: Uint8Array | null }): Promise<void> {
    const isDirty = this.#isDirty
    this.#isDirty = false
    const entry = this.#entries.getStore()
    const all = Object.assign({}, changes, isDirty ? this.#document() : {}, ...(entry?.names ?? []))
    try {
      if (entry?.inbound && !entry.isStored) {
        await this.#host.accept(entry.inbound, all)
        entry.isStored = true
      } else await this.#host.writeState(all)
    } catch (error) {
      this.#isDirty ||= isDirty
      if (entry !== undefined) entry.refusal = error instanceof Error ? error : new Error(String(error))
      throw error
    }
  }

  #document(): { readonly [ACCOUNT]: Uint8Array } {
    return { [ACCOUNT]: encode(this.#baileys, this.#kept) }
  }

  #name(type: string, id: string): string {
    return `key ${this.#kept.generation} ${type} ${id}`
  }

  #revive<T extends keyof SignalDataTypeMap>(type: T, bytes: Uint8Array): SignalDataTypeMap[T] {
    const value = decode(this.#baileys, bytes)
    const revived = type === 'app-state-sync-key' ? this.#baileys.proto.Message.AppStateSyncKeyData.fromObject(Object(value)) : value
    return revived as SignalDataTypeMap[T]
  }
}

const encode = ({ BufferJSON }: Baileys, value: unknown): Uint8Array => Buffer.from(JSON.stringify(value, BufferJSON.replacer))
const decode = ({ BufferJSON }: Baileys, bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString('utf8'), BufferJSON.reviver)
