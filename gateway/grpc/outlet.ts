/**
 * The server's side of one stream: writes in order, counts what the client has not read, and ends once. A client that does not read is dropped at
 * 1 MiB instead of filling the memory; it comes back and says what it saw last. Whoever does not even read that it is over loses the connection.
 */
import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js'
import { UnavailableError } from '#contract'
import type { Clock } from '#contract'
import type { Problem } from '../http/problem.ts'
import { statusOf } from './status.ts'
import type { Wire } from './status.ts'

type Stream = ServerWritableStream<unknown, object> | ServerDuplexStream<unknown, object>

/** What an outlet needs of where it stands. */
export interface OutletParts {
  readonly wire: Wire
  readonly problem: (error: unknown) => Problem
  readonly clock: Clock
  /** Ends the connection, with all streams on it. */
  readonly cut: () => void
}

const FULL_BYTES = 262_144
const MAX_UNREAD_BYTES = 1_048_576
/** How long what was written may stay unread when it is over: it would be kept for as long as the connection stays open. */
const LINGER_MS = 30_000

export class Outlet {
  readonly signal: AbortSignal
  readonly #stream: Stream
  readonly #parts: OutletParts
  readonly #abort = new AbortController()
  #unreadBytes = 0
  #cancelTimer = (): void => undefined

  constructor(stream: Stream, parts: OutletParts) {
    this.#stream = stream
    this.#parts = parts
    this.signal = this.#abort.signal
    // Also at the deadline, and when the last of it was read: the library cancels then.
    stream.on('cancelled', () => {
      this.#cancelTimer()
      this.#abort.abort()
    })
    stream.on('error', () => this.#abort.abort())
  }

  get isOpen(): boolean {
    return !this.signal.aborted
  }

  get isFull(): boolean {
    return this.#unreadBytes > FULL_BYTES
  }

  /** False: it is over. `left` is called when the message has left for the client, or never will. */
  write(message: object, bytes: number, left?: () => void): boolean {
    if (this.signal.aborted) {
      left?.()
      return false
    }
    this.#unreadBytes += bytes
    this.#stream.write(message, () => {
      this.#unreadBytes -= bytes
      left?.()
    })
    if (this.#unreadBytes <= MAX_UNREAD_BYTES) return true
    this.fail(new UnavailableError('The reader is too slow. Come back and say what you saw last.', { code: 'READER_TOO_SLOW' }))
    return false
  }

  end(): void {
    if (this.signal.aborted) return
    this.#abort.abort()
    this.#linger()
    this.#stream.end()
  }

  fail(error: unknown): void {
    if (this.signal.aborted) return
    this.#abort.abort()
    this.#linger()
    this.#stream.emit('error', statusOf(this.#parts.wire, this.#parts.problem(error)))
  }

  #linger(): void {
    if (this.#unreadBytes > 0) this.#cancelTimer = this.#parts.clock.after(LINGER_MS, this.#parts.cut)
  }
}
