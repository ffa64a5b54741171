/**
 * The HTTP side of the stand-in for Slack: events and slash commands posted to a request URL, signed with v0, and posted again
 * with the retry headers until it answers 2xx. Imports nothing of ours.
 */
import { createHmac } from 'node:crypto'
import type { RetryTimes } from './slack-socket.ts'

export interface Posted {
  readonly attempt: number
  /** 0: no answer. */
  readonly status: number
  readonly body: string
}

export interface Signing {
  readonly secret: string
  /** Epoch seconds. */
  readonly timestamp: number
}

/** The header fields that prove the body (v0 of Slack's request signing). */
export function signed(body: string, { secret, timestamp }: Signing): { readonly [name: string]: string } {
  const signature = `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`
  return { 'x-slack-request-timestamp': String(timestamp), 'x-slack-signature': signature }
}

export class FakeEventRequests {
  readonly posted: Posted[] = []
  readonly lost: string[] = []
  /** Where they are posted to; null: nowhere. */
  url: string | null = null
  readonly #pending = new Set<object>()
  #last: Promise<void> = Promise.resolve()
  readonly #times: RetryTimes
  readonly #secret: string
  readonly #now: () => number
  readonly #changed: () => void
  readonly #end = new AbortController()

  constructor(options: { readonly times: RetryTimes; readonly secret: string; readonly now: () => number; readonly changed: () => void }) {
    this.#times = options.times
    this.#secret = options.secret
    this.#now = options.now
    this.#changed = options.changed
  }

  /** What was not answered with 2xx yet, oldest first. */
  get pending(): readonly object[] {
    return [...this.#pending]
  }

  /** An event as JSON, with retries, after those before it. Slack itself promises no order. */
  event(payload: object): void {
    this.#pending.add(payload)
    this.#last = this.#last.then(() => this.#deliver(payload, JSON.stringify(payload), 'application/json', this.#times.retryDelaysMs))
  }

  /** A slash command as a form, once: its user is told that it failed. */
  async command(payload: { readonly [name: string]: string }): Promise<void> {
    this.#pending.add(payload)
    await this.#deliver(payload, new URLSearchParams(payload).toString(), 'application/x-www-form-urlencoded', [])
  }

  close(): void {
    this.#end.abort()
  }

  async #deliver(payload: object, body: string, contentType: string, delays: readonly number[]): Promise<void> {
    let reason = ''
    let isTaken = false
    for (let attempt = 0; attempt <= delays.length && !isTaken && !this.#end.signal.aborted; attempt++) {
      if (attempt > 0) await this.#wait(delays[attempt - 1] ?? 0)
      const retry = attempt === 0 ? {} : { 'x-slack-retry-num': String(attempt), 'x-slack-retry-reason': reason }
      const proof = signed(body, { secret: this.#secret, timestamp: Math.floor(this.#now() / 1_000) })
      const answer = await this.#post(body, { 'content-type': contentType, ...proof, ...retry })
      reason = answer.status === 0 ? answer.body : 'http_error'
      this.posted.push({ attempt, status: answer.status, body: answer.body })
      isTaken = answer.status >= 200 && answer.status < 300
      if (!isTaken) this.#changed()
      if (answer.isFinal) break
    }
    this.#pending.delete(payload)
    if (!isTaken) this.lost.push(body)
    this.#changed()
  }

  async #post(body: string, headers: { readonly [name: string]: string }): Promise<Answer> {
    try {
      const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(this.#times.ackMs)])
      const response = await fetch(this.url ?? '', { method: 'POST', body, headers, signal })
      return { status: response.status, body: await response.text(), isFinal: response.headers.get('x-slack-no-retry') === '1' }
    } catch (error) {
      const isLate = error instanceof Error && error.name === 'TimeoutError'
      return { status: 0, body: isLate ? 'http_timeout' : 'connection_failed', isFinal: false }
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#end.signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly isFinal: boolean
}
