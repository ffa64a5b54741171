/**
 * WhatsApp's server for linked devices, over loopback, as far as a client can tell: encrypted connection, linking by QR and by code,
 * login, messages both ways, receipts, the backlog, groups, and what goes wrong. One account with one linked device.
 * A client trusts it only when it takes `root.public` for WhatsApp's root key.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Curve, decodeBinaryNode, encodeBinaryNode, jidDecode, proto } from 'baileys'
import type { BinaryNode, KeyPair } from 'baileys'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { NoiseResponder, certificateChain } from './whatsapp-noise.ts'
import type { Forgery } from './whatsapp-noise.ts'
import { Person, bytesOf, node } from './whatsapp-person.ts'
import { Phone, childOf, childrenOf, codeHello } from './whatsapp-phone.ts'
import type { CodeHello } from './whatsapp-phone.ts'
import { PreKeys, answer } from './whatsapp-query.ts'
import type { Directory, Group } from './whatsapp-query.ts'

export interface FakeOptions {
  readonly number?: string
  readonly people?: readonly Person[]
  /** What the client is to take for WhatsApp's root. */
  readonly root?: KeyPair
  readonly forgery?: Forgery
  /** Epoch milliseconds. */
  readonly now?: () => number
}

/** What becomes of the next message that the client sends. */
export interface Verdict {
  /** The acknowledgement says that it was refused. */
  readonly error?: string
  /** Nobody gets it. Default: they do, unless there is an error. */
  readonly isLost?: boolean
  readonly isAcked?: boolean
  /** The connection is cut instead of an acknowledgement. */
  readonly isCut?: boolean
}

export interface Delivered {
  readonly id: string
  readonly chat: string
  readonly to: string
  readonly text: string | null
  readonly message: proto.IMessage
  /** Epoch milliseconds. */
  readonly at: number
}

export type Note =
  | { readonly is: 'login' | 'registering' | 'paired' | 'gone' | 'uploaded' | 'said' | 'refused' }
  | { readonly is: 'receipt'; readonly type: string | undefined; readonly ids: readonly string[] }
  | { readonly is: 'ack'; readonly id: string; readonly error: string | undefined }
  | { readonly is: 'sent'; readonly id: string }
  | { readonly is: 'presence'; readonly to: string | undefined; readonly state: string | undefined }
  | { readonly is: 'fault'; readonly message: string }

export interface Saying {
  readonly id?: string
  /** In this group. */
  readonly group?: string
  /** In place of text. */
  readonly message?: proto.IMessage
  /** Epoch seconds. */
  readonly at?: number
  /** By which of their names they are known; alone: without the other. */
  readonly as?: 'number' | 'lid' | 'number alone' | 'lid alone'
}

interface Connection {
  readonly socket: WebSocket
  readonly noise: NoiseResponder
  readonly ephemeral: KeyPair
  stage: 'hello' | 'finish' | 'open'
}

const SERVER = 's.whatsapp.net'
const DEVICE = 7
const LIMIT_MS = 10_000

export class FakeWhatsApp implements Directory {
  readonly device: number = DEVICE
  readonly number: string
  /** The client's name for itself. */
  readonly jid: string
  readonly lid: string
  readonly root: KeyPair
  readonly phone: Phone = new Phone()
  readonly owner: Person
  readonly groups: Map<string, Group> = new Map()
  readonly preKeys: PreKeys = new PreKeys()
  /** What no receipt came for. */
  readonly pending: Map<string, BinaryNode> = new Map()
  readonly notes: Note[] = []
  readonly delivered: Delivered[] = []
  readonly verdicts: Verdict[] = []
  forgery: Forgery
  /** Every login is answered by this, in place of `success`: 403, 405, 503 … */
  failure: string | null = null
  readonly #people: readonly Person[]
  readonly #now: () => number
  readonly #static = Curve.generateKeyPair()
  readonly #said = new Map<string, { readonly person: Person; readonly text: string; readonly saying: Saying }>()
  readonly #askedAgain = new Set<string>()
  readonly #looks = new Set<() => void>()
  #server: WebSocketServer | null = null
  #port = 0
  #client: Connection | null = null
  #registering: Connection | null = null
  #hello: CodeHello | null = null

  constructor(options: FakeOptions = {}) {
    this.number = options.number ?? '15550001111'
    this.owner = new Person(this.number, 'Owner', `${this.number}9`)
    this.jid = `${this.number}:${DEVICE}@${SERVER}`
    this.lid = `${this.number}9:${DEVICE}@lid`
    this.#people = options.people ?? []
    this.#now = options.now ?? Date.now
    this.root = options.root ?? Curve.generateKeyPair()
    this.forgery = options.forgery ?? 'none'
  }

  /** Connections that are open now. */
  get live(): number {
    return this.#server?.clients.size ?? 0
  }

  get isOnline(): boolean {
    return this.#client !== null
  }

  /** The same port again after a `close`. */
  async listen(): Promise<string> {
    this.#server = new WebSocketServer({ host: '127.0.0.1', port: this.#port, path: '/ws/chat' })
    this.#server.on('connection', (socket) => this.#connected(socket))
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
    return `ws://127.0.0.1:${this.#port}/ws/chat`
  }

  async close(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    for (const socket of server.clients) socket.terminate()
    await new Promise((resolve) => server.close(resolve))
    this.#client = null
  }

  /** Resolves when it holds; looked at whenever something happens. */
  async until(what: string, holds: () => boolean, withinMs: number = LIMIT_MS): Promise<void> {
    if (holds()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = (): void => (holds() ? resolve() : undefined)
    const seen = (): string => JSON.stringify(this.notes.slice(-12))
    const bound = setTimeout(() => reject(new Error(`not within ${withinMs} ms: ${what}; at last: ${seen()}`)), withinMs)
    this.#looks.add(look)
    try {
      await promise
    } finally {
      clearTimeout(bound)
      this.#looks.delete(look)
    }
  }

  /** Resolves when anything happens. */
  change(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        this.#looks.delete(look)
        resolve()
      }
      this.#looks.add(look)
    })
  }

  count(is: Note['is']): number {
    return this.notes.filter((note) => note.is === is).length
  }

  personOf(jid: string): Person | undefined {
    const user = jidDecode(jid)?.user
    return [...this.#people, this.owner].find((person) => [person.jid, person.lid].some((name) => jidDecode(name)?.user === user))
  }

  isClient(jid: string): boolean {
    return this.personOf(jid) === this.owner
  }

  /** The phone scans the code that the client shows. */
  scan(qr: string, forged = false): void {
    this.#pair(this.phone.scan(qr, forged))
  }

  /** Somebody types the code that the client shows into the phone. */
  async typeCode(code: string): Promise<void> {
    await this.until('a client that wants to be linked by a code', () => this.#hello !== null)
    if (this.#hello === null || this.#registering === null) throw new Error('nobody is waiting for a code')
    const stanza = await this.phone.type(code, this.#hello)
    this.#send(this.#registering, node('notification', { from: SERVER, type: 'link_code_companion_reg', id: tag() }, [stanza]))
  }

  /** WhatsApp wants a passkey before it links. */
  askPasskey(): void {
    const target = this.#registering
    if (target !== null) this.#send(target, node('notification', { from: SERVER, type: 'passkey_prologue_request', id: tag() }, []))
  }

  /** Somebody writes to the linked account; kept until the client receipts it. Returns the message's id. */
  async say(person: Person, text: string, saying: Saying = {}): Promise<string> {
    const id = saying.id ?? newId()
    const stanza = await this.#sealed(id, person, text, saying)
    this.#said.set(id, { person, text, saying })
    this.pending.set(id, stanza)
    this.#deliver(stanza)
    return id
  }

  /** The owner writes to somebody on the phone; linked devices are told. */
  async sayAsOwner(to: Person, text: string): Promise<string> {
    const id = newId()
    await this.#introduce(this.owner)
    const message = { deviceSentMessage: { destinationJid: to.jid, message: { conversation: text } } }
    const attrs = { from: this.owner.jid, recipient: to.jid, recipient_lid: to.lid, id, t: this.#seconds(), type: 'text', notify: 'Owner' }
    const stanza = node('message', attrs, [await this.owner.encrypt(this.jid, message)])
    this.pending.set(id, stanza)
    this.#deliver(stanza)
    return id
  }

  /** Something that is encrypted as it should be, and is no message. */
  async sayBytes(person: Person, bytes: Uint8Array): Promise<string> {
    const id = newId()
    await this.#introduce(person)
    const attrs = { from: person.jid, sender_lid: person.lid, id, t: this.#seconds(), type: 'text', notify: person.name }
    // One byte of padding, which says its own length.
    const stanza = node('message', attrs, [await person.encryptBytes(this.jid, Buffer.concat([bytes, Buffer.from([1])]))])
    this.pending.set(id, stanza)
    this.#deliver(stanza)
    return id
  }

  /** Somebody's device, or somebody, has seen what the client sent. */
  receipt(person: Person, id: string, type?: 'read'): void {
    this.#deliver(node('receipt', { from: person.jid, id, t: this.#seconds(), ...(type === undefined ? {} : { type }) }))
  }

  /** Ends the stream as WhatsApp does: 401 device removed, 440 replaced, 503 … */
  kick(code: 401 | 403 | 440 | 503 | 515): void {
    if (this.#client === null) return
    const why = code === 401 ? [node('conflict', { type: 'device_removed' })] : code === 440 ? [node('conflict', { type: 'replaced' })] : []
    this.#send(this.#client, node('stream:error', { code: String(code) }, why))
    this.#client.socket.close()
  }

  /** The network is gone. */
  cut(): void {
    for (const socket of this.#server?.clients ?? []) socket.terminate()
  }

  #note(note: Note): void {
    this.notes.push(note)
    for (const look of this.#looks) look()
  }

  #connected(socket: WebSocket): void {
    const connection: Connection = { socket, noise: new NoiseResponder(), ephemeral: Curve.generateKeyPair(), stage: 'hello' }
    let work = Promise.resolve()
    socket.on('error', () => {})
    socket.on('message', (data: Buffer) => {
      work = work
        .then(() => this.#frames(connection, data))
        .catch((error: unknown) => {
          this.#note({ is: 'fault', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
          socket.terminate()
        })
    })
    socket.on('close', () => {
      if (this.#client === connection) this.#client = null
      if (this.#registering === connection) this.#registering = null
      this.#note({ is: 'gone' })
    })
  }

  async #frames(connection: Connection, data: Buffer): Promise<void> {
    for (const frame of connection.noise.frames(data)) await this.#frame(connection, frame)
  }

  async #frame(connection: Connection, frame: Buffer): Promise<void> {
    if (connection.stage === 'hello') return this.#greet(connection, frame)
    if (connection.stage === 'finish') return this.#admit(connection, frame)
    await this.#stanza(connection, await decodeBinaryNode(connection.noise.decrypt(frame)))
  }

  #greet(connection: Connection, frame: Buffer): void {
    const { noise, ephemeral } = connection
    const theirs = Buffer.from(proto.HandshakeMessage.decode(frame).clientHello?.ephemeral ?? [])
    noise.mix(theirs)
    noise.mix(ephemeral.public)
    noise.mixKey(Curve.sharedKey(ephemeral.private, theirs))
    const sealed = noise.encrypt(this.#static.public)
    noise.mixKey(Curve.sharedKey(this.#static.private, theirs))
    const payload = noise.encrypt(certificateChain(this.root, this.#static.public, this.forgery))
    const hello = proto.HandshakeMessage.encode({ serverHello: { ephemeral: ephemeral.public, static: sealed, payload } }).finish()
    connection.socket.send(noise.frame(hello))
    connection.stage = 'finish'
  }

  #admit(connection: Connection, frame: Buffer): void {
    const { noise, ephemeral } = connection
    const { clientFinish } = proto.HandshakeMessage.decode(frame)
    noise.mixKey(Curve.sharedKey(ephemeral.private, noise.decrypt(Buffer.from(clientFinish?.static ?? []))))
    const payload = proto.ClientPayload.decode(noise.decrypt(Buffer.from(clientFinish?.payload ?? [])))
    noise.split()
    connection.stage = 'open'
    if (this.failure !== null) {
      this.#send(connection, node('failure', { reason: this.failure }))
      this.#note({ is: 'refused' })
      connection.socket.close()
    } else if (payload.devicePairingData) this.#register(connection)
    else this.#login(connection)
  }

  #register(connection: Connection): void {
    this.#registering = connection
    this.#hello = null
    const refs = [1, 2, 3].map((n) => node('ref', {}, Buffer.from(`ref-${n}-${randomBytes(4).toString('hex')}`)))
    this.#send(connection, node('iq', { from: SERVER, type: 'set', id: tag(), xmlns: 'md' }, [node('pair-device', {}, refs)]))
    this.#note({ is: 'registering' })
  }

  /** Whoever was connected before is put out, as WhatsApp does. */
  #login(connection: Connection): void {
    this.kick(440)
    this.#client = connection
    this.#send(connection, node('success', { t: this.#seconds(), lid: this.lid }))
    const backlog = [...this.pending.values()]
    const count = String(backlog.length)
    this.#send(connection, node('ib', { from: SERVER }, [node('offline_preview', { count, message: count })]))
    for (const stanza of backlog) this.#send(connection, { ...stanza, attrs: { ...stanza.attrs, offline: '1' } })
    this.#send(connection, node('ib', { from: SERVER }, [node('offline', { count })]))
    this.#note({ is: 'login' })
  }

  #pair(identity: BinaryNode): void {
    if (this.#registering === null) throw new Error('no client waits to be linked')
    this.preKeys.clear()
    const device = node('device', { jid: this.jid, lid: this.lid })
    const success = node('pair-success', {}, [identity, device, node('platform', { name: 'android' })])
    this.#send(this.#registering, node('iq', { from: SERVER, type: 'set', id: tag(), xmlns: 'md' }, [success]))
  }

  async #stanza(connection: Connection, stanza: BinaryNode): Promise<void> {
    const { tag: kind, attrs } = stanza
    switch (kind) {
      case 'iq':
        return this.#query(connection, stanza)
      case 'message':
        return this.#outgoing(connection, stanza)
      case 'receipt': {
        const ids = [attrs['id'] ?? '', ...childrenOf(childOf(stanza, 'list'), 'item').map((item) => item.attrs['id'] ?? '')]
        for (const id of ids) {
          if (attrs['type'] === 'retry') this.#askedAgain.add(id)
          else this.pending.delete(id)
        }
        this.#send(connection, node('ack', { class: 'receipt', id: attrs['id'] ?? '', from: attrs['to'] ?? '' }))
        return this.#note({ is: 'receipt', type: attrs['type'], ids })
      }
      case 'ack': {
        const id = attrs['id'] ?? ''
        if (attrs['class'] !== 'message') return
        this.pending.delete(id)
        this.#note({ is: 'ack', id, error: attrs['error'] })
        return this.#sayAgain(id)
      }
      case 'presence':
      case 'chatstate':
        return this.#note({ is: 'presence', to: attrs['to'], state: childrenOf(stanza)[0]?.tag ?? attrs['type'] })
      default:
    }
  }

  async #query(connection: Connection, query: BinaryNode): Promise<void> {
    if (query.attrs['type'] === 'result') {
      if (childOf(query, 'pair-device-sign') === undefined) return
      this.#note({ is: 'paired' })
      this.#send(connection, node('stream:error', { code: '515' }))
      return connection.socket.close()
    }
    const reg = childOf(query, 'link_code_companion_reg')
    const content = await answer(query, this)
    this.#send(connection, node('iq', { from: SERVER, type: 'result', id: query.attrs['id'] ?? '' }, content))
    if (childOf(query, 'skey') !== undefined) this.#note({ is: 'uploaded' })
    if (reg?.attrs['stage'] === 'companion_hello') {
      this.#hello = codeHello(reg)
      this.#note({ is: 'registering' })
    } else if (reg?.attrs['stage'] === 'companion_finish') {
      this.#pair(
        this.phone.finish(
          bytesOf(childOf(reg, 'companion_identity_public')),
          bytesOf(childOf(reg, 'link_code_pairing_wrapped_key_bundle')),
        ),
      )
    }
  }

  async #outgoing(connection: Connection, stanza: BinaryNode): Promise<void> {
    const [id, chat] = [stanza.attrs['id'] ?? '', stanza.attrs['to'] ?? '']
    const isPeer = stanza.attrs['category'] === 'peer'
    const verdict: Verdict = isPeer ? { isLost: true } : (this.verdicts.shift() ?? {})
    if (verdict.isLost !== true && verdict.error === undefined) await this.#receive(id, chat, stanza)
    if (verdict.isCut === true) connection.socket.terminate()
    else if (verdict.isAcked !== false) {
      const error = verdict.error === undefined ? {} : { error: verdict.error }
      this.#send(connection, node('ack', { class: 'message', id, from: chat, t: this.#seconds(), ...error }))
    }
    if (!isPeer) this.#note({ is: 'sent', id })
  }

  /** Everybody it is for decrypts it. */
  async #receive(id: string, chat: string, stanza: BinaryNode): Promise<void> {
    const fanout = new Map(
      childrenOf(childOf(stanza, 'participants'), 'to').map((to) => [this.personOf(to.attrs['jid'] ?? ''), childOf(to, 'enc')]),
    )
    const group = this.groups.get(chat)
    const readers = group === undefined ? [...fanout.keys()] : group.members
    for (const person of readers) {
      const enc = fanout.get(person)
      if (person === undefined || (group !== undefined && person === this.owner)) continue
      const encs = [...(enc === undefined ? [] : [enc]), ...childrenOf(stanza, 'enc')]
      const message = group === undefined ? enc && (await person.decrypt(this.jid, enc)) : await person.decryptInGroup(chat, this.jid, encs)
      if (!message || person === this.owner) continue
      this.delivered.push({
        id,
        chat,
        to: person.jid,
        text: message.conversation ?? message.extendedTextMessage?.text ?? null,
        message,
        at: this.#now(),
      })
    }
  }

  async #introduce(person: Person): Promise<void> {
    if (!person.knows(this.jid)) await person.meet(this.jid, this.preKeys.take())
  }

  async #sealed(id: string, person: Person, text: string, { group, message, at, as }: Saying): Promise<BinaryNode> {
    await this.#introduce(person)
    const said = message ?? { conversation: text }
    const isLid = as === 'lid' || as === 'lid alone'
    const [name, other] = isLid ? [person.lid, person.jid] : [person.jid, person.lid]
    const suffix = isLid ? 'pn' : 'lid'
    const also =
      as === 'lid alone' || as === 'number alone' ? {} : { [`${group === undefined ? 'sender' : 'participant'}_${suffix}`]: other }
    const from = group === undefined ? { from: name } : { from: group, participant: name, addressing_mode: isLid ? 'lid' : 'pn' }
    const attrs = { ...from, ...also, id, t: at === undefined ? this.#seconds() : String(at), type: 'text', notify: person.name }
    const content = group === undefined ? [await person.encrypt(this.jid, said)] : await person.encryptForGroup(group, this.jid, said)
    return node('message', attrs, content)
  }

  /** A client that could not read a message asked for it again, and its sender's phone does so. */
  async #sayAgain(id: string): Promise<void> {
    const said = this.#said.get(id)
    if (!this.#askedAgain.delete(id) || said === undefined) return
    said.person.forget(this.jid)
    await this.say(said.person, said.text, { ...said.saying, id })
  }

  #seconds(): string {
    return String(Math.floor(this.#now() / 1_000))
  }

  #deliver(stanza: BinaryNode): void {
    if (this.#client !== null) this.#send(this.#client, stanza)
  }

  #send({ socket, noise }: Connection, stanza: BinaryNode): void {
    if (socket.readyState === socket.OPEN) socket.send(noise.frame(noise.encrypt(encodeBinaryNode(stanza))))
  }
}

const newId = (): string => `3A${randomBytes(9).toString('hex').toUpperCase()}`
const tag = (): string => randomBytes(4).toString('hex')
