/**
 * Somebody on WhatsApp with one device: a number, an internal id (LID), and a real Signal identity, so that what is written to and by
 * them is encrypted for good. The server carries it without reading it.
 */
import {
  Curve,
  DEFAULT_CONNECTION_CONFIG,
  addTransactionCapability,
  encodeBigEndian,
  encodeWAMessage,
  generateSignalPubKey,
  initAuthCreds,
  proto,
  unpadRandomMax16,
} from 'baileys'
import type { AuthenticationCreds, BinaryNode, SignalDataSet, SignalDataTypeMap, SignalKeyStore, WASocket } from 'baileys'

type Repository = WASocket['signalRepository']
type Logger = Parameters<typeof DEFAULT_CONNECTION_CONFIG.makeSignalRepository>[1]

/** What a device has on the server for those who want to write to it. */
export interface Bundle {
  readonly registrationId: number
  readonly identityKey: Uint8Array
  readonly signedPreKey: { readonly keyId: number; readonly publicKey: Uint8Array; readonly signature: Uint8Array }
  readonly preKey: { readonly keyId: number; readonly publicKey: Uint8Array }
}

export class Person {
  readonly jid: string
  readonly lid: string
  readonly name: string
  readonly #creds: AuthenticationCreds = initAuthCreds()
  readonly #keys = addTransactionCapability(memoryKeys(), quiet, { maxCommitRetries: 1, delayBetweenTriesMs: 10 })
  readonly #repository: Repository
  #nextPreKey = 1
  readonly #met = new Set<string>()
  readonly #groups = new Set<string>()

  constructor(number: string, name: string, lid = `${number}0001`) {
    this.jid = `${number}@s.whatsapp.net`
    this.lid = `${lid}@lid`
    this.name = name
    this.#creds.me = { id: this.jid, lid: this.lid }
    const auth = { creds: this.#creds, keys: this.#keys }
    this.#repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, quiet, async () => [])
  }

  /** As the server hands it to somebody who wants to write to this person. */
  async bundle(jid: string): Promise<BinaryNode> {
    const id = this.#nextPreKey++
    const pair = Curve.generateKeyPair()
    await this.#keys.set({ 'pre-key': { [id]: pair } })
    const { signedPreKey, signedIdentityKey, registrationId } = this.#creds
    return node('user', { jid }, [
      node('registration', {}, encodeBigEndian(registrationId)),
      node('type', {}, Buffer.from([5])),
      node('identity', {}, signedIdentityKey.public),
      node('key', {}, [node('id', {}, encodeBigEndian(id, 3)), node('value', {}, pair.public)]),
      node('skey', {}, [
        node('id', {}, encodeBigEndian(signedPreKey.keyId, 3)),
        node('value', {}, signedPreKey.keyPair.public),
        node('signature', {}, signedPreKey.signature),
      ]),
    ])
  }

  knows(jid: string): boolean {
    return this.#met.has(jid)
  }

  async meet(jid: string, bundle: Bundle): Promise<void> {
    this.#met.add(jid)
    await this.#repository.injectE2ESession({ jid, session: bundle })
  }

  /** Forgets the session, as somebody with a new phone has. */
  forget(jid: string): void {
    this.#met.delete(jid)
    this.#groups.clear()
  }

  encrypt(jid: string, message: proto.IMessage): Promise<BinaryNode> {
    return this.encryptBytes(jid, encodeWAMessage(message))
  }

  async encryptBytes(jid: string, padded: Uint8Array): Promise<BinaryNode> {
    const { type, ciphertext } = await this.#repository.encryptMessage({ jid, data: padded })
    return node('enc', { v: '2', type }, ciphertext)
  }

  /** For a group: the first time with the sender key for `jid` beside it. */
  async encryptForGroup(group: string, jid: string, message: proto.IMessage): Promise<BinaryNode[]> {
    const sealed = await this.#repository.encryptGroupMessage({ group, meId: this.jid, data: encodeWAMessage(message) })
    const body = node('enc', { v: '2', type: 'skmsg' }, sealed.ciphertext)
    if (this.#groups.has(group)) return [body]
    this.#groups.add(group)
    const axolotlSenderKeyDistributionMessage = sealed.senderKeyDistributionMessage
    const key = await this.encrypt(jid, { senderKeyDistributionMessage: { groupId: group, axolotlSenderKeyDistributionMessage } })
    return [key, body]
  }

  async decrypt(jid: string, enc: BinaryNode): Promise<proto.IMessage> {
    const type = enc.attrs['type'] === 'pkmsg' ? 'pkmsg' : 'msg'
    const plain = await this.#repository.decryptMessage({ jid, type, ciphertext: bytesOf(enc) })
    this.#met.add(jid)
    return proto.Message.decode(unpadRandomMax16(plain))
  }

  async decryptInGroup(group: string, author: string, encs: readonly BinaryNode[]): Promise<proto.IMessage | null> {
    let said: proto.IMessage | null = null
    for (const enc of encs) {
      if (enc.attrs['type'] === 'skmsg') {
        const plain = await this.#repository.decryptGroupMessage({ group, authorJid: author, msg: bytesOf(enc) })
        said = proto.Message.decode(unpadRandomMax16(plain))
        continue
      }
      const { senderKeyDistributionMessage: item } = await this.decrypt(author, enc)
      if (item) await this.#repository.processSenderKeyDistributionMessage({ authorJid: author, item })
    }
    return said
  }
}

export const node = (tag: string, attrs: BinaryNode['attrs'], content?: BinaryNode[] | Uint8Array | string): BinaryNode =>
  content === undefined ? { tag, attrs } : { tag, attrs, content }

export function bytesOf(binary: BinaryNode | undefined): Buffer {
  if (binary?.content instanceof Uint8Array) return Buffer.from(binary.content)
  throw new Error(`a node without bytes: ${binary?.tag}`)
}

export const publicKey = (bytes: Uint8Array): Uint8Array => generateSignalPubKey(bytes)

const quiet: Logger = { level: 'silent', child: () => quiet, trace() {}, debug() {}, info() {}, warn() {}, error() {} }

function memoryKeys(): SignalKeyStore {
  const kept = new Map<string, unknown>()
  return {
    get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]): { [id: string]: SignalDataTypeMap[T] } {
      return Object.fromEntries(
        ids.flatMap((id) => (kept.has(`${type} ${id}`) ? [[id, kept.get(`${type} ${id}`) as SignalDataTypeMap[T]]] : [])),
      )
    },
    set(data: SignalDataSet): void {
      for (const [type, entries] of Object.entries(data)) {
        for (const [id, value] of Object.entries(entries)) {
          if (value === null) kept.delete(`${type} ${id}`)
          else kept.set(`${type} ${id}`, value)
        }
      }
    },
  }
}
