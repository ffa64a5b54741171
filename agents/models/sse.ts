/**
 * Server-sent events (WHATWG HTML §9.2.6), parsed as the bytes come. Only whole lines are decoded, so that a character
 * split over two chunks stays whole. Lines end with LF or CRLF; a lone CR, which no provider sends, does not end one.
 */
import { ModelFault } from './fault.ts'

const LF = 10
const MAX_EVENT_BYTES = 8 * 1024 * 1024

export class EventStream {
  readonly #onEvent: (data: string, type: string) => void
  readonly #maxEventBytes: number
  /** Bytes of a line that is not at its end yet. */
  #rest: Buffer[] = []
  #restBytes = 0
  #data: string | null = null
  #dataLength = 0
  #type = ''
  #first = true

  constructor(onEvent: (data: string, type: string) => void, maxEventBytes: number = MAX_EVENT_BYTES) {
    this.#onEvent = onEvent
    this.#maxEventBytes = maxEventBytes
  }

  push(chunk: Buffer): void {
    const end = chunk.lastIndexOf(LF)
    if (end === -1) {
      this.#keep(chunk)
      return
    }
    let text: string
    if (this.#restBytes === 0) text = chunk.toString('utf8', 0, end + 1)
    else {
      this.#keep(chunk.subarray(0, end + 1))
      text = Buffer.concat(this.#rest, this.#restBytes).toString('utf8')
      this.#rest = []
      this.#restBytes = 0
    }
    if (end + 1 < chunk.length) this.#keep(chunk.subarray(end + 1))
    this.#lines(text)
  }

  /** The stream is over: what stands without its last empty line counts too, as several servers leave it out. */
  end(): void {
    if (this.#restBytes > 0) {
      const text = Buffer.concat(this.#rest, this.#restBytes).toString('utf8')
      this.#rest = []
      this.#restBytes = 0
      this.#lines(`${text}\n`)
    }
    this.#dispatch()
  }

  #keep(bytes: Buffer): void {
    this.#restBytes += bytes.length
    this.#bound(this.#restBytes)
    this.#rest.push(bytes)
  }

  #lines(text: string): void {
    let from = 0
    if (this.#first) {
      this.#first = false
      if (text.charCodeAt(0) === 0xfeff) from = 1
    }
    for (let end = text.indexOf('\n', from); end !== -1; from = end + 1, end = text.indexOf('\n', from)) {
      const stop = end > from && text.charCodeAt(end - 1) === 13 ? end - 1 : end
      if (stop === from) this.#dispatch()
      else this.#field(text, from, stop)
    }
  }

  #field(text: string, from: number, stop: number): void {
    if (text.startsWith('data:', from)) {
      const value = text.slice(text.charCodeAt(from + 5) === 32 ? from + 6 : from + 5, stop)
      this.#dataLength += value.length + 1
      this.#bound(this.#dataLength)
      this.#data = this.#data === null ? value : `${this.#data}\n${value}`
    } else if (text.startsWith('event:', from)) {
      this.#type = text.slice(text.charCodeAt(from + 6) === 32 ? from + 7 : from + 6, stop)
    }
  }

  #dispatch(): void {
    const data = this.#data
    const type = this.#type
    this.#data = null
    this.#dataLength = 0
    this.#type = ''
    if (data !== null) this.#onEvent(data, type)
  }

  #bound(size: number): void {
    if (size > this.#maxEventBytes) throw new ModelFault('transient', 'sent an event beyond all bounds')
  }
}
