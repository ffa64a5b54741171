/**
 * One person, several names: a phone number (`…@s.whatsapp.net`) and an internal id (`…@lid`), either of which may come alone. The name a
 * person is first known by stays theirs, so that their session does too when the other name is learned.
 */
import type { SignalKeyStore } from 'baileys'
import type { ChannelHost } from '#contract'
import type { Baileys } from './library.ts'

export interface Named {
  readonly id: string
  /** All names as WhatsApp writes them, as digits, and the number with its plus. */
  readonly aliases: readonly string[]
  /** To be stored together with the message. */
  readonly learned: { readonly [key: string]: Uint8Array }
}

export class Names {
  readonly #baileys: Baileys
  readonly #host: ChannelHost
  readonly #keys: SignalKeyStore

  /** @param keys with what Baileys learned of which number belongs to which id */
  constructor(baileys: Baileys, host: ChannelHost, keys: SignalKeyStore) {
    this.#baileys = baileys
    this.#host = host
    this.#keys = keys
  }

  /** @param alt the other name, if the message told it */
  async of(jid: string, alt?: string): Promise<Named> {
    const { number, lid } = await this.#both(jid, alt)
    if (number === null && lid === null) return { id: this.#baileys.jidNormalizedUser(jid), aliases: [], learned: {} }
    const aliases = [
      ...(number === null ? [] : [`${number}@s.whatsapp.net`, number, `+${number}`]),
      ...(lid === null ? [] : [`${lid}@lid`, lid]),
    ]
    const preferred = number === null ? `${lid}@lid` : `${number}@s.whatsapp.net`
    if (lid === null) return { id: preferred, aliases, learned: {} }
    const known = await this.#host.readState(`name ${lid}`)
    if (known !== null) return { id: Buffer.from(known).toString('utf8'), aliases, learned: {} }
    return { id: preferred, aliases, learned: { [`name ${lid}`]: Buffer.from(preferred) } }
  }

  async #both(jid: string, alt: string | undefined): Promise<{ readonly number: string | null; readonly lid: string | null }> {
    const { jidDecode } = this.#baileys
    let number: string | null = null
    let lid: string | null = null
    for (const name of [jid, alt]) {
      const { user, server } = jidDecode(name) ?? {}
      if (user === undefined) continue
      if (server === 'lid' || server === 'hosted.lid') lid ??= user
      else if (server === 's.whatsapp.net' || server === 'c.us' || server === 'hosted') number ??= user
    }
    if (number !== null && lid === null) lid = (await this.#mapped(number)) ?? null
    else if (lid !== null && number === null) number = (await this.#mapped(`${lid}_reverse`)) ?? null
    return { number, lid }
  }

  async #mapped(id: string): Promise<string | undefined> {
    const found = await this.#keys.get('lid-mapping', [id])
    return found[id]
  }
}
