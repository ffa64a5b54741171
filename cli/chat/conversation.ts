/**
 * One conversation over however many connections it takes. What was said and not acknowledged is said again with the same id, replies that were
 * missed are asked for by their number: nothing is lost and nothing told twice. What is shown, and how, is the screen's.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { JsonObject } from '#contract'
import { documentIn, rowsIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { Remote } from '../remote.ts'
import type { Reply, ServerFrame } from './frame.ts'
import { Socket } from './socket.ts'

/** A message that is not answered yet. */
export interface Sent {
  readonly id: string
  readonly text: string
  messageId: string | null
  /** Answered when this reply is there; null: not known yet. */
  lastReplySeq: number | null
}

export interface Screen {
  /** Of one of our messages, or of somebody else's in the same conversation. */
  reply(reply: Reply, isOurs: boolean): void
  delta(messageId: string, text: string | null): void
  status(sent: Sent, status: string, reason: string): void
  /** It will not be answered. */
  refused(sent: Sent, reason: string): void
  /** Nothing is open. */
  idle(): void
  connection(state: 'lost' | 'back'): void
  raw(frame: JsonObject): void
}

const LOST_MS = 60_000
const MAX_PAUSE_MS = 5_000
/** After `done`, the reply is mostly on its way already. */
const GRACE_MS = 250

export class Conversation {
  #remote: Remote
  /** Where the gateway is now; a new start may have given it another port. */
  readonly #find: () => Promise<Remote>
  readonly #name: string
  readonly #screen: Screen
  readonly #signal: AbortSignal
  /** Told at each message that needs no more waiting. */
  readonly #settled: () => void
  readonly #open = new Map<string, Sent>()
  /** Highest reply that was shown; 0: none yet. */
  #lastSeq = 0
  #socket: Socket | null = null
  /** While a connection catches up: what must be acknowledged before, and the replies that came meanwhile. */
  #resuming: { readonly unacked: Set<string>; readonly replies: Reply[]; hasAsked: boolean } | null = null
  #hasStarted = false
  hasFailed = false

  constructor(options: {
    readonly remote: Remote
    readonly find: () => Promise<Remote>
    readonly name: string
    readonly screen: Screen
    readonly signal: AbortSignal
    readonly settled?: () => void
  }) {
    this.#remote = options.remote
    this.#find = options.find
    this.#name = options.name
    this.#screen = options.screen
    this.#signal = options.signal
    this.#settled = options.settled ?? (() => undefined)
  }

  get openCount(): number {
    return this.#open.size
  }

  say(text: string): void {
    const sent: Sent = { id: randomUUID(), text, messageId: null, lastReplySeq: null }
    this.#open.set(sent.id, sent)
    if (this.#socket?.isReady) this.#send(sent)
  }

  /** Holds a connection until the signal aborts; rejects when none can be had. */
  async run(): Promise<void> {
    let lostAt = Date.now()
    for (let attempt = 0; !this.#signal.aborted; attempt++) {
      const socket = new Socket(this.#remote, { frame: (frame, raw) => this.#obey(frame, raw) }, this.#signal)
      this.#socket = socket
      let wasReady = false
      try {
        await socket.ended
        wasReady = this.#hasStarted && this.#resuming === null
      } catch (error) {
        if (!(error instanceof CommandError) || error.exit !== EXIT.unreachable || !this.#hasStarted) throw error
      }
      if (this.#signal.aborted) return
      if (!this.#hasStarted)
        throw new CommandError(`The gateway at ${this.#remote.place.url} does not speak openclaw.v1 at /v1/ws.`, EXIT.failed)
      if (wasReady) {
        lostAt = Date.now()
        attempt = 0
        this.#screen.connection('lost')
      }
      if (Date.now() - lostAt > LOST_MS) throw new CommandError('The gateway did not come back within a minute.', EXIT.unreachable)
      const pause = Math.min(MAX_PAUSE_MS, 200 * 2 ** attempt) * (0.5 + Math.random() / 2)
      await wait(pause, undefined, { signal: this.#signal }).catch(() => undefined)
      this.#remote = await this.#find().catch(() => this.#remote)
    }
  }

  #obey(frame: ServerFrame, raw: JsonObject): void {
    switch (frame.type) {
      case 'ready':
        return this.#resume()
      case 'pong':
        return
      case 'ack':
        this.#screen.raw(raw)
        return this.#acknowledged(frame.id, frame.messageId, frame.isDuplicate)
      case 'subscribed':
        return this.#resumed()
      case 'error':
        this.#screen.raw(raw)
        return this.#refused(frame)
      case 'status': {
        this.#screen.raw(raw)
        const sent = this.#sentAs(frame.messageId)
        return sent && this.#changed(sent, frame.status, frame.reason)
      }
      case 'delta':
        this.#screen.raw(raw)
        return this.#screen.delta(frame.messageId, frame.text)
      case 'reply':
        if (this.#resuming) this.#resuming.replies.push(frame)
        else this.#replied(frame)
    }
  }

  /**
   * Says what the gateway may not have. After a cut the replies come later: only the acknowledgements tell which of them are
   * ours, and what is told live in between has higher numbers than what was missed.
   */
  #resume(): void {
    const unacked = [...this.#open.values()].filter((sent) => sent.messageId === null)
    this.#resuming = this.#hasStarted ? { unacked: new Set(unacked.map((sent) => sent.id)), replies: [], hasAsked: false } : null
    if (!this.#hasStarted) this.#socket?.send({ type: 'subscribe', conversation: this.#name })
    this.#hasStarted = true
    for (const sent of unacked) this.#send(sent)
    this.#askForReplies()
  }

  #askForReplies(): void {
    const resuming = this.#resuming
    if (!resuming || resuming.hasAsked || resuming.unacked.size > 0) return
    resuming.hasAsked = true
    this.#socket?.send({ type: 'subscribe', conversation: this.#name, since: this.#lastSeq })
  }

  #resumed(): void {
    if (!this.#resuming) return
    const replies = this.#resuming.replies.toSorted((a, b) => a.seq - b.seq)
    // Until a reply was shown nobody knows which are old, and only those to our messages are surely new.
    const isKnown = this.#lastSeq > 0
    this.#resuming = null
    this.#screen.connection('back')
    for (const reply of replies) if (isKnown || this.#sentAs(reply.messageId)) this.#replied(reply)
    for (const sent of this.#open.values()) if (sent.messageId !== null) void this.#check(sent)
  }

  #send(sent: Sent): void {
    this.#socket?.send({ type: 'message', id: sent.id, conversation: this.#name, payload: sent.text })
  }

  #acknowledged(id: string, messageId: string, isDuplicate: boolean): void {
    const sent = this.#open.get(id)
    if (sent) sent.messageId = messageId
    if (sent && isDuplicate && !this.#resuming) void this.#check(sent)
    this.#resuming?.unacked.delete(id)
    this.#askForReplies()
  }

  #refused(frame: ServerFrame & { type: 'error' }): void {
    const sent = this.#open.get(frame.id)
    this.#resuming?.unacked.delete(frame.id)
    if (sent && frame.retryAfterMs !== null) {
      this.#later(frame.retryAfterMs, () => this.#send(sent))
    } else if (sent) {
      this.hasFailed = true
      this.#screen.refused(sent, `${frame.code}: ${frame.detail}`)
      this.#settle(sent)
    }
    this.#askForReplies()
  }

  #changed(sent: Sent, status: string, reason: string): void {
    if (status === 'dead') return this.#died(sent, reason)
    this.#screen.status(sent, status, reason)
    // Done without a reply of its own, or before it; the message itself knows.
    if (status === 'done') this.#later(GRACE_MS, () => void this.#check(sent))
  }

  #died(sent: Sent, reason: string): void {
    if (!this.#open.has(sent.id)) return
    this.hasFailed = true
    this.#screen.refused(sent, reason === '' ? 'given up' : reason)
    this.#settle(sent)
  }

  #replied(reply: Reply): void {
    if (reply.seq <= this.#lastSeq) return
    this.#lastSeq = reply.seq
    const sent = this.#sentAs(reply.messageId)
    this.#screen.raw({
      type: 'reply',
      seq: reply.seq,
      message_id: reply.messageId,
      conversation: this.#name,
      index: reply.index,
      of: reply.of,
      text: reply.text,
    })
    this.#screen.reply(reply, sent !== undefined)
    if (sent && reply.index >= reply.of - 1) this.#settle(sent)
    for (const other of this.#open.values()) if (other.lastReplySeq !== null && other.lastReplySeq <= this.#lastSeq) this.#settle(other)
  }

  /** Asks what became of a message about which no frame may come any more. */
  async #check(sent: Sent): Promise<void> {
    if (!this.#open.has(sent.id) || sent.messageId === null) return
    const message: JsonObject | null = await this.#remote.get(`/v1/messages/${sent.messageId}`).catch((error: unknown) => {
      // A key that may write and not read: then `done` has to do.
      return error instanceof CommandError && error.exit === EXIT.denied ? { status: 'done' } : null
    })
    if (!message || !this.#open.has(sent.id)) return
    const reason = documentIn(message['reason'])
    if (message['status'] === 'dead') return this.#died(sent, `${text(reason['code'])}: ${text(reason['message'])}`)
    if (message['status'] !== 'done') return
    sent.lastReplySeq = Math.max(0, ...rowsIn(message['replies']).map((reply) => Number(reply['seq'])))
    if (sent.lastReplySeq <= this.#lastSeq) this.#settle(sent)
  }

  #settle(sent: Sent): void {
    if (!this.#open.delete(sent.id)) return
    if (this.#open.size === 0) this.#screen.idle()
    this.#settled()
  }

  #later(ms: number, run: () => void): void {
    void wait(ms, undefined, { signal: this.#signal }).then(run, () => undefined)
  }

  #sentAs(messageId: string): Sent | undefined {
    for (const sent of this.#open.values()) if (sent.messageId === messageId) return sent
    return undefined
  }
}
