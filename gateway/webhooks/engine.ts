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
import { Lane } from './lane.ts'
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
/** Attempts at once, over all lanes. */
const MOST_RUNNING = 1_000
const MOST_SETTLED_AT_ONCE = 256
const CONNECT_MS = 5_000
const TOTAL_MS = 15_000
const MAX_RESPONSE_BYTES = 16 * 1_024
/** After the store refused. */
const PAUSE_MS = 1_000

export class WebhookEngine {
  readonly #parts: EngineParts
  readonly #lanes = new Map<string, Lane>()
  /** Numbers of the deliveries that wait here, are on their way, or whose end is not written down yet. */
  readonly #held = new Set<number>()
  readonly #results: Settlement[] = []
  readonly #abort = new AbortController()
  readonly #deliveries: Counter
  readonly #latency: Histogram
  #box: SecretBox | null = null
  #running = 0
  #pass: Promise<void> | null = null
  #isAsked = false
  /** More is due than is held. */
  #isMore = false
  #flush: Promise<void> | null = null
  #timer: { readonly at: number; readonly cancel: () => void } | null = null
  #unwatch: () => void = () => undefined
  #onIdle: () => void = () => undefined
  #phase: 'new' | 'open' | 'stopping' = 'new'

  constructor(parts: EngineParts) {
    this.#parts = parts
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
    this.#timer?.cancel()
    await this.#pass
    if (this.#running > 0) {
      const idle = Promise.withResolvers<void>()
      this.#onIdle = idle.resolve
      const cancel = drainMs > 0 ? this.#parts.clock.after(drainMs, () => this.#abort.abort()) : this.#abort.abort()
      await idle.promise
      cancel?.()
    }
    await this.#flush
  }

  /** It was changed: what waits for it is read anew. */
  forget({ seq }: Pick<WebhookRecord, 'seq'>): void {
    for (const isSingle of [false, true]) {
      const lane = this.#lanes.get(laneKey(seq, isSingle))
      for (const delivery of lane?.empty() ?? []) this.#held.delete(delivery.seq)
    }
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
      this.#lane(webhook, delivery.isSingle).push(delivery)
    }
    this.#isMore = isMore
    this.#begin()
    if (nextAt !== null) this.#at(nextAt)
  }

  #lane(webhook: WebhookRecord, isSingle: boolean): Lane {
    const key = laneKey(webhook.seq, isSingle)
    const known = this.#lanes.get(key)
    if (known !== undefined) {
      known.webhook = webhook
      return known
    }
    const lane = new Lane(webhook)
    this.#lanes.set(key, lane)
    return lane
  }

  #at(time: number): void {
    const inMs = time - this.#parts.clock.now()
    if (inMs <= 0) return this.#wake()
    if (this.#phase !== 'open' || (this.#timer !== null && this.#timer.at <= time)) return
    this.#timer?.cancel()
    const cancel = this.#parts.clock.after(inMs, () => {
      this.#timer = null
      this.#wake()
    })
    this.#timer = { at: time, cancel }
  }

  #begin(): void {
    if (this.#phase !== 'open') return
    for (const [key, lane] of this.#lanes) {
      for (let next = this.#room() ? lane.next() : null; next !== null; next = this.#room() ? lane.next() : null) {
        lane.running++
        this.#running++
        void this.#deliver(lane, next)
      }
      if (lane.isIdle) this.#lanes.delete(key)
    }
  }

  #room(): boolean {
    return this.#running < MOST_RUNNING
  }

  async #deliver(lane: Lane, delivery: DueDelivery): Promise<void> {
    const settlement = await this.#attempt(lane.webhook, delivery)
    lane.running--
    this.#running--
    if (settlement === null) this.#held.delete(delivery.seq)
    else this.#settle(settlement)
    this.#begin()
    if (this.#running === 0) this.#onIdle()
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
    const secrets = this.#secretsOf(webhook, at)
    const on = (): Parameters<typeof again>[1] => ({ attempts: number, now: clock.now(), random: random() })
    const nonce = randomBytes(16).toString('hex')
    const request = signedRequest({ event: delivery.event, number, at, nonce, secrets, userAgent, traceparent })
    if (secrets.length === 0) return this.#ended(delivery, { span, at, request, answer: null, verdict: again(SECRET_LOST, on()) })
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
      return this.#ended(delivery, { span, at, request, answer, verdict: verdictOf(answer, on()) })
    } catch (error) {
      if (this.#abort.signal.aborted) {
        span.end('CANCELLED')
        return null
      }
      const verdict = error instanceof OutboundFault ? verdictOfFault(error, on()) : again(describeError(error), on())
      return this.#ended(delivery, { span, at, request, answer: null, verdict })
    }
  }

  #secretsOf({ secrets, id }: WebhookRecord, now: number): readonly string[] {
    return secrets
      .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
      .flatMap(({ sealed }) => this.#box?.open(sealed, id) ?? [])
  }

  #ended(
    delivery: DueDelivery,
    {
      span,
      at,
      request,
      answer,
      verdict,
    }: {
      readonly span: Span
      readonly at: number
      readonly request: SignedRequest
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
        requestHeaders: request.headers,
        response: answer === null || answer.body.length === 0 ? null : Buffer.from(answer.body).toString(),
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

const laneKey = (webhook: number, isSingle: boolean): string => `${webhook}${isSingle ? ' single' : ''}`

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
