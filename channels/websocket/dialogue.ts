/**
 * What an authenticated client says and is answered: messages handed in in the order in which they came, each acknowledged when
 * it is durable, and the conversations it listens to.
 */
import { ConflictError, DeniedError, InvalidError, fingerprint, may, namespaceOf } from '#contract'
import type { ChannelHost, Inbound, Permission, Principal } from '#contract'
import { Conversation } from './conversation.ts'
import type { Outlet } from './conversation.ts'
import { errorFrame } from './frame.ts'
import type { ClientFrame, MessageFrame } from './frame.ts'

/** The connection it speaks over. */
export interface Line extends Outlet {
  close(code: number, reason: string): void
  /** Something was answered, so more may be handed in. */
  answered(): void
}

export class Dialogue {
  readonly #host: ChannelHost
  readonly #principal: Principal
  readonly #line: Line
  readonly #namespace: string
  readonly #conversations = new Map<string, Conversation>()
  #inFlight = 0
  #quiet: (() => void) | null = null
  #replays: Promise<void> = Promise.resolve()
  #replaying = 0

  constructor(host: ChannelHost, principal: Principal, line: Line) {
    this.#host = host
    this.#principal = principal
    this.#line = line
    this.#namespace = namespaceOf(principal)
  }

  /** No more may be handed in until something is answered. */
  get isBusy(): boolean {
    return this.#inFlight >= MAX_IN_FLIGHT || this.#replaying >= MAX_REPLAYS
  }

  obey(frame: ClientFrame): void {
    const needed = NEEDS[frame.type]
    if (needed !== null && !may(this.#principal, needed)) {
      const error = new DeniedError(`This needs the scope ${needed}.`, { code: 'INSUFFICIENT_SCOPE', reason: 'forbidden' })
      return this.#line.send(errorFrame(frame.type === 'message' ? frame.id : null, error))
    }
    switch (frame.type) {
      case 'ping':
        return this.#line.send({ type: 'pong' })
      case 'auth':
        return this.#line.send(errorFrame(null, new InvalidError('You have said who you are already.', { code: 'ALREADY_AUTHENTICATED' })))
      case 'subscribe':
        return this.#subscribe(frame.conversation, frame.since)
      case 'message':
        if (this.#join(frame.conversation, frame.id) !== null) void this.#accept(frame)
    }
  }

  /** Resolves when every message that was handed in is answered. */
  async settle(): Promise<void> {
    if (this.#inFlight === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#quiet = resolve
    await promise
  }

  end(): void {
    for (const conversation of this.#conversations.values()) conversation.close()
    this.#conversations.clear()
  }

  #join(name: string, messageId: string | null): Conversation | null {
    const joined = this.#conversations.get(name)
    if (joined !== undefined) return joined
    if (this.#conversations.size >= MAX_CONVERSATIONS) {
      const error = new InvalidError(`At most ${MAX_CONVERSATIONS} conversations fit one connection. Open another.`, {
        code: 'TOO_MANY_CONVERSATIONS',
      })
      this.#line.send(errorFrame(messageId, error))
      return null
    }
    const conversation = new Conversation(name, this.#laneOf(name), this.#host, this.#line)
    this.#conversations.set(name, conversation)
    return conversation
  }

  #subscribe(name: string, since: number | null): void {
    const conversation = this.#join(name, null)
    if (conversation === null) return
    if (since === null) return this.#line.send({ type: 'subscribed', conversation: name, last_seq: conversation.lastSeq })
    const replay = conversation.resume(since)
    // One after the other, and a client that does not read holds up the first: so no more are taken than there may be conversations.
    this.#replaying++
    this.#replays = this.#replays
      .then(replay)
      .catch((error: unknown) => {
        this.#line.send(errorFrame(null, error))
        this.#line.close(1013, 'replies cannot be read now')
      })
      .finally(() => {
        this.#replaying--
        this.#line.answered()
      })
  }

  async #accept(frame: MessageFrame): Promise<void> {
    const { id, conversation } = frame
    this.#inFlight++
    try {
      const accepted = await this.#host.accept(this.#inboundOf(frame))
      if (accepted.status === 'refused') {
        this.#line.send(errorFrame(id, new DeniedError('This is not taken in here.', { code: 'MESSAGE_REFUSED', reason: 'forbidden' })))
      } else if (accepted.status === 'conflict') {
        const error = new ConflictError(`This id was used for other words, as ${accepted.id}. Use a new id.`, {
          code: 'IDEMPOTENCY_KEY_REUSED',
        })
        this.#line.send(errorFrame(id, error))
      } else {
        const duplicate = accepted.status === 'duplicate'
        this.#line.send({ type: 'ack', id, message_id: accepted.envelope.id, conversation, status: 'queued', duplicate })
      }
    } catch (error) {
      this.#line.send(errorFrame(id, error))
    }
    this.#inFlight--
    if (this.#inFlight === 0) this.#quiet?.()
    this.#line.answered()
  }

  #inboundOf({ id, conversation, payload, metadata }: MessageFrame): Inbound {
    const { id: account, tenant } = this.#principal
    return {
      key: `${this.#namespace}:${encodeURIComponent(conversation)}:${id}`,
      fingerprint: fingerprint({ payload, metadata, sender: null, at: null }),
      lane: this.#laneOf(conversation),
      account,
      tenant,
      peer: { kind: 'direct', id: conversation, thread: null },
      sender: metadata.user_id ?? account,
      at: this.#host.clock.now(),
      payload,
      metadata,
      agent: may(this.#principal, 'agent:execute') ? (metadata.agent_id ?? null) : null,
      reply: { chat: conversation },
    }
  }

  #laneOf(conversation: string): string {
    return `${this.#namespace}/${conversation}`
  }
}

/**
 * What each frame needs: there is none without an entry. A conversation belongs to whoever writes in it, so hearing its replies takes no
 * other right; to choose the agent takes `agent:execute`, or the wish counts for nothing.
 */
const NEEDS: { readonly [Type in ClientFrame['type']]: Permission | null } = {
  ping: null,
  auth: null,
  message: 'messages:write',
  subscribe: 'messages:write',
}
const MAX_IN_FLIGHT = 256
const MAX_CONVERSATIONS = 100
const MAX_REPLAYS = MAX_CONVERSATIONS
