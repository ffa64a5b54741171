/** Clients of a channel on HTTP that post until they are told that it was taken in, and fetch what was answered; how they post is the channel's. */
import type { JsonObject } from '#contract'
import { setTimeout as delay } from 'node:timers/promises'
import type { Arrived, ChannelWorld, Saying } from '../contract/channel-world.ts'
import { News } from '../support/news.ts'
import type { GatewayProcess, Scope } from '../support/gateway-process.ts'
import { readEvents } from '../gateway/http/events.ts'
import { LACKS_OF_COLLECTED } from './collected.ts'

/** A client that was refused, or not answered, tries again after this, and at once when there is another gateway. */
const RETRY_MS = 100

export interface Said {
  readonly key: string
  readonly text: string
  readonly user: string
  isTaken: boolean
}

export abstract class ClientWorld implements ChannelWorld {
  abstract readonly settings: JsonObject
  abstract readonly secrets: readonly string[]
  readonly strangers: boolean = false
  readonly resend = 'id' as const
  readonly maxText: null = null
  readonly lacks: ChannelWorld['lacks'] = { ...LACKS_OF_COLLECTED, cut: 'a request is a connection of its own' }
  readonly #news = new News()
  readonly #attached = new News()
  readonly #said: Said[] = []
  readonly #arrived = new Map<string, Arrived>()
  readonly #stop = new AbortController()
  #gateway: GatewayProcess | null = null
  #lane: Promise<void> = Promise.resolve()

  constructor(scope: Scope) {
    scope.after(async () => this.#stop.abort())
  }

  /** One try; resolves with the status of the answer. */
  protected abstract post(gateway: GatewayProcess, said: Said): Promise<number>
  protected abstract postGarbage(gateway: GatewayProcess): Promise<void>

  protected get gateway(): GatewayProcess | null {
    return this.#gateway
  }

  async attach(gateway: GatewayProcess): Promise<void> {
    this.#gateway = gateway
    this.#attached.tell()
    void this.#collect(gateway)
  }

  async says(text: string, { from = 'ann' }: Saying = {}): Promise<string> {
    const said = { key: `key-${this.#said.length}`, text, user: from, isTaken: false }
    this.#said.push(said)
    // A client that minds the order waits for each to be taken.
    this.#lane = this.#lane.then(() => this.#post(said))
    return said.key
  }

  async redeliver(key: string): Promise<void> {
    const said = this.#said.find((one) => one.key === key)
    if (said !== undefined) await this.#post(said)
  }

  unacknowledged(): readonly string[] {
    return this.#said.filter(({ isTaken }) => !isTaken).map(({ key }) => key)
  }

  arrived(): readonly Arrived[] {
    return [...this.#arrived.values()]
  }

  changed(): Promise<void> {
    return this.#news.changed()
  }

  async garbage(): Promise<void> {
    if (this.#gateway !== null) await this.postGarbage(this.#gateway)
  }

  connections(): number {
    return 0
  }
  refusals(): number {
    return 0
  }
  mishap(): void {}
  async cut(): Promise<void> {}
  async echo(): Promise<void> {}
  async edit(): Promise<void> {}
  async refuseCredentials(): Promise<void> {}

  async #post(said: Said): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const attached = this.#attached.changed()
      const status = this.#gateway === null ? 0 : await this.post(this.#gateway, said).catch(() => 0)
      if (status >= 200 && status < 300) {
        said.isTaken = true
        this.#news.tell()
        return
      }
      await Promise.race([attached, delay(RETRY_MS, undefined, { signal }).catch(() => {})])
    }
  }

  /** What became of its messages a client fetches when it comes, and then whenever it is told of a reply. */
  async #collect(gateway: GatewayProcess): Promise<void> {
    try {
      const events = await gateway.fetch('/v1/events/stream', { signal: this.#stop.signal })
      await this.#fetchReplies(gateway)
      for await (const { event } of readEvents(events)) if (event === 'reply') await this.#fetchReplies(gateway)
    } catch {
      // Killed; the next one attaches itself.
    }
  }

  async #fetchReplies(gateway: GatewayProcess): Promise<void> {
    const answer = await gateway.fetch('/v1/messages?limit=200')
    const { data } = (await answer.json()) as {
      data: readonly {
        sender_id: string
        replies: readonly { id: string; text: string; seq: number }[]
        metadata: { user_id?: string }
      }[]
    }
    const replies = data.flatMap(({ replies: all, metadata }) => (all ?? []).map((reply) => ({ ...reply, chat: metadata.user_id ?? '' })))
    for (const { id, text, chat } of replies.toSorted((a, b) => a.seq - b.seq)) {
      if (!this.#arrived.has(id)) this.#arrived.set(id, { id, chat, text, raw: text, at: Date.now() })
    }
    this.#news.tell()
  }
}
