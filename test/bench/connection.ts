/**
 * One HTTP/1.1 keep-alive connection over a bare socket: one request at a time, prebuilt bytes out, just enough of the
 * answer parsed (status, Content-Length) to know where it ends. Lean, so that what is measured is the server.
 */
import { connect, type Socket } from 'node:net'

export type Answer = (status: number, message: Buffer) => void

const NOTHING = Buffer.alloc(0)

export class Connection {
  readonly #address: { readonly host: string; readonly port: number }
  readonly #onLost: (error: Error) => void
  #socket: Socket
  #rest: Buffer = NOTHING
  #answer: Answer | null = null
  #isClosed = false

  /** `onLost` is called when the server goes away in the middle of an answer; an idle connection is made anew. */
  constructor(url: string, onLost: (error: Error) => void) {
    const { hostname, port } = new URL(url)
    this.#address = { host: hostname, port: Number(port) }
    this.#onLost = onLost
    this.#socket = this.#open()
  }

  send(request: string, answer: Answer): void {
    this.#answer = answer
    this.#socket.write(request, 'latin1')
  }

  close(): void {
    this.#isClosed = true
    this.#socket.destroy()
  }

  #open(): Socket {
    const socket = connect({ ...this.#address, noDelay: true })
    let lost: Error | null = null
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => (lost = error))
    socket.on('close', () => {
      if (this.#isClosed) return
      if (this.#answer !== null || lost !== null) this.#onLost(lost ?? new Error('the server closed the connection before it answered'))
      else this.#socket = this.#open()
    })
    return socket
  }

  #read(chunk: Buffer): void {
    const message = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const headEnd = message.indexOf('\r\n\r\n')
    if (headEnd === -1) {
      this.#rest = message
      return
    }
    const head = message.toString('latin1', 0, headEnd)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (length === undefined) {
      this.#onLost(new Error(`an answer without Content-Length:\n${head}`))
      return
    }
    if (message.length < headEnd + 4 + Number(length)) {
      this.#rest = message
      return
    }
    this.#rest = NOTHING
    const answer = this.#answer
    this.#answer = null
    answer?.(Number(head.slice(9, 12)), message)
  }
}
