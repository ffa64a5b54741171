/**
 * One call of a supervisor while it runs, on the gateway's side: what it says is told on, other skills are called for it, what stops it is
 * sent, and how it ended is made out. Taken for hostile as all that comes out of a sandbox. Whether the sandbox is of use after it, the
 * cell says.
 */
import { isJsonObject } from '#contract'
import type { Clock, JsonObject, JsonValue, SkillErrorCode, SkillOutcome } from '#contract'
import { ENDS, FROM, MAX_CALLS, TO } from './frame.ts'
import type { Frame } from './frame.ts'
import { FrameBreach, jsonBytes, NOTHING, parseJson, parseObject } from './frames.ts'
import type { Job } from './sandbox.ts'
import { Telling } from './telling.ts'

export interface CellFault {
  readonly code: SkillErrorCode
  readonly message: string
}

export interface CellEnded {
  /** Without times: queueing and starting are the caller's to know. */
  readonly outcome: SkillOutcome
  /** False: the call never went out. */
  readonly hasStarted: boolean
  readonly runMs: number
  /** By which `ack` knows it; 0: it never went out. */
  readonly call: number
}

export type Listen = Pick<Job, 'tell' | 'call' | 'signal' | 'timeoutMs'>

export interface CallOptions {
  readonly number: number
  readonly key: string
  readonly tell: Job['tell']
  readonly clock: Clock
  /** How much later than the supervisor it is given up. */
  readonly graceMs: number
  /** False: too long for its type. */
  readonly send: (type: number, payload: Buffer) => boolean
  /** It did not end in its time, and so never will. */
  readonly late: (reason: string) => void
  /** What keeps it from having run: it was sent behind a LOAD that was refused. */
  readonly refusal: () => CellFault | null
}

const CANCEL_MS = 500

export class Call {
  readonly number: number
  readonly key: string
  readonly #options: CallOptions
  readonly #telling: Telling
  readonly #startedAt: number
  readonly #result: PromiseWithResolvers<CellEnded> = Promise.withResolvers()
  /** What to do when it ended. */
  readonly #after: (() => void)[] = []
  #other: Job['call'] | null = null
  /** CALL frames that came before anybody listened. */
  readonly #waiting: Frame[] = []
  #open = 0
  #hasEnded = false
  #isCancelled = false
  /** It said what ends it as `protocol`, and is being cancelled for it. */
  #spoiled: string | null = null

  constructor(options: CallOptions) {
    this.number = options.number
    this.key = options.key
    this.#options = options
    this.#telling = new Telling(options.clock, options.tell)
    this.#startedAt = options.clock.now()
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Resolves as soon as the outcome is known. */
  get ended(): Promise<CellEnded> {
    return this.#result.promise
  }

  /** It went out. */
  start(): void {
    this.#telling.started()
  }

  /** Somebody else is told from now on. */
  redirect(tell: Job['tell']): void {
    this.#telling.redirect(tell)
  }

  listen({ signal, call, timeoutMs }: Omit<Listen, 'tell'>): Promise<CellEnded> {
    if (this.#hasEnded) return this.ended
    const { clock, graceMs, late } = this.#options
    // For one whose supervisor does not keep the limit, or cannot be heard.
    this.#after.push(clock.after(timeoutMs + graceMs, () => late(`it went on after ${timeoutMs} ms, which were its limit`)))
    this.#other = call
    const cancel = (): void => this.#cancel()
    signal.addEventListener('abort', cancel, { once: true })
    this.#after.push(() => signal.removeEventListener('abort', cancel))
    for (const frame of this.#waiting.splice(0)) this.#ask(frame)
    if (signal.aborted) cancel()
    return this.ended
  }

  /** A frame with its number. @throws FrameBreach */
  hear(frame: Frame): void {
    if (this.#hasEnded) throw new FrameBreach(`a frame of type ${frame.type} after the end of its call`)
    else if (frame.type === FROM.log) {
      if (!this.#telling.log(frame.payload)) throw new FrameBreach('text of an unknown stream')
    } else if (frame.type === FROM.progress) {
      const data = heard(frame)
      if (data.is === 'json') this.#telling.progress(data.value)
      else this.#spoil(`its progress is ${data.message}`)
    } else if (frame.type === FROM.call) {
      if (this.#other === null && this.#waiting.length < MAX_CALLS) this.#waiting.push(frame)
      else this.#ask(frame)
    } else if (frame.type === FROM.result) {
      const output = heard(frame)
      this.end(output.is === 'json' ? { status: 'ok', output: output.value } : failed('protocol', `its output is ${output.message}`))
    } else if (frame.type === FROM.error) {
      const { code, message } = parseObject(frame)
      if (!isEnd(code) || typeof message !== 'string') throw new FrameBreach('an end that is none')
      this.end(failed(code, message))
    } else throw new FrameBreach(`a frame of type ${frame.type}, which is the gateway's to send`)
  }

  /** Its sandbox is of no more use. */
  lose({ code, message }: CellFault): void {
    this.end(failed(code === 'timeout' && this.#isCancelled ? 'cancelled' : code, message))
  }

  /** Once; what is given later is dropped. */
  end(given: SkillOutcome): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const refusal = this.#options.refusal()
    const outcome =
      refusal !== null ? failed(refusal.code, refusal.message) : this.#spoiled === null ? given : failed('protocol', this.#spoiled)
    for (const run of this.#after.splice(0)) run()
    this.#telling.end()
    this.#result.resolve({
      outcome,
      hasStarted: refusal === null,
      call: this.number,
      runMs: Math.max(0, this.#options.clock.now() - this.#startedAt),
    })
  }

  #cancel(): void {
    if (this.#hasEnded || this.#isCancelled) return
    this.#isCancelled = true
    const { clock, graceMs, send, late } = this.#options
    send(TO.cancel, NOTHING)
    this.#after.push(clock.after(CANCEL_MS + graceMs, () => late('it went on after it was cancelled')))
  }

  /** It said something that ends the call, though not the sandbox. */
  #spoil(message: string): void {
    this.#spoiled ??= message
    this.#cancel()
  }

  /** The skill calls another. */
  #ask(frame: Frame): void {
    const asked = heard(frame)
    if (asked.is === 'none') return this.#spoil(`its call of another skill is ${asked.message}`)
    const { n, skill, input }: JsonObject = isJsonObject(asked.value) ? asked.value : {}
    const call = this.#other
    if (typeof n !== 'number' || typeof skill !== 'string' || input === undefined || call === null) {
      return this.#spoil('its call of another skill lacks members')
    }
    if (this.#open >= MAX_CALLS) return this.#spoil(`it waits for more than ${MAX_CALLS} other skills at once`)
    this.#open += 1
    const { send } = this.#options
    const answer = (outcome: SkillOutcome): void => {
      this.#open -= 1
      if (this.#hasEnded || send(TO.returned, jsonBytes({ n, outcome: { ...outcome } }))) return
      send(TO.returned, jsonBytes({ n, outcome: { ...failed('output_limit', 'its output is too long') } }))
    }
    call(skill, input, n).then(answer, () => answer(failed('unavailable', 'it could not be called')))
  }
}

export const failed = (code: SkillErrorCode, message: string): SkillOutcome & { readonly status: 'error' } => ({
  status: 'error',
  code,
  message,
})
const isEnd = (code: unknown): code is SkillErrorCode => typeof code === 'string' && ENDS.has(code)

/** What the supervisor only hands on: the fault of the skill, not of the sandbox. */
function heard(frame: Frame): { readonly is: 'json'; readonly value: JsonValue } | { readonly is: 'none'; readonly message: string } {
  try {
    return { is: 'json', value: parseJson(frame.payload) }
  } catch (error) {
    if (error instanceof FrameBreach) return { is: 'none', message: error.message }
    throw error
  }
}
