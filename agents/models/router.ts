/**
 * Gets one completion out of a chain of models. The only retry loop for model calls in the process: clients make one
 * attempt, the loop above repeats nothing. Time and chance are passed in.
 */
import type { Ability, Clock, Log, Metrics, Usage } from '#contract'
import { Breaker } from './breaker.ts'
import { BuiltinModel } from './builtin.ts'
import { endpointOf, isLocal, splitName } from './config.ts'
import type { Env, ModelsConfig } from './config.ts'
import { exhausted } from './exhausted.ts'
import type { Failed } from './exhausted.ts'
import { ModelFault } from './fault.ts'
import { HttpModel } from './http.ts'
import { Meter } from './meter.ts'
import type { Completion, Model, Prompt } from './model.ts'
import { costNano, priceOf } from './prices.ts'
import type { Price } from './prices.ts'

const BASE_WAIT_MS = 500
const MAX_WAIT_MS = 8_000
/** Who asks for more patience than this is left for the next model. */
const MAX_RETRY_AFTER_MS = 60_000
const BAD_CREDENTIAL_MS = 5 * 60_000
const EMPTY_ACCOUNT_MS = 10 * 60_000
const REFUSAL = 'I cannot answer that.'

export interface RouterOptions {
  readonly config: ModelsConfig
  readonly env: Env
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  /** In [0, 1). */
  readonly random: () => number
}

export interface Ask {
  /** `provider/model`, tried in this order. */
  readonly chain: readonly string[]
  readonly prompt: Prompt
  readonly idempotencyKey: string
  /** Whose call it is, for what is counted. */
  readonly agent: string
  readonly traceparent?: string | undefined
  readonly signal: AbortSignal
  readonly onText: (text: string) => void
  /** Text that came is void: another call is about to be made. */
  readonly onVoid: () => void
}

export interface Answer {
  /** Of the chain, who answered. */
  readonly name: string
  readonly completion: Completion
  readonly usage: Usage
}

interface Provider {
  readonly model: Model
  readonly isLocal: boolean
}

export class Router {
  readonly #options: RouterOptions
  #config: ModelsConfig
  readonly #breaker = new Breaker()
  readonly #meter: Meter
  readonly #providers = new Map<string, Provider>()
  readonly #prices = new Map<string, Price | null>()
  /** Of former configurations, as long as a call may take; each with what cancels its end. */
  readonly #retired = new Map<Model, () => void>()

  constructor(options: RouterOptions) {
    this.#options = options
    this.#config = options.config
    this.#meter = new Meter(options.metrics)
  }

  /**
   * Rejects with a `ModelFault` of kind overflow when the prompt is too long for a model, with the signal's reason when aborted, and with a
   * `ModelError` when the chain is exhausted.
   */
  async complete(ask: Ask): Promise<Answer> {
    const { clock } = this.#options
    const config = this.#config
    const startedAt = clock.now()
    const until = startedAt + config.totalTimeoutMs
    const faults: Failed[] = []
    for (const name of ask.chain) {
      if (!this.#breaker.admits(splitName(name).provider, startedAt)) continue
      const result = await this.#tryModel(name, ask, until)
      if ('completion' in result) return this.#answer({ name, agent: ask.agent, startedAt }, result.completion)
      faults.push(result)
      if (clock.now() >= until) break
    }
    const primary = ask.chain[0]
    // All of them rest: failing without having tried would make the rest last for ever.
    if (faults.length === 0 && primary !== undefined) {
      const result = await this.#tryModel(primary, ask, until)
      if ('completion' in result) return this.#answer({ name: primary, agent: ask.agent, startedAt }, result.completion)
      faults.push(result)
    }
    throw exhausted(faults)
  }

  /** What that model can be held to. */
  abilities(name: string): readonly Ability[] {
    const endpoint = endpointOf(this.#config, this.#options.env, splitName(name).provider)
    return endpoint === null || endpoint === 'builtin' ? [] : endpoint.wire.abilities
  }

  /** From the next call on. Calls under way end as they began; a provider that is told something else is tried at once. */
  reconfigure(config: ModelsConfig): void {
    const before = this.#config
    this.#config = config
    this.#prices.clear()
    for (const [name, { model }] of this.#providers) {
      if (JSON.stringify(before.providers[name]) === JSON.stringify(config.providers[name])) continue
      this.#providers.delete(name)
      this.#breaker.succeeded(name)
      this.#retire(model, before.totalTimeoutMs)
    }
  }

  async close(): Promise<void> {
    const models = [...[...this.#providers.values()].map(({ model }) => model), ...this.#retired.keys()]
    this.#providers.clear()
    for (const cancel of this.#retired.values()) cancel()
    this.#retired.clear()
    await Promise.all(models.map((model) => model.close()))
  }

  /** Closed when its last call must have ended, because closing breaks off what runs. */
  #retire(model: Model, afterMs: number): void {
    const cancel = this.#options.clock.after(afterMs, () => {
      this.#retired.delete(model)
      void model.close().catch(() => undefined)
    })
    this.#retired.set(model, cancel)
  }

  async #tryModel(name: string, ask: Ask, until: number): Promise<{ readonly completion: Completion } | Failed> {
    const { clock, log } = this.#options
    const config = this.#config
    const { provider } = splitName(name)
    for (let attempt = 0; ; attempt++) {
      const fault = await this.#attempt(name, ask, until)
      if (!(fault instanceof ModelFault)) {
        this.#breaker.succeeded(provider)
        return fault
      }
      log.warn({ model: name, attempt: attempt + 1, code: fault.code }, `model ${fault.message}`)
      this.#learn(provider, fault, clock.now())
      if (fault.kind === 'overflow') throw fault
      if (fault.kind === 'refused') return { completion: refusal() }
      const waitMs = this.#waitMs(fault, attempt)
      if (!fault.retryable || attempt >= config.maxRetries || waitMs > MAX_RETRY_AFTER_MS || clock.now() + waitMs >= until) {
        return { name, fault }
      }
      this.#meter.retried()
      await sleep(clock, waitMs, ask.signal)
    }
  }

  async #attempt(name: string, ask: Ask, until: number): Promise<{ readonly completion: Completion } | ModelFault> {
    const { clock } = this.#options
    const config = this.#config
    const { provider, model } = splitName(name)
    ask.onVoid()
    try {
      if (model === '') throw new ModelFault('rejected', 'is no name of the form provider/model')
      const completion = await this.#provider(provider).model.complete(
        {
          ...ask.prompt,
          name,
          model,
          // A provider that remembers keys must not give one model's answer for another's.
          idempotencyKey: name === ask.chain[0] ? ask.idempotencyKey : `${ask.idempotencyKey}:${name}`,
          traceparent: ask.traceparent,
          timeoutMs: Math.max(1, Math.min(config.timeoutMs, until - clock.now())),
        },
        ask.signal,
        ask.onText,
      )
      return { completion: completion.finish === 'refusal' && completion.text === '' ? { ...completion, text: REFUSAL } : completion }
    } catch (error) {
      if (ask.signal.aborted) throw ask.signal.reason
      if (error instanceof ModelFault) return error
      throw error
    }
  }

  #learn(provider: string, fault: ModelFault, now: number): void {
    switch (fault.kind) {
      case 'transient':
        this.#breaker.failed(provider, now)
        break
      case 'auth':
        this.#breaker.off(provider, now + BAD_CREDENTIAL_MS)
        break
      case 'quota':
        this.#breaker.off(provider, now + EMPTY_ACCOUNT_MS)
        break
      case 'rate': {
        const afterMs = fault.retryAfterMs ?? 0
        if (afterMs > MAX_RETRY_AFTER_MS) this.#breaker.off(provider, now + Math.min(afterMs, EMPTY_ACCOUNT_MS))
        break
      }
      case 'overflow':
      case 'refused':
      case 'rejected':
        // It is alive, it only does not want this.
        this.#breaker.succeeded(provider)
        break
    }
  }

  /** Full jitter, but never sooner than the provider asked for. */
  #waitMs(fault: ModelFault, attempt: number): number {
    return Math.max(fault.retryAfterMs ?? 0, this.#options.random() * Math.min(MAX_WAIT_MS, BASE_WAIT_MS * 2 ** attempt))
  }

  #provider(name: string): Provider {
    let provider = this.#providers.get(name)
    if (provider === undefined) {
      const endpoint = endpointOf(this.#config, this.#options.env, name)
      if (endpoint === null) throw new ModelFault('rejected', `has no provider "${name}" with a base_url under llm.providers`)
      const model = endpoint === 'builtin' ? new BuiltinModel() : new HttpModel(endpoint, this.#options.clock)
      this.#providers.set(name, (provider = { model, isLocal: isLocal(endpoint) }))
    }
    return provider
  }

  #answer({ name, agent, startedAt }: { name: string; agent: string; startedAt: number }, completion: Completion): Answer {
    const { provider, model } = splitName(name)
    const { tokens } = completion
    let price = this.#prices.get(name)
    if (price === undefined) {
      price = priceOf({ name, own: this.#config.prices, isLocal: this.#provider(provider).isLocal })
      this.#prices.set(name, price)
    }
    const usage: Usage = {
      provider,
      model,
      inputTokens: tokens.input,
      outputTokens: tokens.output,
      cacheReadTokens: tokens.cacheRead,
      costNano: costNano(price, tokens),
      latencyMs: this.#options.clock.now() - startedAt,
    }
    this.#meter.answered({ name, agent }, usage)
    return { name, completion, usage }
  }
}

const refusal = (): Completion => ({
  text: REFUSAL,
  calls: [],
  finish: 'refusal',
  tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  extra: null,
})

function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
