/**
 * The updates of one bot as the Bot API keeps them: in order, until a higher offset or a webhook's 2xx confirms them. One long
 * poll at a time, a newer one ends the older; a webhook gets one update of a chat at a time, other chats beside it, and again
 * after a delay what it did not take. Knows nothing of ours.
 */
export interface Update {
  readonly update_id: number
  readonly [kind: string]: unknown
}

export interface Webhook {
  readonly url: string
  readonly secret: string | null
}

export type PollEnd =
  | { readonly is: 'updates'; readonly updates: readonly Update[] }
  | { readonly is: 'conflict' }
  | { readonly is: 'gone' }

/** Without allowed_updates all kinds come but these. */
const NOT_BY_DEFAULT = new Set(['chat_member', 'message_reaction', 'message_reaction_count'])
const MAX_WEBHOOK_DELAY_MS = 60_000

export class UpdateQueue {
  readonly #pending: { readonly update: Update; readonly chat: number }[] = []
  readonly #onChange: () => void
  /** What a webhook was offered. */
  readonly offered: { readonly update: Update; readonly status: number }[] = []
  webhook: Webhook | null = null
  lastWebhookError: string | null = null
  /** The first delay before a webhook is offered the same again. */
  webhookDelayMs = 1_000
  #allowed: readonly string[] | null = null
  #nextId = 731_000
  #poll: { end(end: PollEnd): void } | null = null
  #wake: (() => void) | null = null
  readonly #busyChats = new Set<number>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #stop = new AbortController()

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  get pending(): readonly Update[] {
    return this.#pending.map(({ update }) => update)
  }

  get isPolled(): boolean {
    return this.#poll !== null
  }

  /** After a quiet week the numbering begins anew anywhere. */
  renumber(from: number): void {
    this.#nextId = from
  }

  allow(kinds: readonly string[] | undefined): void {
    if (kinds !== undefined) this.#allowed = kinds.length === 0 ? null : kinds
  }

  add(kind: string, chat: number, content: unknown): Update | null {
    if (this.#allowed === null ? NOT_BY_DEFAULT.has(kind) : !this.#allowed.includes(kind)) return null
    const update = { update_id: this.#nextId++, [kind]: content }
    this.#pending.push({ update, chat })
    this.#wake?.()
    this.push()
    this.#onChange()
    return update
  }

  drop(): void {
    this.#pending.length = 0
  }

  async poll(request: { offset: number; limit: number; timeoutMs: number; gone: AbortSignal }): Promise<PollEnd> {
    this.#poll?.end({ is: 'conflict' })
    const { promise, resolve } = Promise.withResolvers<PollEnd>()
    const poll = { end: resolve }
    this.#poll = poll
    const { offset, limit, timeoutMs, gone } = request
    const last = this.#pending.at(-1)?.update.update_id ?? this.#nextId - 1
    // An offset beyond all that there is counts as none.
    if (offset > 0 && offset <= last + 10) this.#forget(({ update }) => update.update_id < offset)
    if (offset < 0) this.#pending.splice(0, Math.max(0, this.#pending.length + offset))
    const look = (): boolean => {
      if (this.#pending.length === 0) return false
      resolve({ is: 'updates', updates: this.pending.slice(0, limit) })
      return true
    }
    gone.addEventListener('abort', () => resolve({ is: 'gone' }), { once: true })
    const timer = setTimeout(() => resolve({ is: 'updates', updates: [] }), timeoutMs)
    if (!look()) this.#wake = look
    this.#onChange()
    const end = await promise
    clearTimeout(timer)
    if (this.#poll === poll) {
      this.#poll = null
      this.#wake = null
    }
    this.#onChange()
    return end
  }

  /** The time of the poll that waits is over. */
  expire(): void {
    this.#poll?.end({ is: 'updates', updates: [] })
  }

  /** Ends a poll that waits, as setting a webhook does. */
  endPoll(): void {
    this.#poll?.end({ is: 'conflict' })
  }

  /** Offers the webhook the first update of each chat that is not being offered one. */
  push(): void {
    if (this.webhook === null || this.#stop.signal.aborted) return
    for (const { update, chat } of this.#pending) {
      if (this.#busyChats.has(chat)) continue
      this.#busyChats.add(chat)
      void this.#offer(update, chat, this.webhookDelayMs)
    }
  }

  stop(): void {
    this.#stop.abort()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#poll?.end({ is: 'gone' })
  }

  async #offer(update: Update, chat: number, delayMs: number): Promise<void> {
    const { webhook } = this
    if (webhook === null || this.#stop.signal.aborted) {
      this.#busyChats.delete(chat)
      return
    }
    let status = 0
    let retryAfterMs = 0
    try {
      const answer = await fetch(webhook.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(webhook.secret === null ? {} : { 'x-telegram-bot-api-secret-token': webhook.secret }),
        },
        body: JSON.stringify(update),
        signal: this.#stop.signal,
      })
      await answer.arrayBuffer()
      status = answer.status
      retryAfterMs = Number(answer.headers.get('retry-after') ?? 0) * 1_000
    } catch {
      status = 0
    }
    this.offered.push({ update, status })
    if (status >= 200 && status <= 299) {
      this.#busyChats.delete(chat)
      this.#forget((entry) => entry.update === update)
      this.#onChange()
      this.push()
      return
    }
    this.lastWebhookError = status === 0 ? 'Connection refused' : `Wrong response from the webhook: ${status}`
    this.#onChange()
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      void this.#offer(update, chat, Math.min(MAX_WEBHOOK_DELAY_MS, delayMs * 2))
    }, retryAfterMs || delayMs)
    this.#timers.add(timer)
  }

  #forget(isDone: (entry: { readonly update: Update; readonly chat: number }) => boolean): void {
    for (let i = this.#pending.length - 1; i >= 0; i--) {
      const entry = this.#pending[i]
      if (entry !== undefined && isDone(entry)) this.#pending.splice(i, 1)
    }
  }
}
