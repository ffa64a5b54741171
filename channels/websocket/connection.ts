/**
 * One socket: who is at its other end, frames in their order, a bound on both sides. It reads no further than can be handed in, and
 * writes no more than the client reads. What is said is dialogue.ts; when it is pinged or sent away is the channel's to say.
 */
import { may } from '#contract'
import type { ChannelHost, Principal, UpgradeCaller } from '#contract'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { Dialogue } from './dialogue.ts'
import type { Line } from './dialogue.ts'
import { errorFrame, readFrame, tooMuchOf } from './frame.ts'
import type { ClientFrame, ServerFrame } from './frame.ts'

export const PING_MS = 30_000
export const MAX_FRAME_BYTES = 1_048_576
/** Until it has proved who it is. */
const MAX_GUEST_FRAME_BYTES = 65_536

/** What the channel is told. */
export interface Owner {
  readonly host: ChannelHost
  readonly isPaused: boolean
  admitted(connection: Connection): void
}

export class Connection implements Line {
  readonly #socket: WebSocket
  readonly #stream: Duplex
  readonly #caller: UpgradeCaller
  readonly #owner: Owner
  #state: 'greeting' | 'proving' | 'open' | 'closed' = 'greeting'
  #dialogue: Dialogue | null = null
  #principal: Principal | null = null
  #forgetRevocation: (() => void) | null = null
  /** Frames that came before they could be handled: at most what one read of the socket brings. */
  readonly #backlog: Buffer[] = []
  #pingsMissed = 0
  #isCorked = false

  constructor(socket: WebSocket, stream: Duplex, caller: UpgradeCaller, owner: Owner) {
    this.#socket = socket
    this.#stream = stream
    this.#caller = caller
    this.#owner = owner
    socket.on('message', (data: Buffer, isBinary) => this.#hear(data, isBinary))
    socket.on('pong', () => (this.#pingsMissed = 0))
    // The close event follows, with the code of the protocol that was broken.
    socket.on('error', (error) => owner.host.log.debug({ err: error }, 'websocket connection failed'))
    socket.on('close', () => this.#leave())
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get isFull(): boolean {
    return this.#socket.bufferedAmount > FULL_BYTES
  }

  /** Nobody known yet: it has to send an auth frame, and may not say much before. */
  greet(): void {
    const stream = this.#stream
    let bytes = 0
    const count = (chunk: Uint8Array): void => {
      bytes += chunk.length
      if (this.#state !== 'greeting') stream.off('data', count)
      else if (bytes > MAX_GUEST_FRAME_BYTES + FRAME_OVERHEAD_BYTES) {
        this.close(1009, 'say who you are first')
        // What else it sends is thrown away, and not put together.
        stream.removeAllListeners('data').resume().end()
      }
    }
    stream.on('data', count)
  }

  admit(principal: Principal): void {
    if (!may(principal, 'messages:write')) return this.close(4403, 'messages:write is needed')
    this.#state = 'open'
    this.#principal = principal
    this.#dialogue = new Dialogue(this.#owner.host, principal, this)
    this.#forgetRevocation = this.#caller.onRevoked(principal, () => this.close(4401, 'the credential is no longer valid'))
    this.#owner.admitted(this)
    this.send({ type: 'ready', principal: principal.id, ping_ms: PING_MS })
    this.pump()
  }

  send(frame: ServerFrame): void {
    this.#write(frame)
  }

  sendOut(frame: ServerFrame): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#write(frame, () => resolve())
    return promise
  }

  answered(): void {
    this.pump()
  }

  close(code: number, reason: string): void {
    if (this.#state === 'closed') return
    this.#leave()
    this.#socket.close(code, reason)
    // Or the answer to the closing would never be read.
    this.#socket.resume()
  }

  terminate(): void {
    this.#leave()
    this.#socket.terminate()
  }

  ping(): void {
    // What we do not read ourselves cannot be held against it.
    if (this.#socket.isPaused || this.#state === 'closed') return
    if (this.#pingsMissed >= MAX_PINGS_MISSED) return this.terminate()
    this.#pingsMissed++
    this.#socket.ping()
  }

  /** Handles what came and could not be handled, as far as it can be now. */
  pump(): void {
    while (this.#isReady()) {
      const data = this.#backlog.shift()
      if (data === undefined) break
      this.#handle(data)
    }
    if (this.#state === 'closed') return
    if (this.#isReady()) {
      if (this.#socket.isPaused) this.#socket.resume()
    } else this.#socket.pause()
  }

  /** Resolves when every message that was handed in is answered. */
  async settle(): Promise<void> {
    await this.#dialogue?.settle()
  }

  #write(frame: ServerFrame, done?: () => void): void {
    if (this.#state !== 'closed' && this.#socket.bufferedAmount <= MAX_UNREAD_BYTES) {
      if (!this.#isCorked) this.#cork()
      return this.#socket.send(JSON.stringify(frame), done)
    }
    this.close(1013, 'the reader is too slow')
    done?.()
  }

  /** What is said in one go, as the acknowledgements of one commit are, leaves in one write. */
  #cork(): void {
    this.#isCorked = true
    this.#stream.cork()
    process.nextTick(() => {
      this.#isCorked = false
      this.#stream.uncork()
    })
  }

  #hear(data: Buffer, isBinary: boolean): void {
    this.#pingsMissed = 0
    if (this.#state === 'closed') return
    if (isBinary) return this.close(4400, 'frames are JSON text')
    if (this.#state === 'greeting' && data.length > MAX_GUEST_FRAME_BYTES) return this.close(1009, 'say who you are first')
    this.#backlog.push(data)
    this.pump()
  }

  #isReady(): boolean {
    return (this.#state === 'open' && this.#dialogue?.isBusy === false && !this.#owner.isPaused) || this.#state === 'greeting'
  }

  #handle(data: Buffer): void {
    const read = readFrame(data.toString())
    if (read.is === 'garbage') return this.close(4400, 'not a JSON object')
    if (this.#state === 'greeting') {
      if (read.is === 'frame' && read.frame.type === 'auth') void this.#prove(read.frame.token)
      else this.close(4401, 'the first frame must be auth')
    } else if (read.is === 'faulty') this.send(errorFrame(read.id, read.error))
    else if (!this.#isTooMuch(read.frame)) this.#dialogue?.obey(read.frame)
  }

  #isTooMuch(frame: ClientFrame): boolean {
    const principal = this.#principal
    const error = tooMuchOf(frame, () => (principal === null ? null : this.#caller.waitOf(principal)))
    if (error !== null) this.send(error)
    return error !== null
  }

  async #prove(token: string): Promise<void> {
    this.#state = 'proving'
    try {
      const principal = await this.#caller.authenticate(token)
      if (this.#state !== 'proving') return
      if (principal === null) this.close(4401, 'the token is not known')
      else this.admit(principal)
    } catch (error) {
      this.#owner.host.log.warn({ err: error instanceof Error ? error : undefined }, 'authentication failed')
      this.close(1011, 'cannot tell who you are now')
    }
  }

  #leave(): void {
    this.#state = 'closed'
    this.#forgetRevocation?.()
    this.#forgetRevocation = null
    this.#dialogue?.end()
    this.#backlog.length = 0
  }
}

const FRAME_OVERHEAD_BYTES = 1_024
const MAX_PINGS_MISSED = 2
/** More than that unread, and a replay waits; more than the second, and the client is too slow. */
const FULL_BYTES = 262_144
const MAX_UNREAD_BYTES = 1_048_576
