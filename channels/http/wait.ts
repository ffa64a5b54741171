/**
 * Waiting for a message to end, for clients that ask for the answer in the same request. The feed says when; the document is
 * read once, at the end, so that a client who waits for each answer costs one read a message.
 */
import type { ChannelHost, FlowEvent, JsonObject, MessageId } from '#contract'

export interface Wait {
  readonly id: MessageId
  readonly tenant: string
  readonly waitMs: number
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal
  /** It may have ended before: look first. */
  readonly maybeOver: boolean
}

export const isOver = (document: JsonObject | null): boolean => document?.['status'] === 'done' || document?.['status'] === 'dead'

export class Waiting {
  readonly #host: ChannelHost
  readonly #ends = new Set<() => void>()

  constructor(host: ChannelHost) {
    this.#host = host
  }

  get count(): number {
    return this.#ends.size
  }

  /** The document when the message has ended, or as it is when the time is up or the gateway stops. */
  async until({ id, tenant, waitMs, signal, maybeOver }: Wait): Promise<JsonObject | null> {
    if (signal.aborted) return null
    if (this.#ends.size >= MAX_WAITING) return this.#host.document(tenant, id)
    const { promise: ended, resolve } = Promise.withResolvers<true>()
    const end = (): void => resolve(true)
    const forget = this.#host.feed.onMessage(id, (event) => {
      if (isEnd(event)) end()
    })
    this.#ends.add(end)
    signal.addEventListener('abort', end, { once: true })
    try {
      let document = maybeOver ? await this.#host.document(tenant, id) : null
      // The feed may lose an event; the second look makes that a delay and not a wait to the end of time.
      for (const ms of [Math.min(waitMs, SECOND_LOOK_MS), waitMs - SECOND_LOOK_MS]) {
        if (ms <= 0 || isOver(document)) break
        const inTime = await this.#orAfter(ended, ms)
        if (signal.aborted) break
        document = await this.#host.document(tenant, id)
        if (inTime) break
      }
      return document
    } finally {
      forget()
      this.#ends.delete(end)
      signal.removeEventListener('abort', end)
    }
  }

  stop(): void {
    for (const end of this.#ends) end()
  }

  /** False: the time was up first. */
  async #orAfter(ended: Promise<true>, ms: number): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<false>()
    const cancel = this.#host.clock.after(ms, () => resolve(false))
    const inTime = await Promise.race([ended, late])
    cancel()
    return inTime
  }
}

/** Beyond it nobody waits, and is told what is known now. */
const MAX_WAITING = 20_000
const SECOND_LOOK_MS = 1_000

const isEnd = (event: FlowEvent): boolean => event.type === 'message' && (event.status === 'done' || event.status === 'dead')
