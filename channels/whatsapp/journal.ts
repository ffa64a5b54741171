/**
 * Decryption that loses nothing. Baileys acknowledges a message before anybody was told of it, and a message can be decrypted only once; so
 * whatever is decrypted goes into the inbox in the same transaction that advances the keys, and Baileys can acknowledge only what is stored.
 * When it cannot be stored, keys stay as they were and the connection is ended without an acknowledgement: WhatsApp delivers it again.
 */
import type { BinaryNode, SocketConfig, proto } from 'baileys'
import type { Account, Entry } from './account.ts'
import { readMessage, unreadable } from './inbound.ts'
import type { Read, Reader, Stanza } from './inbound.ts'
import type { Baileys } from './library.ts'

export interface JournalParts {
  readonly baileys: Baileys
  readonly account: Account
  readonly reader: (keys: Reader['names']) => Reader
  /** Resolves when messages may be taken in; rejects when the connection is over. */
  readonly admission: () => Promise<void>
  /** It was not stored: nothing may be acknowledged on this connection any more. */
  readonly refused: (cause: Error) => void
}

type MakeRepository = SocketConfig['makeSignalRepository']
type Repository = ReturnType<MakeRepository>

export class Journal {
  readonly #parts: JournalParts
  readonly #names: Reader['names']
  /** Whose each piece of ciphertext is: Baileys hands on only the bytes. */
  readonly #stanzas = new WeakMap<Uint8Array, Stanza>()
  /** Keys of groups that came with a message and were stored with it; Baileys will want to store them again. */
  readonly #distributed = new Set<string>()

  constructor(parts: JournalParts, names: Reader['names']) {
    this.#parts = parts
    this.#names = names
  }

  /** To be told before Baileys is. */
  note({ attrs, content }: BinaryNode): void {
    if (!Array.isArray(content)) return
    for (const part of content) if (part.tag === 'enc' && part.content instanceof Uint8Array) this.#stanzas.set(part.content, attrs)
  }

  readonly makeRepository: MakeRepository = (auth, logger, fetchLids) => {
    const repository = this.#parts.baileys.DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, logger, fetchLids)
    // Baileys sends in a transaction of this name; in another, sending and receiving would overwrite each other's step of one session.
    const lane = this.#parts.account.creds.me?.id ?? ''
    const inLane = <T>(run: () => Promise<T>): Promise<T> => ('transaction' in auth.keys ? auth.keys.transaction(run, lane) : run())
    return {
      ...repository,
      decryptMessage: (options) => this.#step(options.ciphertext, repository, inLane, () => repository.decryptMessage(options)),
      decryptGroupMessage: (options) => this.#step(options.msg, repository, inLane, () => repository.decryptGroupMessage(options)),
      processSenderKeyDistributionMessage: async (options) => {
        if (!this.#distributed.delete(keyOf(options.authorJid, options.item))) await repository.processSenderKeyDistributionMessage(options)
      },
    }
  }

  async #step(
    ciphertext: Uint8Array,
    repository: Repository,
    inLane: <T>(run: () => Promise<T>) => Promise<T>,
    decrypt: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const { account, admission, refused } = this.#parts
    await admission()
    const entry: Entry = { inbound: null, names: [], isStored: false, refusal: null }
    try {
      return await account.withEntry(entry, () =>
        inLane(async () => {
          const padded = await decrypt()
          await this.#enter(entry, this.#stanzas.get(ciphertext), padded, repository)
          return padded
        }),
      )
    } catch (error) {
      if (entry.refusal !== null) refused(entry.refusal)
      throw error
    }
  }

  async #enter(entry: Entry, stanza: Stanza | undefined, padded: Uint8Array, repository: Repository): Promise<void> {
    // Without a stanza it is a retry of Baileys's own.
    if (stanza === undefined) return
    const { baileys } = this.#parts
    const bytes = baileys.unpadRandomMax16(padded)
    const reader = this.#parts.reader(this.#names)
    let read: Read | null
    try {
      const message = baileys.proto.Message.decode(bytes)
      await this.#distribute(stanza, message, repository)
      read = await readMessage(reader, stanza, message)
    } catch (error) {
      if (!(error instanceof Error) || !isDecodingError(error)) throw error
      read = await unreadable(reader, stanza, bytes)
    }
    if (read === null) return
    entry.inbound = read.inbound
    entry.names.push(read.learned)
  }

  /** A crash between these keys and the message that needs them would leave it unreadable. */
  async #distribute(stanza: Stanza, message: proto.IMessage, repository: Repository): Promise<void> {
    const item = message.deviceSentMessage?.message?.senderKeyDistributionMessage ?? message.senderKeyDistributionMessage
    if (!item) return
    const authorJid = stanza['participant'] ?? stanza['from'] ?? ''
    await repository.processSenderKeyDistributionMessage({ authorJid, item })
    this.#distributed.add(keyOf(authorJid, item))
  }
}

const keyOf = (author: string, { axolotlSenderKeyDistributionMessage: key }: proto.Message.ISenderKeyDistributionMessage): string =>
  `${author} ${Buffer.from(key ?? []).toString('base64')}`

/** protobufjs throws these for bytes that are no message. */
const isDecodingError = (error: Error): boolean =>
  error.name === 'ProtocolError' || error instanceof RangeError || /^(invalid wire type|index out of range)/.test(error.message)
