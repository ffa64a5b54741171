/**
 * Sends what webhooks are to be told. The rows are the queue; this holds a bounded part of it in mind, lane by lane, and writes down how each
 * attempt ended, many in one transaction. What was sent when the process died, and is not written down, is sent again with the same id.
 */
import { randomBytes } from 'node:crypto'
import { OpenClawError, OutboundFault, describeError, newDeadLetterId } from '#contract'
import type {
  Clock,
  Counter,
  DueDelivery,
  Histogram,
  Log,
  Metrics,
  Outbound,
  OutboundAnswer,
  Settlement,
  Span,
  Tracer,
  WebhookNotice,
  WebhookRecord,
  WebhookStore,
} from '#contract'
import { Alarm } from './alarm.ts'
import { keptHeaders, keptResponse } from './kept-attempt.ts'
import { Lanes } from './lanes.ts'
import type { Turn } from './lanes.ts'
import type { SecretBox } from './secret-box.ts'
import { signedRequest } from './sign.ts'
import type { SignedRequest } from './sign.ts'
import { again, verdictOf, verdictOfFault } from './verdict.ts'
import type { Verdict } from './verdict.ts'

export interface EngineParts {
  readonly store: WebhookStore
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly outbound: Outbound
  readonly tracer: Tracer
  readonly random: () => number
  readonly userAgent: string
}

/** Held in mind of one lane. */
const LANE_ROOM = 100
const MOST_SETTLED_AT_ONCE = 256
const CONNECT_MS = 5_000
const TOTAL_MS = 15_000
const MAX_RESPONSE_BYTES = 16 * 1_024
/** After the store refused. */
const PAUSE_MS = 1_000

export class WebhookEngine {
  readonly #parts: EngineParts
  readonly #lanes = new Lanes()
  /** Numbers of the deliveries that wait here, are on their way, or whose end is not written down yet. */
  readonly #held = new Set<number>()
  readonly #results: Settlement[] = []
  readonly #abort = new AbortController()
  readonly #deliveries: Counter
  readonly #latency: Histogram
  /** For what is due later, and for what only the rate of its webhook holds back. */
  readonly #due: Alarm
  readonly #pace: Alarm
  #box: SecretBox | null = null
  #pass: Promise<void> | null = null
  #isAsked = false
  /** More is due than is held. */
  #isMore = false
  #flush: Promise<void> | null = null
  #unwatch: () => void = () => undefined
  #onIdle: () => void = () => undefined
  #phase: 'new' | 'open' | 'stopping' = 'new'

  constructor(parts: EngineParts) {
    this.#parts = parts
    this.#due = new Alarm(parts.clock, () => this.#wake())
    this.#pace = new Alarm(parts.clock, () => this.#begin())
    this.#deliveries = parts.metrics.counter({
      name: 'openclaw_webhook_deliveries_total',
      help: 'Attempts to deliver an event, by what came of it',
      labels: ['result'],
    })
    for (const result of Object.values(RESULTS)) this.#deliveries.inc([result], 0)
    this.#latency = parts.metrics.histogram({
      name: 'openclaw_webhook_latency_seconds',
      help: 'From the beginning of an attempt to the answer',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
    })
    parts.metrics
      .gauge({ name: 'openclaw_webhook_deliveries_pending', help: 'Deliveries that are not over' })
      .collect(async (set) => set(await parts.store.pending()))
    parts.metrics
      .gauge({ name: 'openclaw_webhooks', help: 'Webhooks, by whether they are told and why not', labels: ['status', 'reason'] })
      .collect(async (set) => {
        const counts = await parts.store.census()
        for (const [status, reason] of STATES) {
          const found = counts.find((each) => each.status === status && (each.disabledReason ?? 'none') === reason)
          set(found?.count ?? 0, [status, reason])
        }
      })
  }

  start(box: SecretBox): void {
    if (this.#phase !== 'new') return
    this.#phase = 'open'
    this.#box = box
    this.#unwatch = this.#parts.store.onEvents(() => this.#wake())
    this.#wake()
  }

  /** Begins nothing new, lets what is on its way end within the bound, and writes down how it ended. */
  async drain(drainMs: number): Promise<void> {
    if (this.#phase !== 'open') return
    this.#phase = 'stopping'
    this.#unwatch()
    this.#due.off()
    this.#pace.off()
    await this.#pass
    if (this.#lanes.running > 0) {
      const idle = Promise.withResolvers<void>()
      this.#onIdle = idle.resolve
      const cancel = drainMs > 0 ? this.#parts.clock.after(drainMs, () => this.#abort.abort()) : this.#abort.abort()
      await idle.promise
      cancel?.()
    }
    await this.#flush
  }

  /** It was changed: what waits for it is read anew. */
  forget(webhook: Pick<WebhookRecord, 'tenant' | 'seq'>): void {
    for (const delivery of this.#lanes.empty(webhook)) this.#held.delete(delivery.seq)
    this.#wake()
  }

  #wake(): void {
    if (this.#phase !== 'open') return
    if (this.#pass !== null) this.#isAsked = true
    else this.#pass = this.#look()
  }

  async #look(): Promise<void> {
    do {
      this.#isAsked = false
      try {
        await this.#take()
      } catch (error) {
        this.#parts.log.warn({ 'error.code': describeError(error).code }, 'What webhooks are to be told could not be read; tried again.')
        this.#at(this.#parts.clock.now() + PAUSE_MS)
      }
    } while (this.#isAsked && this.#phase === 'open')
    this.#pass = null
  }

  async #take(): Promise<void> {
    const { store, clock } = this.#parts
    const { deliveries, webhooks, nextAt, isMore } = await store.due(clock.now(), [...this.#held], LANE_ROOM)
    const records = new Map(webhooks.map((webhook) => [webhook.seq, webhook]))
    for (const delivery of deliveries) {
      const webhook = records.get(delivery.webhook)
      if (webhook === undefined || this.#held.has(delivery.seq)) continue
      this.#held.add(delivery.seq)
      this.#lanes.push(webhook, delivery)
    }
    this.#isMore = isMore
    this.#begin()
    if (nextAt !== null) this.#at(nextAt)
  }

  #at(time: number): void {
    if (this.#phase === 'open') this.#due.at(time)
  }

  #begin(): void {
    if (this.#phase !== 'open') return
    const now = this.#parts.clock.now()
    for (let turn = this.#lanes.next(now); turn !== null; turn = this.#lanes.next(now)) void this.#deliver(turn)
    const heldUntil = this.#lanes.heldUntil(now)
    if (heldUntil !== null) this.#pace.at(heldUntil)
  }

  async #deliver(turn: Turn): Promise<void> {
    const { lane, delivery } = turn
    const settlement = await this.#attempt(lane.webhook, delivery)
    this.#lanes.ended(turn, this.#parts.clock.now())
    if (settlement === null) this.#held.delete(delivery.seq)
    else this.#settle(settlement)
    this.#begin()
    if (this.#lanes.running === 0) this.#onIdle()
  }

  /** null: it was called off by our own end, and counts for nothing. */
  async #attempt(webhook: WebhookRecord, delivery: DueDelivery): Promise<Settlement | null> {
    const { clock, outbound, random, userAgent, tracer } = this.#parts
    const at = clock.now()
    const number = delivery.attempts + 1
    const span = tracer.span('webhook.deliver', {
      parent: delivery.traceparent ?? undefined,
      kind: 'client',
      attributes: { 'openclaw.webhook': webhook.id, 'openclaw.event': delivery.event.type, 'openclaw.attempt': number },
    })
    const { traceparent } = span
    const { secrets, privateKeys } = this.#keysOf(webhook, at)
    const on = (): Parameters<typeof again>[1] => ({ attempts: number, now: clock.now(), random: random() })
    const nonce = randomBytes(16).toString('hex')
    const request = signedRequest({ event: delivery.event, number, at, nonce, secrets, privateKeys, userAgent, traceparent })
    const made = { span, at, request, secrets }
    if (secrets.length === 0) return this.#ended(delivery, { ...made, answer: null, verdict: again(SECRET_LOST, on()) })
    try {
      const answer = await outbound.send({
        method: 'POST',
        url: webhook.url,
        headers: request.headers,
        body: request.body,
        maxBytes: MAX_RESPONSE_BYTES,
        overflow: 'cut',
        connectTimeoutMs: CONNECT_MS,
        timeoutMs: TOTAL_MS,
        signal: this.#abort.signal,
      })
      span.set({ 'http.response.status_code': answer.status })
      return this.#ended(delivery, { ...made, answer, verdict: verdictOf(answer, on()) })
    } catch (error) {
      if (this.#abort.signal.aborted) {
        span.end('CANCELLED')
        return null
      }
      const verdict = error instanceof OutboundFault ? verdictOfFault(error, on()) : again(describeError(error), on())
      return this.#ended(delivery, { ...made, answer: null, verdict })
    }
  }

  #keysOf({ secrets, id }: WebhookRecord, now: number): { readonly secrets: readonly string[]; readonly privateKeys: readonly string[] } {
    const current = secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
    const opened = (sealed: string): string | readonly string[] => this.#box?.open(sealed, id) ?? []
    return {
      secrets: current.flatMap(({ sealed }) => opened(sealed)),
      privateKeys: current.flatMap(({ pair }) => (pair === undefined ? [] : opened(pair.sealed))),
    }
  }

  #ended(
    delivery: DueDelivery,
    {
      span,
      at,
      request,
      secrets,
      answer,
      verdict,
    }: {
      readonly span: Span
      readonly at: number
      readonly request: SignedRequest
      readonly secrets: readonly string[]
      readonly answer: OutboundAnswer | null
      readonly verdict: Verdict
    },
  ): Settlement {
    const now = this.#parts.clock.now()
    span.end(verdict.error?.code)
    const next = nextOf(verdict, delivery, now)
    this.#deliveries.inc([RESULTS[next.is]])
    this.#latency.observe((now - at) / 1_000)
    return {
      delivery: delivery.seq,
      attempt: {
        at: Math.round(at),
        latencyMs: Math.round(now - at),
        status: answer?.status ?? null,
        error: verdict.error,
        requestHeaders: keptHeaders(request.headers),
        response: answer === null ? null : keptResponse(answer, { headers: request.headers, secrets }),
        isCut: answer?.isCut ?? false,
      },
      next,
    }
  }

  #settle(settlement: Settlement): void {
    this.#results.push(settlement)
    this.#flush ??= this.#write()
  }

  /** What ends while one batch is written is the next. */
  async #write(): Promise<void> {
    while (this.#results.length > 0) {
      const batch = this.#results.splice(0, MOST_SETTLED_AT_ONCE)
      try {
        for (const notice of await this.#parts.store.settle(batch)) this.#told(notice)
      } catch (error) {
        await this.#keep(batch, error)
        continue
      }
      for (const { delivery, next } of batch) {
        this.#held.delete(delivery)
        if (next.is === 'again') this.#at(next.at)
      }
      if (this.#isMore) this.#wake()
    }
    this.#flush = null
  }

  /** While the store cannot be had the results wait, and with them their lanes. What it will never take is not sent again by this process. */
  async #keep(batch: readonly Settlement[], error: unknown): Promise<void> {
    const { log, clock } = this.#parts
    const isRetryable = error instanceof OpenClawError && error.retryable && this.#phase === 'open'
    log.warn(
      { deliveries: batch.length, 'error.code': describeError(error).code },
      'How deliveries to webhooks ended could not be written.',
    )
    if (!isRetryable) return
    this.#results.unshift(...batch)
    await new Promise<void>((resolve) => void clock.after(PAUSE_MS, resolve))
  }

  #told(notice: WebhookNotice): void {
    const { log } = this.#parts
    if (notice.is === 'failing') {
      log.warn({ webhook: notice.webhook, percent: notice.percent }, 'A webhook fails; after five days of it, it is disabled.')
    } else log.warn({ webhook: notice.webhook, reason: notice.reason }, 'A webhook was disabled.')
  }
}

function nextOf(verdict: Verdict, { isSingle }: DueDelivery, now: number): Settlement['next'] {
  if (verdict.is === 'ok') return { is: 'ok' }
  if (isSingle) return { is: 'failed' }
  switch (verdict.is) {
    case 'again':
      return { is: 'again', at: Math.round(now + verdict.afterMs) }
    case 'dead':
      return { is: 'dead', deadLetter: newDeadLetterId(now) }
    case 'failed':
    case 'gone':
      return { is: verdict.is }
  }
}

/** All of them are told of, at 0 too: what is missing raises no alarm. */
const STATES: readonly (readonly [status: WebhookRecord['status'], reason: string])[] = [
  ['enabled', 'none'],
  ['disabled', 'manual'],
  ['disabled', 'failing'],
  ['disabled', 'gone'],
]

const RESULTS: { readonly [is in Settlement['next']['is']]: string } = {
  ok: 'ok',
  again: 'retried',
  dead: 'dead',
  failed: 'failed',
  gone: 'gone',
}

const SECRET_LOST = {
  code: 'WEBHOOK_SECRET_LOST',
  message: 'The secret of this webhook cannot be opened by this gateway. Rotate it, or put .openclaw/secret back.',
}
