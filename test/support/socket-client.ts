/** A WebSocket client for tests: frames come in a row and can be waited for; everything that came is remembered. */
import { once } from 'node:events'
import type { JsonObject } from '#contract'
import { WebSocket } from 'ws'
import type { ClientOptions } from 'ws'

export class SocketClient {
  readonly socket: WebSocket
  readonly frames: JsonObject[] = []
  /** The code with which it ended. */
  readonly closed: Promise<number>
  readonly #opened: Promise<unknown>
  readonly #waiting = new Set<() => void>()
  #read = 0

  constructor(origin: string, protocols: readonly string[] = ['openclaw.v1'], options: ClientOptions = {}) {
    this.socket = new WebSocket(`ws://${origin}/v1/ws`, [...protocols], options)
    this.#opened = once(this.socket, 'open')
    // Looked at by those who care; a cut is no failure of the test.
    this.#opened.catch(() => {})
    this.socket.on('error', () => {})
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)))
    this.socket.on('message', (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString()) as JsonObject)
      for (const look of this.#waiting) look()
    })
  }

  /** Signed in by header, with `ready` read. */
  static async open(origin: string, token = 'secret'): Promise<SocketClient> {
    const client = new SocketClient(origin, ['openclaw.v1'], { headers: { authorization: `Bearer ${token}` } })
    await client.next('ready')
    return client
  }

  async opened(): Promise<void> {
    await this.#opened
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** The next frame, or the next of that type; what lies before is skipped. Rejects after five seconds. */
  async next(type?: string): Promise<JsonObject> {
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>()
    const look = (): void => {
      while (this.#read < this.frames.length) {
        const frame = this.frames[this.#read++]
        if (frame === undefined || (type !== undefined && frame['type'] !== type)) continue
        this.#waiting.delete(look)
        return resolve(frame)
      }
    }
    const late = setTimeout(
      () => reject(new Error(`no frame ${type ?? ''} came; the last was ${JSON.stringify(this.frames.at(-1))}`)),
      5_000,
    )
    this.#waiting.add(look)
    look()
    try {
      return await promise
    } finally {
      clearTimeout(late)
      this.#waiting.delete(look)
    }
  }

  of(type: string): readonly JsonObject[] {
    return this.frames.filter((frame) => frame['type'] === type)
  }

  async close(): Promise<void> {
    this.socket.close()
    await this.closed
  }
}
