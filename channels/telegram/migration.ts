/**
 * Groups that became supergroups. Telegram gives them another id; for us the conversation stays what it was, under the id it
 * began with, and only what is sent goes to the new one.
 */
import type { ChannelHost, StateChanges } from '#contract'

/** A group migrates once in its life; beyond that many the oldest are forgotten, and such a conversation begins anew. */
const MAX_GROUPS = 10_000
const KEY = 'migrations'

export class Migrations {
  /** New id → the one it began with. */
  readonly #homes: Map<string, string>
  readonly #addresses: Map<string, string>

  private constructor(homes: readonly (readonly [string, string])[]) {
    this.#homes = new Map(homes)
    this.#addresses = new Map(homes.map(([address, home]) => [home, address]))
  }

  static none(): Migrations {
    return new Migrations([])
  }

  static async load(host: ChannelHost): Promise<Migrations> {
    const bytes = await host.readState(KEY)
    const stored: unknown = bytes === null ? {} : JSON.parse(new TextDecoder().decode(bytes))
    const entries = Object.entries(typeof stored === 'object' && stored !== null ? stored : {})
    return new Migrations(entries.flatMap(([address, home]) => (typeof home === 'string' ? [[address, home] as const] : [])))
  }

  /** What has to be stored with the message that told it: each time anew, for the last time may have failed. */
  learn(from: string, to: string): StateChanges {
    const home = this.homeOf(from)
    this.#homes.set(to, home)
    this.#addresses.set(home, to)
    const [oldest] = this.#homes
    if (oldest !== undefined && this.#homes.size > MAX_GROUPS) {
      this.#homes.delete(oldest[0])
      this.#addresses.delete(oldest[1])
    }
    return { [KEY]: new TextEncoder().encode(JSON.stringify(Object.fromEntries(this.#homes))) }
  }

  /** The id under which the conversation is known here. */
  homeOf(chat: string): string {
    return this.#homes.get(chat) ?? chat
  }

  /** The id under which Telegram knows it now. */
  addressOf(chat: string): string {
    return this.#addresses.get(chat) ?? chat
  }
}
