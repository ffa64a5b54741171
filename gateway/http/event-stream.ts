/**
 * Writes server-sent events (WHATWG HTML §9.2). A comment every 15 s keeps proxies and dead connections honest; a client that
 * does not read is dropped at 1 MiB instead of filling the memory: it comes back and says what it saw last.
 */
import type { ServerResponse } from 'node:http'
import { textOf } from '#contract'
import type { Clock, EventSink } from '#contract'

const HEARTBEAT_MS = 15_000
const MAX_UNSENT_BYTES = 1_048_576

export class EventStream implements EventSink {
  readonly signal: AbortSignal
  readonly #response: ServerResponse
  readonly #clock: Clock
  readonly #abort = new AbortController()
  #cancelTimer: () => void

  constructor(response: ServerResponse, clock: Clock) {
    this.#response = response
    this.#clock = clock
    this.signal = this.#abort.signal
    this.#cancelTimer = this.#beat()
    response.once('close', () => this.end())
    response.write('retry: 3000\n\n')
  }

  send(event: Parameters<EventSink['send']>[0]): boolean {
    const name = event.event === undefined ? '' : `event: ${event.event}\n`
    const id = event.id === undefined ? '' : `id: ${event.id}\n`
    // JSON has no line breaks outside its escapes, so one data line is enough.
    return this.#write(`${name}${id}data: ${event.isText === true ? textOf(event.data) : JSON.stringify(event.data)}\n\n`)
  }

  /** Nothing is sent after this; whoever feeds the stream is told by the signal. */
  end(): void {
    if (this.signal.aborted) return
    this.#cancelTimer()
    this.#abort.abort()
    this.#response.end()
  }

  #write(text: string): boolean {
    if (this.signal.aborted) return false
    this.#response.write(text)
    if (this.#response.writableLength <= MAX_UNSENT_BYTES) return true
    this.end()
    // Its buffer is full because nobody reads; an orderly end would wait behind it.
    this.#response.destroy()
    return false
  }

  #beat(): () => void {
    return this.#clock.after(HEARTBEAT_MS, () => {
      if (this.#write(':\n\n')) this.#cancelTimer = this.#beat()
    })
  }
}
