/** One WebSocket connection to the gateway, from opening to its end: authenticated by sub-protocol, kept awake, told frame by frame. */
import type { JsonObject } from '#contract'
import { wordsIn } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { Remote } from '../remote.ts'
import { readFrame } from './frame.ts'
import type { ServerFrame } from './frame.ts'

const OPEN_MS = 10_000
const PING_MS = 30_000

export interface SocketEvents {
  frame(frame: ServerFrame, raw: JsonObject): void
}

export class Socket {
  readonly #socket: WebSocket
  /** Resolves when it is over; rejects when another try would end the same. */
  readonly ended: Promise<void>
  #isReady = false

  constructor(remote: Remote, events: SocketEvents, signal: AbortSignal) {
    const { url, token } = remote.place
    const bearer = token === null ? [] : [`base64url.bearer.authorization.openclaw.${Buffer.from(token).toString('base64url')}`]
    this.#socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/ws`, ['openclaw.v1', ...bearer])
    this.ended = this.#run(remote, events, signal)
    // Whoever waits for it sees the reason; meanwhile it is not unhandled.
    this.ended.catch(() => undefined)
  }

  get isReady(): boolean {
    return this.#isReady
  }

  send(frame: JsonObject): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame))
  }

  close(): void {
    this.#socket.close(1000)
  }

  async #run(remote: Remote, events: SocketEvents, signal: AbortSignal): Promise<void> {
    const socket = this.#socket
    const over = Promise.withResolvers<number>()
    let isQuiet = false
    socket.addEventListener('message', (event) => {
      isQuiet = false
      const read = readFrame(event.data)
      if (!read) return
      if (read.frame.type === 'ready') this.#isReady = true
      events.frame(read.frame, read.raw)
    })
    socket.addEventListener('close', ({ code }) => over.resolve(code))
    socket.addEventListener('error', () => over.resolve(1006))
    const abort = (): void => over.resolve(1000)
    signal.addEventListener('abort', abort, { once: true })
    const opening = setTimeout(() => (this.#isReady ? undefined : over.resolve(1006)), OPEN_MS)
    const pinging = setInterval(() => {
      if (isQuiet) return over.resolve(1006)
      isQuiet = true
      this.send({ type: 'ping' })
    }, PING_MS)
    try {
      const code = await over.promise
      if (code === 4401)
        throw new CommandError('The gateway does not accept this key (any more). Set OPENCLAW_TOKEN to a valid one.', EXIT.denied)
      // A refused upgrade looks like a cut line here; the same key over HTTP tells them apart.
      const mayChat = this.#isReady || signal.aborted || mayWrite(await remote.get('/v1/whoami'))
      if (code === 4403 || !mayChat) throw new CommandError('This key may not chat; it needs the scope messages:write.', EXIT.denied)
    } finally {
      this.#isReady = false
      signal.removeEventListener('abort', abort)
      clearTimeout(opening)
      clearInterval(pinging)
      socket.close()
    }
  }
}

const mayWrite = ({ scopes }: JsonObject): boolean => wordsIn(scopes).some((scope) => scope === '*' || scope === 'messages:write')
