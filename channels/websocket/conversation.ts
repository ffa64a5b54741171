/**
 * One conversation that a connection listens to. It brings replies from the store and from the feed into one row without a gap
 * and without a repeat: what the feed tells during a replay is held back, and dropped if the replay brought it already.
 */
import type { ChannelHost, FlowEvent, ReplyView } from '#contract'
import type { ServerFrame } from './frame.ts'

/** The connection it writes to. */
export interface Outlet {
  readonly isOpen: boolean
  /** Much waits to be read by the client. */
  readonly isFull: boolean
  send(frame: ServerFrame): void
  /** Resolves when the frame has left for the client, or never will. */
  sendOut(frame: ServerFrame): Promise<void>
}

export class Conversation {
  readonly #name: string
  readonly #lane: string
  readonly #host: ChannelHost
  readonly #out: Outlet
  readonly #unsubscribe: () => void
  /** Of what was sent. */
  #lastSeq = 0
  /** Counts the replays asked for; a newer one ends those before. */
  #replay = 0
  #isReplaying = false
  #held: FlowEvent[] = []
  #heldChars = 0
  #hasLost = false

  constructor(name: string, lane: string, host: ChannelHost, out: Outlet) {
    this.#name = name
    this.#lane = lane
    this.#host = host
    this.#out = out
    this.#unsubscribe = host.feed.onLane(host.name, lane, (event) => this.#hear(event))
  }

  /** The highest seq that is known here and that the client has; 0: none. */
  get lastSeq(): number {
    return this.#lastSeq
  }

  close(): void {
    this.#unsubscribe()
    this.#replay++
    this.#held = []
  }

  /**
   * From now on the feed is held back; the returned function reads the store and lets it go. In two steps, so that replays
   * can wait for each other. Rejects if the store cannot be read; the row has a gap then. A `since` that the store does not know (it is
   * another store) keeps nothing back.
   */
  resume(since: number): () => Promise<void> {
    const replay = ++this.#replay
    this.#isReplaying = true
    this.#lastSeq = Math.max(0, since - 1)
    this.#drop()
    return async () => {
      do {
        this.#hasLost = false
        await this.#readAll(replay, since)
      } while (this.#hasLost)
      if (this.#replay !== replay) return
      this.#isReplaying = false
      if (this.#lastSeq < since) this.#lastSeq = 0
      this.#out.send({ type: 'subscribed', conversation: this.#name, last_seq: this.#lastSeq })
      const held = this.#held
      this.#drop()
      for (const event of held) this.#tell(event)
    }
  }

  async #readAll(replay: number, since: number): Promise<void> {
    for (;;) {
      if (this.#replay !== replay) return
      const page = await this.#host.replies(this.#lane, this.#lastSeq, PAGE)
      if (page.length === 0) return
      for (const reply of page) {
        if (this.#replay !== replay || !this.#out.isOpen) return
        this.#lastSeq = reply.seq
        this.#forgetDeltas(reply)
        if (reply.seq === since) continue
        const left = this.#out.sendOut(this.#frameOf(reply))
        if (this.#out.isFull) await left
      }
    }
  }

  /** What came of a reply while it was made is void once the whole of it was brought. */
  #forgetDeltas({ messageId }: ReplyView): void {
    if (this.#held.length === 0) return
    this.#held = this.#held.filter((event) => event.type !== 'delta' || event.messageId !== messageId)
  }

  #frameOf({ seq, messageId, index, of, text }: Pick<ReplyView, 'seq' | 'messageId' | 'index' | 'of' | 'text'>): ServerFrame {
    return { type: 'reply', seq, message_id: messageId, conversation: this.#name, index, of, text }
  }

  #hear(event: FlowEvent): void {
    if (!this.#isReplaying) return this.#tell(event)
    this.#heldChars += 'text' in event ? (event.text?.length ?? 0) : 0
    if (this.#held.length >= MAX_HELD || this.#heldChars > MAX_HELD_CHARS) {
      // What the feed told was stored before, so another look into the store makes up for it.
      this.#drop()
      this.#hasLost = true
      return
    }
    this.#held.push(event)
  }

  #tell(event: FlowEvent): void {
    const conversation = this.#name
    switch (event.type) {
      case 'message':
        return this.#out.send({ type: 'status', message_id: event.messageId, conversation, status: event.status, reason: event.reason })
      case 'delta':
        return this.#out.send({ type: 'delta', message_id: event.messageId, conversation, text: event.text })
      case 'reply':
        if (event.replySeq <= this.#lastSeq) return
        this.#lastSeq = event.replySeq
        return this.#out.send(this.#frameOf({ ...event, seq: event.replySeq }))
      case 'skill':
        return this.#out.send({
          type: 'skill.progress',
          message_id: event.messageId,
          conversation,
          skill: event.skill,
          call: event.call,
          progress: event.progress,
        })
      case 'event':
    }
  }

  #drop(): void {
    this.#held = []
    this.#heldChars = 0
  }
}

const PAGE = 50
const MAX_HELD = 1_000
const MAX_HELD_CHARS = 262_144
