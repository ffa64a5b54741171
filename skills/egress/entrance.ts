/**
 * The unix socket of a door: lets in who says the token first, and sends away everybody else before a byte is understood. What a guest
 * asks for is the door's to hear.
 */
import { timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'

export interface EntranceOptions {
  /** 64 characters of ASCII. */
  readonly token: string
  /** Guests at once. */
  readonly connections: number
  /** For the token to be said whole. */
  readonly tokenMs: number
  readonly onGuest: (socket: Socket) => void
  /** Somebody was sent away: the token was wrong, or did not come. */
  readonly onStranger: () => void
  /** A guest too many was sent away. */
  readonly onFull: () => void
}

/** They take no place from guests. */
const MAX_STRANGERS = 64
const TOKEN_BYTES = 64

export class Entrance {
  readonly #options: EntranceOptions
  readonly #server: Server
  /** Who has not said the token yet, in the order of their coming. */
  readonly #strangers = new Set<Socket>()
  readonly #guests = new Set<Socket>()

  constructor(options: EntranceOptions) {
    this.#options = options
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      void this.#meet(socket)
    })
  }

  async listen(path: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen(path, resolve)
    await promise
    this.#server.off('error', reject)
    this.#server.on('error', () => {})
  }

  /** Everybody who is here is sent away. */
  clear(): void {
    for (const socket of [...this.#strangers, ...this.#guests]) socket.destroy()
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.clear()
    await promise
  }

  async #meet(socket: Socket): Promise<void> {
    const { token, connections, tokenMs, onGuest, onFull } = this.#options
    this.#strangers.add(socket)
    // A supervisor says it at once: who has waited longest is none.
    const [oldest] = this.#strangers
    if (this.#strangers.size > MAX_STRANGERS && oldest !== undefined) this.#sendAway(oldest)
    const isIts = await saysToken(socket, token, tokenMs)
    if (isIts === false) this.#sendAway(socket)
    this.#strangers.delete(socket)
    if (isIts !== true || socket.destroyed) return
    if (this.#guests.size >= connections) {
      onFull()
      return void socket.destroy()
    }
    this.#guests.add(socket)
    socket.once('close', () => this.#guests.delete(socket))
    onGuest(socket)
  }

  #sendAway(socket: Socket): void {
    if (this.#strangers.delete(socket)) this.#options.onStranger()
    socket.destroy()
  }
}

/**
 * Whether this is the first that it says, within so many milliseconds. What comes behind it stays to be read. null: the connection was destroyed on
 * this side before.
 */
function saysToken(socket: Socket, token: string, withinMs: number): Promise<boolean | null> {
  return new Promise((resolve) => {
    const settle = (answer: boolean | null): void => {
      clearTimeout(limit)
      socket.off('readable', look)
      socket.off('end', leave)
      socket.off('close', close)
      resolve(answer)
    }
    const look = (): void => {
      const said: unknown = socket.read(TOKEN_BYTES)
      // At the end of what is said, less than was asked for may come.
      if (said instanceof Buffer) settle(said.length === TOKEN_BYTES && timingSafeEqual(said, Buffer.from(token)))
    }
    const leave = (): void => settle(false)
    const close = (): void => settle(null)
    const limit = setTimeout(leave, withinMs)
    socket.on('readable', look)
    socket.once('end', leave)
    socket.once('close', close)
  })
}
