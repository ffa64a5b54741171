/** One run that goes on here: who watches it, who waits for it, and how it is cancelled. */
import type { NewRun, RunId, SkillEvent, SkillOutcome } from '#contract'

export interface RunResult {
  readonly id: RunId
  readonly outcome: SkillOutcome
  readonly version: string | null
}

export class Live {
  readonly run: Pick<NewRun, 'id' | 'tenant' | 'key'>
  readonly #abort = new AbortController()
  readonly #listeners = new Set<(event: SkillEvent) => void>()
  readonly #over = Promise.withResolvers<void>()
  #waiters = 0
  #isAttended: boolean
  #isCancelled = false

  /** `isAttended`: it is of use only while somebody waits for it. */
  constructor(run: Pick<NewRun, 'id' | 'tenant' | 'key'>, isAttended: boolean) {
    this.run = run
    this.#isAttended = isAttended
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get isAttended(): boolean {
    return this.#isAttended
  }

  /** Somebody wanted it to end; else an abort is the gateway's own. */
  get isCancelled(): boolean {
    return this.#isCancelled
  }

  get over(): Promise<void> {
    return this.#over.promise
  }

  /** Somebody was told that it will be run. */
  keep(): void {
    this.#isAttended = false
  }

  tell(event: SkillEvent): void {
    for (const listen of this.#listeners) listen(event)
  }

  listen(listen: (event: SkillEvent) => void): () => void {
    this.#listeners.add(listen)
    return () => this.#listeners.delete(listen)
  }

  cancel(): void {
    this.#isCancelled = true
    this.#abort.abort()
  }

  /** The gateway stops. */
  cut(): void {
    this.#abort.abort()
  }

  /** It ended, and durably so. */
  end(): void {
    this.#over.resolve()
  }

  /** What `work` gives, or null when the signal aborts before; whoever is the last to leave cancels it. */
  async wait<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
    this.#waiters++
    const result = await orAborted(work, signal).finally(() => this.#waiters--)
    if (result === null && this.#waiters === 0 && this.#isAttended) this.cancel()
    return result
  }
}

/** null: the signal aborted before. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(null)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
