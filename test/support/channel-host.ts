/**
 * A hub in memory for tests of channels: accepts with dedupe, keeps replies, tells what happens. A test can hold an accept,
 * make it fail, keep a reply from the feed, and move the clock.
 */
import { DEFAULT_TENANT, newDeliveryId, newMessageId, asSessionKey } from '#contract'
import type {
  Accepted,
  ChannelHost,
  ChannelState,
  DeliveryNews,
  Envelope,
  FlowEvent,
  FlowFeed,
  GuardedRequest,
  Inbound,
  JsonObject,
  Log,
  Media,
  MessageId,
  MessageStatus,
  Metrics,
  ReplyView,
  StateChanges,
} from '#contract'
import { GuardedClient } from '../../gateway/guarded/client.ts'
import { mediaFetch } from '../../gateway/guarded/fetch.ts'
import { FakeClock } from './fake-clock.ts'
import { quietLog } from './quiet-log.ts'
import { realClock } from './real-clock.ts'

export class MemoryHost implements ChannelHost {
  readonly name: string
  readonly log: Log = quietLog
  readonly clock: FakeClock = new FakeClock()
  readonly feed: MemoryFeed = new MemoryFeed()
  readonly gauges: Map<string, () => number> = new Map()
  readonly metrics: Metrics = {
    counter: () => ({ inc: () => {} }),
    histogram: () => ({ observe: () => {} }),
    gauge: ({ name }) => ({
      set: (value) => this.gauges.set(name, () => value),
      collect: (read) =>
        this.gauges.set(name, () => {
          let value = 0
          void read((measured) => (value = measured))
          return value
        }),
    }),
  }
  /** In the order in which they were handed in. */
  readonly handed: Inbound[] = []
  readonly states: ChannelState[] = []
  readonly news: { readonly platformId: string; readonly news: DeliveryNews }[] = []
  /** The channel's durable values. */
  readonly values: Map<string, Uint8Array> = new Map()
  readonly documents: Map<MessageId, JsonObject> = new Map()
  readonly cancelled: MessageId[] = []
  reads = 0
  pages = 0
  failure: Error | null = null
  /** What an unrouted message gets: dead before `accept` resolves. */
  routes = true
  #gate: Promise<void> | null = null
  #release: (() => void) | null = null
  #seq = 0
  readonly #byKey = new Map<string, { fingerprint: string | null; envelope: Envelope }>()
  readonly #lanes = new Map<MessageId, string>()
  readonly #replies = new Map<string, ReplyView[]>()
  readonly #waiters = new Set<() => void>()

  constructor(name = 'web') {
    this.name = name
  }

  async accept(message: Inbound, state: StateChanges = {}): Promise<Accepted> {
    this.handed.push(message)
    for (const look of this.#waiters) look()
    await this.#gate
    await new Promise((resolve) => setImmediate(resolve))
    if (this.failure !== null) throw this.failure
    await this.writeState(state)
    const seen = message.key === null ? undefined : this.#byKey.get(message.key)
    if (seen !== undefined) {
      if (seen.fingerprint !== message.fingerprint) return { status: 'conflict', id: seen.envelope.id }
      return { status: 'duplicate', envelope: seen.envelope }
    }
    const { sender: sender_id, at: timestamp, payload, metadata, lane } = message
    const id = newMessageId(this.clock.now())
    const session = this.routes ? asSessionKey(`agent:main:${this.name}:${lane}`) : null
    const envelope: Envelope = { version: 1, id, channel: this.name, sender_id, timestamp, payload, metadata, session }
    if (message.key !== null) this.#byKey.set(message.key, { fingerprint: message.fingerprint, envelope })
    this.#lanes.set(id, lane)
    this.#setStatus(id, this.routes ? 'queued' : 'dead')
    return { status: 'new', envelope }
  }

  /** All or nothing, like the real one. */
  async acceptAll(messages: readonly Inbound[], state: StateChanges = {}): Promise<readonly Accepted[]> {
    const accepted = await Promise.all(messages.map((message) => this.accept(message)))
    await this.writeState(state)
    return accepted
  }

  update(platformId: string, news: DeliveryNews): Promise<void> {
    this.news.push({ platformId, news })
    return Promise.resolve()
  }

  /** Waits for the test to move the clock by a second. */
  backoff(_attempt: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.after(1_000, resolve)
      signal.addEventListener('abort', () => {
        cancel()
        reject(new Error('aborted'))
      })
    })
  }

  fetch(request: GuardedRequest): Promise<Media> {
    return mediaFetch(new GuardedClient({ clock: realClock }))(request)
  }

  hold(): void {
    this.#gate = new Promise((resolve) => (this.#release = resolve))
  }

  release(): void {
    this.#gate = null
    this.#release?.()
  }

  /** Resolves when so many messages were handed in. */
  async handedIn(count: number): Promise<void> {
    while (this.handed.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiters.add(resolve)
      await promise
      this.#waiters.delete(resolve)
    }
  }

  /** The message's turn ends with one reply. */
  finish(id: MessageId, text: string): ReplyView {
    const lane = this.#laneOf(id)
    const reply = this.store(lane, text, id)
    const replies = [{ id: reply.id, seq: reply.seq, text, index: 0, of: 1, status: 'sent' }]
    this.documents.set(id, { ...this.documents.get(id), replies })
    this.announce(lane, reply)
    this.#setStatus(id, 'done')
    return reply
  }

  /** A reply that the feed says nothing about until `announce`. */
  store(lane: string, text: string, messageId: MessageId = newMessageId(0)): ReplyView {
    const seq = ++this.#seq
    const id = newDeliveryId(seq)
    const reply: ReplyView = { id, seq, messageId, text, index: 0, of: 1, status: 'sent', attempts: 1, error: null, createdAt: seq }
    this.#replies.set(lane, [...(this.#replies.get(lane) ?? []), reply])
    return reply
  }

  announce(lane: string, { id, seq: replySeq, messageId, index, of, text }: ReplyView): void {
    this.feed.emit({ ...this.#base(messageId, lane), type: 'reply', id, replySeq, index, of, text })
  }

  say(id: MessageId, text: string | null): void {
    this.feed.emit({ ...this.#base(id, this.#laneOf(id)), type: 'delta', text })
  }

  async replies(lane: string, afterSeq: number, limit: number): Promise<readonly ReplyView[]> {
    this.pages++
    const page = (this.#replies.get(lane) ?? []).filter((reply) => reply.seq > afterSeq).slice(0, limit)
    await new Promise((resolve) => setImmediate(resolve))
    return page
  }

  readonly schemas: ChannelHost['schemas'] = { fault: async () => null, check: async () => [] }

  async cancel(_tenant: string, id: MessageId): Promise<void> {
    this.cancelled.push(id)
  }

  abilities(): null {
    return null
  }

  document(_tenant: string, id: MessageId): Promise<JsonObject | null> {
    this.reads++
    return Promise.resolve(this.documents.get(id) ?? null)
  }

  readState(key: string): Promise<Uint8Array | null> {
    return Promise.resolve(this.values.get(key) ?? null)
  }

  writeState(changes: StateChanges): Promise<void> {
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) this.values.delete(key)
      else this.values.set(key, value)
    }
    return Promise.resolve()
  }

  status(state: ChannelState): void {
    this.states.push(state)
  }

  #setStatus(id: MessageId, status: MessageStatus): void {
    this.documents.set(id, { replies: [], ...this.documents.get(id), message_id: id, status, reason: null })
    this.feed.emit({ ...this.#base(id, this.#laneOf(id)), type: 'message', status, reason: null })
  }

  #laneOf(id: MessageId): string {
    return this.#lanes.get(id) ?? ''
  }

  #base(
    messageId: MessageId,
    lane: string,
  ): { tenant: string; messageId: MessageId; channel: string; lane: string; session: null; agent: null } {
    return { tenant: DEFAULT_TENANT, messageId, channel: this.name, lane, session: null, agent: null }
  }
}

type Listener = (event: FlowEvent) => void

export class MemoryFeed implements FlowFeed {
  readonly #byMessage = new Map<string, Set<Listener>>()
  readonly #byLane = new Map<string, Set<Listener>>()

  /** How many listen. */
  get listeners(): number {
    return [...this.#byMessage.values(), ...this.#byLane.values()].reduce((sum, set) => sum + set.size, 0)
  }

  emit(event: FlowEvent): void {
    if (event.type === 'event') return
    for (const listen of this.#byMessage.get(event.messageId) ?? []) listen(event)
    for (const listen of this.#byLane.get(`${event.channel} ${event.lane}`) ?? []) listen(event)
  }

  onMessage(id: MessageId, listen: Listener): () => void {
    return listenIn(this.#byMessage, id, listen)
  }

  onLane(channel: string, lane: string, listen: Listener): () => void {
    return listenIn(this.#byLane, `${channel} ${lane}`, listen)
  }

  onTenant(): () => void {
    return () => {}
  }

  since(): { gap: boolean; events: [] } {
    return { gap: false, events: [] }
  }
}

function listenIn(map: Map<string, Set<Listener>>, key: string, listen: Listener): () => void {
  const set = map.get(key) ?? new Set()
  map.set(key, set.add(listen))
  return () => {
    set.delete(listen)
    if (set.size === 0) map.delete(key)
  }
}
