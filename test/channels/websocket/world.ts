/**
 * The outside of the WebSocket channel: one client that connects again when it is cut, resumes each conversation after the last
 * reply it has, and says again what was not acknowledged.
 */
import { isJsonObject } from '#contract'
import type { JsonObject } from '#contract'
import { WebSocket } from 'ws'
import type { Arrived, ChannelWorld, Saying } from '../../contract/channel-world.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import { News } from '../../support/news.ts'
import { LACKS_OF_COLLECTED } from '../collected.ts'

interface Said {
  readonly key: string
  readonly text: string
  readonly conversation: string
  isTaken: boolean
}

export class WebSocketWorld implements ChannelWorld {
  readonly standing: string = 'websocket'
  readonly settings: JsonObject = {}
  readonly strangers: boolean = false
  readonly resend = 'id' as const
  readonly maxText: null = null
  readonly lacks: ChannelWorld['lacks'] = LACKS_OF_COLLECTED
  readonly #news = new News()
  readonly #said: Said[] = []
  readonly #arrived: (Arrived & { readonly seq: number })[] = []
  #gateway: GatewayProcess | null = null
  #socket: WebSocket | null = null
  #isOver = false

  static async open(scope: Scope): Promise<WebSocketWorld> {
    const world = new WebSocketWorld()
    scope.after(async () => {
      world.#isOver = true
      world.#socket?.terminate()
    })
    return world
  }

  get secrets(): readonly string[] {
    return this.#gateway === null ? [] : [this.#gateway.key]
  }

  attach(gateway: GatewayProcess): Promise<void> {
    this.#gateway = gateway
    this.#socket?.terminate()
    return new Promise((resolve) => this.#connect(gateway, resolve))
  }

  async says(text: string, { from = 'ann' }: Saying = {}): Promise<string> {
    const said = { key: `m-${this.#said.length}`, text, conversation: from, isTaken: false }
    this.#said.push(said)
    this.#send(said)
    return said.key
  }

  async redeliver(key: string): Promise<void> {
    const said = this.#said.find((one) => one.key === key)
    if (said !== undefined) this.#send(said)
  }

  unacknowledged(): readonly string[] {
    return this.#said.filter(({ isTaken }) => !isTaken).map(({ key }) => key)
  }

  arrived(): readonly Arrived[] {
    return this.#arrived
  }

  changed(): Promise<void> {
    return this.#news.changed()
  }

  async cut(): Promise<void> {
    this.#socket?.terminate()
  }

  connections(): number {
    return this.#socket?.readyState === WebSocket.OPEN ? 1 : 0
  }

  async garbage(): Promise<void> {
    this.#socket?.send('{"type":"message"')
  }

  refusals(): number {
    return 0
  }
  mishap(): void {}
  async echo(): Promise<void> {}
  async edit(): Promise<void> {}
  async refuseCredentials(): Promise<void> {}

  #send({ key, text, conversation }: Said): void {
    if (this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.send(JSON.stringify({ type: 'message', id: key, conversation, payload: text }))
  }

  #connect(gateway: GatewayProcess, opened: () => void): void {
    const socket = new WebSocket(`ws://${new URL(gateway.url).host}/v1/ws`, ['openclaw.v1'], {
      headers: { authorization: `Bearer ${gateway.key}` },
    })
    this.#socket = socket
    socket.on('error', () => undefined)
    let wasOpen = false
    socket.on('open', () => {
      wasOpen = true
      for (const conversation of ['ann', 'bob'])
        socket.send(JSON.stringify({ type: 'subscribe', conversation, since: this.#last(conversation) }))
      for (const said of this.#said) if (!said.isTaken) this.#send(said)
      this.#news.tell()
      opened()
    })
    socket.on('message', (data: Buffer) => this.#read(JSON.parse(data.toString())))
    socket.on('close', () => {
      // One that never opened found no gateway; the next one attaches itself.
      if (wasOpen && !this.#isOver && this.#gateway === gateway && this.#socket === socket) this.#connect(gateway, opened)
    })
  }

  #last(conversation: string): number {
    return this.#arrived.findLast(({ chat }) => chat === conversation)?.seq ?? 0
  }

  #read(frame: unknown): void {
    if (!isJsonObject(frame)) return
    const { type, id, seq, text, conversation, message_id: message } = frame
    const said = this.#said.find(({ key }) => key === id)
    if (type === 'ack' && said !== undefined) said.isTaken = true
    // What cannot be stored now is said again, by any client that minds when it was asked to.
    if (type === 'error' && said !== undefined) setTimeout(() => this.#send(said), Number(frame['retry_after_ms'] ?? 0))
    if (
      type === 'reply' &&
      typeof seq === 'number' &&
      typeof text === 'string' &&
      typeof conversation === 'string' &&
      typeof message === 'string'
    ) {
      if (this.#last(conversation) < seq)
        this.#arrived.push({ seq, id: `${message}/${seq}`, chat: conversation, text, raw: text, at: Date.now() })
    }
    this.#news.tell()
  }
}
