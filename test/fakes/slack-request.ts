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
  /** Those not answered with 2xx yet. */
  pending = 0
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

  /** An event as JSON, with retries. */
  async event(url: string, payload: object): Promise<void> {
    await this.#deliver(url, JSON.stringify(payload), 'application/json', this.#times.retryDelaysMs)
  }

  /** A slash command as a form, once: its user is told that it failed. */
  async command(url: string, payload: { readonly [name: string]: string }): Promise<void> {
    await this.#deliver(url, new URLSearchParams(payload).toString(), 'application/x-www-form-urlencoded', [])
  }

  close(): void {
    this.#end.abort()
  }

  async #deliver(url: string, body: string, contentType: string, delays: readonly number[]): Promise<void> {
    this.pending++
    let reason = ''
    for (let attempt = 0; attempt <= delays.length && !this.#end.signal.aborted; attempt++) {
      if (attempt > 0) await this.#wait(delays[attempt - 1] ?? 0)
      const retry = attempt === 0 ? {} : { 'x-slack-retry-num': String(attempt), 'x-slack-retry-reason': reason }
      const proof = signed(body, { secret: this.#secret, timestamp: Math.floor(this.#now() / 1_000) })
      const answer = await this.#post(url, body, { 'content-type': contentType, ...proof, ...retry })
      reason = answer.status === 0 ? answer.body : 'http_error'
      this.posted.push({ attempt, status: answer.status, body: answer.body })
      const isTaken = answer.status >= 200 && answer.status < 300
      if (isTaken) this.pending--
      this.#changed()
      if (isTaken) return
      if (answer.isFinal) break
    }
    this.pending--
    this.lost.push(body)
    this.#changed()
  }

  async #post(url: string, body: string, headers: { readonly [name: string]: string }): Promise<Answer> {
    try {
      const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(this.#times.ackMs)])
      const response = await fetch(url, { method: 'POST', body, headers, signal })
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
