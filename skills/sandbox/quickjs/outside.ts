/**
 * What a JavaScript skill reaches beyond its engine: other skills through the runner, and hosts through the gate of the egress. Both
 * answer with text, and an error is an answer too.
 */
import type { JsonValue } from '#contract'
import { describeError, isJsonObject, textOf } from '#contract'
import { denialOf } from '../../egress/egress.ts'
import type { EgressFetch } from '../../egress/egress.ts'
import type { Job } from '../sandbox.ts'
import { FETCH_TIMEOUT_MS, MAX_FETCH_BYTES } from './wire.ts'

export interface Answered {
  readonly isError: boolean
  /** JSON. */
  readonly text: string
}

const MAX_DENIALS = 8

export class Outside {
  readonly #job: Job
  readonly #fetch: EgressFetch | null
  readonly #signal: AbortSignal
  /** In sentences for people, the first few. */
  readonly denials: string[] = []
  denied = 0
  #calls = 0

  constructor(options: { readonly job: Job; readonly fetch: EgressFetch | null; readonly signal: AbortSignal }) {
    this.#job = options.job
    this.#fetch = options.fetch
    this.#signal = options.signal
  }

  /** Never rejects. */
  async ask(what: 'call' | 'fetch', text: string): Promise<Answered> {
    try {
      const asked: unknown = JSON.parse(text)
      if (!isJsonObject(asked)) return refusal('it is no request')
      return what === 'call' ? await this.#call(asked) : await this.#reach(asked)
    } catch (error) {
      if (isDenied(error)) {
        this.#deny(error.message)
        return refusal(error.message, 'egress_denied')
      }
      return refusal(this.#signal.aborted ? 'the run is over' : describeError(error).message)
    }
  }

  /** The run is over. */
  end(): void {
    if (this.denied > this.denials.length) this.#job.tell(denialOf(`It was denied ${this.denied} times in all.`))
  }

  #deny(why: string): void {
    this.denied += 1
    if (this.denials.includes(why) || this.denials.length === MAX_DENIALS) return
    this.denials.push(why)
    this.#job.tell(denialOf(why))
  }

  async #call(asked: { readonly [member: string]: JsonValue }): Promise<Answered> {
    const outcome = await this.#job.call(textOf(asked['skill']), asked['input'] ?? {}, ++this.#calls)
    if (outcome.status === 'ok') return { isError: false, text: JSON.stringify(outcome.output) }
    return refusal(outcome.message, outcome.code)
  }

  async #reach(asked: { readonly [member: string]: JsonValue }): Promise<Answered> {
    if (this.#fetch === null) return refusal('this gateway has no way out for skills', 'unavailable')
    const { status, headers, body } = await this.#fetch({
      skill: this.#job.bundle.descriptor.id,
      key: this.#job.key,
      allow: this.#job.egress,
      url: textOf(asked['url']),
      method: textOf(asked['method']).toUpperCase(),
      headers: textMembers(asked['headers']),
      body: typeof asked['body'] === 'string' ? Buffer.from(asked['body']) : null,
      maxBytes: MAX_FETCH_BYTES,
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]),
    })
    return { isError: false, text: JSON.stringify({ status, headers, text: Buffer.from(body).toString() }) }
  }
}

function refusal(message: string, code?: string): Answered {
  return { isError: true, text: JSON.stringify({ message, ...(code === undefined ? {} : { code }) }) }
}

function textMembers(value: JsonValue | undefined): { readonly [name: string]: string } {
  return isJsonObject(value) ? Object.fromEntries(Object.entries(value).map(([name, text]) => [name, textOf(text)])) : {}
}

const isDenied = (error: unknown): error is Error => error instanceof Error && 'code' in error && error.code === 'EGRESS_DENIED'
